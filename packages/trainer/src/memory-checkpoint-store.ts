import type { NamedTensor } from '@auxseg/formats';
import type { Checkpoint, CheckpointStore } from './types.js';

/** Keeps the newest checkpoint as a copy in memory: for tests and for browsers. */
export function createMemoryCheckpointStore(): CheckpointStore {
  let kept: Checkpoint | null = null;
  return {
    async load() {
      return kept && copy(kept);
    },
    async save(checkpoint) {
      kept = copy(checkpoint);
    },
  };
}

function copy({ tensors, metadata }: Checkpoint): Checkpoint {
  const copies = new Map<string, NamedTensor>();
  for (const [name, tensor] of tensors) {
    copies.set(name, { dtype: tensor.dtype, shape: [...tensor.shape], data: tensor.data.slice() });
  }
  return { tensors: copies, metadata: { ...metadata } };
}
