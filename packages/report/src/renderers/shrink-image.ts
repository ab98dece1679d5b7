import type { RgbImage } from '@auxseg/formats';
import { checkImage } from './check-image.js';

/**
 * Shrinks a picture so that its longer side is at most `maxSidePx`, each pixel the mean of the area it covers.
 *
 * A smaller picture is returned as a copy. Keeps a report with many pictures small.
 * @throws ReportError BAD_IMAGE
 */
export function shrinkImage(image: RgbImage, maxSidePx: number): RgbImage {
  checkImage('a picture', image, 3);
  const scale = Math.min(1, maxSidePx / Math.max(image.width, image.height));
  const width = Math.max(1, Math.round(image.width * scale));
  const height = Math.max(1, Math.round(image.height * scale));
  if (scale === 1) return { width, height, data: image.data.slice() };
  const columns = coverage(image.width, width);
  const rows = coverage(image.height, height);
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const sums = [0, 0, 0];
      for (const row of rows[y]) {
        for (const column of columns[x]) {
          const at = 3 * (row.index * image.width + column.index);
          const weight = row.weight * column.weight;
          for (let channel = 0; channel < 3; channel++) sums[channel] += weight * image.data[at + channel];
        }
      }
      for (let channel = 0; channel < 3; channel++)
        data[3 * (y * width + x) + channel] = Math.round(sums[channel]);
    }
  }
  return { width, height, data };
}

/** For each target index the source indices that it covers, with weights of sum 1. */
function coverage(from: number, to: number): { index: number; weight: number }[][] {
  const ratio = from / to;
  return Array.from({ length: to }, (_, target) => {
    const [start, end] = [target * ratio, Math.min(from, (target + 1) * ratio)];
    const covered: { index: number; weight: number }[] = [];
    for (let index = Math.floor(start); index < end; index++) {
      const weight = (Math.min(end, index + 1) - Math.max(start, index)) / ratio;
      if (weight > 0) covered.push({ index, weight });
    }
    return covered;
  });
}
