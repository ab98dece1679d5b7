import { FormatError } from './format-error.js';
import type { ImageSize } from './images.js';

/** Source index pair and weight of the second, for every target position along one axis. */
interface AxisTaps {
  low: Int32Array;
  high: Int32Array;
  weight: Float32Array;
}

/**
 * Resizes interleaved planes bilinearly: half-pixel centres, borders repeated, no antialiasing.
 *
 * The same samples as OpenCV's INTER_LINEAR and PyTorch's `interpolate(align_corners=False)`, in float; round the
 * result for 8-bit images (OpenCV's own 8-bit path uses 11-bit weights and can differ by one level).
 *
 * @param data [from.height, from.width, channels].
 * @param from its size; `channels` defaults to 1.
 * @returns a new array [to.height, to.width, channels].
 * @throws FormatError `bad-value` when data does not fit `from` or a size is not positive.
 */
export function resizeBilinear(
  data: Float32Array | Uint8Array,
  from: ImageSize & { channels?: number },
  to: ImageSize,
): Float32Array {
  const channels = from.channels ?? 1;
  checkResize(data, from, channels, to);
  const columns = axisTaps(from.width, to.width);
  const rows = axisTaps(from.height, to.height);
  const rowLength = to.width * channels;
  const result = new Float32Array(to.height * rowLength);

  // Each source row is widened once and kept while the next target rows use it.
  const above = new Float32Array(rowLength);
  const below = new Float32Array(rowLength);
  let held = [above, below];
  let heldRows = [-1, -1];
  const widen = (row: number, into: Float32Array) => {
    const base = row * from.width * channels;
    for (let x = 0, at = 0; x < to.width; x++) {
      const a = base + columns.low[x] * channels;
      const b = base + columns.high[x] * channels;
      const w = columns.weight[x];
      for (let c = 0; c < channels; c++, at++) {
        const first = data[a + c];
        into[at] = first + (data[b + c] - first) * w;
      }
    }
  };
  for (let y = 0; y < to.height; y++) {
    const low = rows.low[y];
    const high = rows.high[y];
    if (heldRows[0] !== low) {
      if (heldRows[1] === low) {
        held = [held[1], held[0]];
        heldRows = [heldRows[1], heldRows[0]];
      } else {
        widen(low, held[0]);
        heldRows[0] = low;
      }
    }
    if (heldRows[1] !== high) {
      if (high === low) held[1].set(held[0]);
      else widen(high, held[1]);
      heldRows[1] = high;
    }
    const [first, second] = held;
    const w = rows.weight[y];
    const start = y * rowLength;
    for (let i = 0; i < rowLength; i++) result[start + i] = first[i] + (second[i] - first[i]) * w;
  }
  return result;
}

function axisTaps(from: number, to: number): AxisTaps {
  const low = new Int32Array(to);
  const high = new Int32Array(to);
  const weight = new Float32Array(to);
  const scale = from / to;
  for (let i = 0; i < to; i++) {
    const position = (i + 0.5) * scale - 0.5;
    const floor = Math.floor(position);
    if (floor < 0) continue; // before the first centre: the first sample
    if (floor >= from - 1) {
      low[i] = high[i] = from - 1;
      continue;
    }
    low[i] = floor;
    high[i] = floor + 1;
    weight[i] = position - floor;
  }
  return { low, high, weight };
}

/** Shared check of both resizers. */
export function checkResize(data: ArrayLike<number>, from: ImageSize, channels: number, to: ImageSize): void {
  for (const [name, value] of [
    ['from.width', from.width],
    ['from.height', from.height],
    ['from.channels', channels],
    ['to.width', to.width],
    ['to.height', to.height],
  ] as const) {
    if (!Number.isInteger(value) || value < 1) {
      throw new FormatError('bad-value', `Expected ${name} to be a whole number >= 1, got ${value}.`, {
        [name]: value,
      });
    }
  }
  const expected = from.width * from.height * channels;
  if (data.length !== expected) {
    throw new FormatError(
      'bad-value',
      `Expected ${expected} elements for ${from.width}x${from.height} with ${channels} channel(s), got ${data.length}.`,
      { expected, actual: data.length },
    );
  }
}
