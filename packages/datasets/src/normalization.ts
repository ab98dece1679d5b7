import type { Normalization } from './types.js';

const IMAGENET_MEAN = [0.485, 0.456, 0.406] as const;
const IMAGENET_STD = [0.229, 0.224, 0.225] as const;

/**
 * Channel statistics of a normalisation, for images in 0..1: (x/255 - mean) / std.
 * 'imagenet' as in method.md 5; 'mobilenet' is x/127.5 - 1, so mean and std are 0.5.
 */
export function normalizationStatistics(normalization: Normalization): {
  mean: readonly number[];
  std: readonly number[];
} {
  if (normalization === 'imagenet') return { mean: IMAGENET_MEAN, std: IMAGENET_STD };
  if (normalization === 'mobilenet') return { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };
  return normalization;
}

/** The normalised value of each byte in each channel: [3,256]. */
export function normalizationTable(normalization: Normalization): Float32Array {
  const { mean, std } = normalizationStatistics(normalization);
  const table = new Float32Array(3 * 256);
  for (let c = 0; c < 3; c++) {
    for (let v = 0; v < 256; v++) {
      table[c * 256 + v] = normalization === 'mobilenet' ? v / 127.5 - 1 : (v / 255 - mean[c]) / std[c];
    }
  }
  return table;
}

/** Normalises a whole image [H,W,3] of bytes to floats. */
export function normalizeImage(data: Uint8Array, normalization: Normalization): Float32Array {
  const table = normalizationTable(normalization);
  const out = new Float32Array(data.length);
  for (let i = 0; i < data.length; i += 3) {
    out[i] = table[data[i]];
    out[i + 1] = table[256 + data[i + 1]];
    out[i + 2] = table[512 + data[i + 2]];
  }
  return out;
}
