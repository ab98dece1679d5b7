import type { ImageSize } from './images.js';
import { checkResize } from './resize-bilinear.js';

/**
 * Resizes a label map by picking values, as OpenCV's INTER_NEAREST does: source index floor(i * from / to).
 *
 * @param data [from.height, from.width].
 * @returns a new array [to.height, to.width].
 * @throws FormatError `bad-value` when data does not fit `from` or a size is not positive.
 */
export function resizeNearest(data: Uint8Array, from: ImageSize, to: ImageSize): Uint8Array {
  checkResize(data, from, 1, to);
  const columns = indices(from.width, to.width);
  const rows = indices(from.height, to.height);
  const result = new Uint8Array(to.width * to.height);
  for (let y = 0, at = 0; y < to.height; y++) {
    const base = rows[y] * from.width;
    for (let x = 0; x < to.width; x++) result[at++] = data[base + columns[x]];
  }
  return result;
}

function indices(from: number, to: number): Int32Array {
  // OpenCV inverts the rounded scale factor twice; following its arithmetic keeps exact ties equal.
  const scale = 1 / (to / from);
  return Int32Array.from({ length: to }, (_, i) => Math.min(Math.floor(i * scale), from - 1));
}
