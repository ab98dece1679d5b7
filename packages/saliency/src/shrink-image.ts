import type { RgbImage } from '@auxseg/formats';
import type { Planes } from './planes.js';

/** A rectangle of pixels: left, top, width, height. */
export interface PixelRect {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Size with the same proportions whose longer side is at most `maxSide` px; never larger than the original. */
export function shrunkSize(
  width: number,
  height: number,
  maxSide: number,
): { width: number; height: number } {
  const scale = Math.min(1, maxSide / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/** For each target index, the source indices it covers and how much of each. */
function coverage(
  source: number,
  target: number,
): { first: Int32Array; count: Int32Array; weight: Float32Array[] } {
  const first = new Int32Array(target);
  const count = new Int32Array(target);
  const weight: Float32Array[] = [];
  const ratio = source / target;
  for (let t = 0; t < target; t++) {
    const from = t * ratio;
    const to = Math.min(source, (t + 1) * ratio);
    const start = Math.min(source - 1, Math.floor(from));
    const end = Math.max(start + 1, Math.min(source, Math.ceil(to - 1e-9)));
    const row = new Float32Array(end - start);
    let total = 0;
    for (let s = start; s < end; s++) {
      row[s - start] = Math.max(0, Math.min(to, s + 1) - Math.max(from, s));
      total += row[s - start];
    }
    for (let i = 0; i < row.length; i++) row[i] /= total;
    first[t] = start;
    count[t] = end - start;
    weight.push(row);
  }
  return { first, count, weight };
}

/**
 * Shrinks a rectangle of an RGB image by exact area averaging; returns planar RGB [3,h,w], 0..255.
 *
 * Averaging, unlike the point sampling of a plain bilinear resize, keeps texture from aliasing into false edges.
 */
export function shrinkImage(image: RgbImage, rect: PixelRect, width: number, height: number): Planes {
  const columns = coverage(rect.width, width);
  const rows = coverage(rect.height, height);
  const pixels = width * height;
  const data = new Float32Array(3 * pixels);
  const line = new Float32Array(3 * width);
  let lineOf = -1;
  const source = image.data;
  const stride = 3 * image.width;
  const identity = rect.width === width;
  for (let y = 0; y < height; y++) {
    const rowWeight = rows.weight[y];
    for (let r = 0; r < rows.count[y]; r++) {
      const sourceRow = rows.first[y] + r;
      if (sourceRow !== lineOf) {
        lineOf = sourceRow;
        let base = (rect.y + sourceRow) * stride + 3 * rect.x;
        if (identity) {
          for (let x = 0; x < width; x++, base += 3) {
            line[x] = source[base];
            line[width + x] = source[base + 1];
            line[2 * width + x] = source[base + 2];
          }
        } else {
          for (let x = 0; x < width; x++) {
            const weights = columns.weight[x];
            let at = base + 3 * columns.first[x];
            let red = 0;
            let green = 0;
            let blue = 0;
            for (let k = 0; k < weights.length; k++, at += 3) {
              const w = weights[k];
              red += w * source[at];
              green += w * source[at + 1];
              blue += w * source[at + 2];
            }
            line[x] = red;
            line[width + x] = green;
            line[2 * width + x] = blue;
          }
        }
      }
      const w = rowWeight[r];
      const out = y * width;
      for (let x = 0; x < width; x++) {
        data[out + x] += w * line[x];
        data[pixels + out + x] += w * line[width + x];
        data[2 * pixels + out + x] += w * line[2 * width + x];
      }
    }
  }
  return { width, height, channels: 3, data };
}
