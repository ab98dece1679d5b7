import type { OrtTensor } from './ort-binding.js';
import type { SessionCache } from './session-cache.js';

/** Largest block that onnxruntime uses (AVX-512). */
const MAX_BLOCK = 16;

/**
 * Finds how many channels onnxruntime's blocked layout (NCHWc) puts side by side on this processor: 16, 8, or 1 for none.
 *
 * Not documented anywhere at run time, but visible: four channels at two positions are padded to the block.
 */
export function probeBlockSize(sessions: SessionCache): number {
  const x: OrtTensor = {
    data: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8),
    dims: [1, 1, 2, 4],
    type: 'float32',
    location: 'cpu',
  };
  for (const block of [MAX_BLOCK, MAX_BLOCK / 2]) {
    const values = new Float32Array(2 * block);
    try {
      sessions.run(
        'probe-block-size',
        () => ({
          nodes: [
            {
              op: 'ReorderInput',
              domain: 'com.microsoft.nchwc',
              inputs: ['x'],
              outputs: ['y'],
              attributes: { channels_last: { int: 1 } },
            },
          ],
          inputs: [{ name: 'x', type: 'float32', rank: 4 }],
          outputs: [{ name: 'y', type: 'float32', rank: 4 }],
        }),
        { x },
        { y: { data: values, dims: [1, block, 1, 2], type: 'float32', location: 'cpu' } },
      );
    } catch {
      // A preallocated output of the wrong extent is refused: try the next block size.
      continue;
    }
    if (values[0] === 1 && values[3] === 4 && values[block] === 5 && values[block + 3] === 8) return block;
  }
  return 1;
}
