import { simdWorkspace } from '../simd-workspace.js';

/** A filter [taps, in, out] and the channels per block of its blocked order. */
export interface FilterBlocks {
  taps: number;
  inChannels: number;
  outChannels: number;
  block: number;
}

const isWhole = ({ inChannels, outChannels, block }: FilterBlocks) =>
  inChannels % block === 0 && outChannels % block === 0;

/**
 * Calls `reorder` for each block of input channels with its [taps][block][out] floats copied into the workspace, and
 * `collect` with the reordered ones.
 */
function byInputBlock(
  filter: Float32Array,
  { taps, inChannels, outChannels, block }: FilterBlocks,
  kernel: 'blockRows' | 'blockColumns',
  collect: (reordered: Float32Array, inputBlock: number) => void,
): void {
  const rows = block * outChannels;
  const { kernels, floats, offsets } = simdWorkspace(taps * rows, taps * rows);
  const [from, to] = offsets;
  for (let c = 0; c < inChannels; c += block) {
    for (let t = 0; t < taps; t++) {
      const start = (t * inChannels + c) * outChannels;
      floats.set(filter.subarray(start, start + rows), from + t * rows);
    }
    kernels[kernel](4 * from, 4 * to, taps, block, outChannels);
    collect(floats.subarray(to, to + taps * rows), c / block);
  }
}

/**
 * Rewrites a filter [T,C,K] (taps, in, out) into onnxruntime's blocked order [K/B][C/B][T][B in][B out], zero-padded to
 * whole blocks.
 */
export function blockFilter(filter: Float32Array, shape: FilterBlocks, out: Float32Array): void {
  const { taps, inChannels, outChannels, block } = shape;
  if (isWhole(shape)) {
    const piece = taps * block * block;
    byInputBlock(filter, shape, 'blockRows', (reordered, c) => {
      for (let k = 0; k < outChannels / block; k++) {
        out.set(reordered.subarray(k * piece, (k + 1) * piece), (k * (inChannels / block) + c) * piece);
      }
    });
    return;
  }
  out.fill(0);
  let base = 0;
  for (let k0 = 0; k0 < outChannels; k0 += block) {
    const kEnd = Math.min(block, outChannels - k0);
    for (let c0 = 0; c0 < inChannels; c0 += block) {
      const cEnd = Math.min(block, inChannels - c0);
      for (let t = 0; t < taps; t++) {
        for (let c = 0; c < cEnd; c++) {
          const from = (t * inChannels + c0 + c) * outChannels + k0;
          const to = base + c * block;
          for (let k = 0; k < kEnd; k++) out[to + k] = filter[from + k];
        }
        base += block * block;
      }
    }
  }
}

/**
 * The blocked filter of the input gradient: taps reversed, input and output channels exchanged.
 *
 * Result [C/B][K/B][T][B out][B in] from [T,C,K].
 */
export function blockFlippedFilter(filter: Float32Array, shape: FilterBlocks, out: Float32Array): void {
  const { taps, inChannels, outChannels, block } = shape;
  if (isWhole(shape)) {
    byInputBlock(filter, shape, 'blockColumns', (reordered, c) => {
      out.set(reordered, c * reordered.length);
    });
    return;
  }
  out.fill(0);
  let base = 0;
  for (let c0 = 0; c0 < inChannels; c0 += block) {
    const cEnd = Math.min(block, inChannels - c0);
    for (let k0 = 0; k0 < outChannels; k0 += block) {
      const kEnd = Math.min(block, outChannels - k0);
      for (let t = taps - 1; t >= 0; t--) {
        for (let c = 0; c < cEnd; c++) {
          const from = (t * inChannels + c0 + c) * outChannels + k0;
          for (let k = 0; k < kEnd; k++) out[base + k * block + c] = filter[from + k];
        }
        base += block * block;
      }
    }
  }
}
