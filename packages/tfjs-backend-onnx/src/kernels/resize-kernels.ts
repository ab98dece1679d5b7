import type { KernelConfig, ResizeBilinearAttrs, TensorInfo } from '@tensorflow/tfjs-core';
import { simdWorkspace } from '../simd-workspace.js';
import { callCpuKernel } from './call-kernel.js';
import { defineKernel, sizeOf } from './kernel.js';

/** For every output position of one axis: the two input positions and the weight of the second. */
interface Samples {
  low: Int32Array;
  high: Int32Array;
  weight: Float32Array;
}

function samplesOf(inSize: number, outSize: number, attrs: ResizeBilinearAttrs): Samples {
  const aligned = attrs.alignCorners && outSize > 1;
  const ratio = aligned ? (inSize - 1) / (outSize - 1) : inSize / outSize;
  const low = new Int32Array(outSize);
  const high = new Int32Array(outSize);
  const weight = new Float32Array(outSize);
  for (let i = 0; i < outSize; i++) {
    const position = attrs.halfPixelCenters ? ratio * (i + 0.5) - 0.5 : ratio * i;
    const clamped = Math.max(0, position);
    low[i] = Math.min(inSize - 1, Math.floor(clamped));
    high[i] = Math.min(inSize - 1, Math.ceil(clamped));
    weight[i] = clamped - low[i];
  }
  return { low, high, weight };
}

/** Rows are resized once each and kept while output rows lie between them; then two rows make one. */
const resizeBilinear = defineKernel<{ images: TensorInfo }, ResizeBilinearAttrs>(
  'ResizeBilinear',
  ({ inputs, attrs, backend }) => {
    const { images } = inputs;
    const [batch, inHeight, inWidth, channels] = images.shape;
    const [height, width] = attrs.size;
    if (images.dtype !== 'float32' || sizeOf(images.shape) === 0) {
      return callCpuKernel(backend, 'ResizeBilinear', inputs, attrs);
    }
    const values = backend.floats(images);
    const out = backend.allocate([batch, height, width, channels], 'float32');
    const rows = samplesOf(inHeight, height, attrs);
    const columns = samplesOf(inWidth, width, attrs);
    const length = width * channels;
    const { kernels, floats, offsets } = simdWorkspace(length, length, length);
    const [first, second, result] = offsets;
    const slots = [first, second];
    const held = [-1, -1];
    /** Where the resized input row lies, made in a slot other than `busy`. */
    const stretched = (row: number, busy: number): number => {
      const found = held.indexOf(row);
      if (found >= 0) return slots[found];
      const slot = slots[0] === busy ? 1 : 0;
      held[slot] = row;
      stretchRow(values, row * inWidth * channels, columns, channels, floats, slots[slot]);
      return slots[slot];
    };
    for (let n = 0; n < batch; n++) {
      for (let r = 0; r < height; r++) {
        const start = n * inHeight;
        // The upper row may be made over the lower one of before, never over the one it is about to meet.
        const wanted = start + rows.high[r];
        const kept = held.indexOf(wanted);
        const upper = stretched(start + rows.low[r], kept >= 0 ? slots[kept] : -1);
        const lower = stretched(wanted, upper);
        kernels.interpolate(4 * upper, 4 * lower, rows.weight[r], 4 * result, length);
        out.values.set(floats.subarray(result, result + length), (n * height + r) * length);
      }
    }
    return out.info;
  },
);

function stretchRow(
  from: Float32Array,
  start: number,
  { low, high, weight }: Samples,
  channels: number,
  to: Float32Array,
  offset: number,
): void {
  let at = offset;
  for (let c = 0; c < low.length; c++) {
    const left = start + low[c] * channels;
    const right = start + high[c] * channels;
    const t = weight[c];
    for (let k = 0; k < channels; k++) {
      const value = from[left + k];
      to[at++] = value + (from[right + k] - value) * t;
    }
  }
}

/** Bilinear resize. */
export const resizeKernels: readonly KernelConfig[] = [resizeBilinear];
