import { readFile } from 'node:fs/promises';
import { readSafetensors, writeSafetensors } from '@auxseg/formats';
import { TrainerError } from '../trainer-error.js';
import type { CheckpointStore } from '../types.js';
import { writeFileAtomic } from './write-file-atomic.js';

/**
 * Keeps the newest checkpoint in one safetensors file, replaced atomically.
 *
 * Tensors `variable/<name>`, `optimizer/momentum/<name>` (float32) and `log/<loss>` (float64); step, position and what the
 * run must agree on are in the file's metadata.
 * @throws TrainerError CHECKPOINT_CORRUPT from `load`; DISK_FULL, UNWRITABLE from `save`, the old file being kept
 */
export function createFileCheckpointStore(path: string): CheckpointStore {
  return {
    async load() {
      let bytes: Uint8Array;
      try {
        bytes = await readFile(path);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'ENOENT') return null;
        throw new TrainerError(
          'CHECKPOINT_CORRUPT',
          `Expected a readable checkpoint at ${path}, came ${code}; check the file's permissions.`,
          { path, cause: code },
          { cause: error },
        );
      }
      try {
        return readSafetensors(bytes);
      } catch (error) {
        throw new TrainerError(
          'CHECKPOINT_CORRUPT',
          `Expected a safetensors checkpoint at ${path}, came ${bytes.length} bytes that are none (${(error as Error).message}); remove the file to start from the first step.`,
          { path, bytes: bytes.length },
          { cause: error },
        );
      }
    },
    async save({ tensors, metadata }) {
      await writeFileAtomic(path, writeSafetensors(tensors, metadata));
    },
  };
}
