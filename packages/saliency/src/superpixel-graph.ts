import type { Planes } from './planes.js';
import type { Superpixels } from './slic.js';

const { sqrt } = Math;

/** What RBD knows of the superpixels; matrices are [count,count], row-major, symmetric. */
export interface SuperpixelGraph {
  readonly count: number;
  /** Mean Lab colour [count,3]. */
  readonly lab: Float64Array;
  /** Mean position [count,2]: x / width, y / height. */
  readonly position: Float64Array;
  /** Pixels of each superpixel [count]. */
  readonly area: Float64Array;
  /** 1 where the superpixel touches the image border [count]. */
  readonly border: Uint8Array;
  /** 1 where two superpixels touch (8-connected pixels); 0 on the diagonal. */
  readonly adjacent: Uint8Array;
  /** Lab distance of the mean colours. */
  readonly colourDistance: Float32Array;
}

/** Measures the superpixels of a Lab image and who touches whom. */
export function measureSuperpixels(lab: Planes, superpixels: Superpixels): SuperpixelGraph {
  const { width, height, count, labels } = superpixels;
  const pixels = width * height;
  const { data } = lab;
  const means = new Float64Array(3 * count);
  const position = new Float64Array(2 * count);
  const area = new Float64Array(count);
  const border = new Uint8Array(count);
  const adjacent = new Uint8Array(count * count);
  for (let y = 0, i = 0; y < height; y++) {
    const rowBorder = y === 0 || y === height - 1;
    for (let x = 0; x < width; x++, i++) {
      const k = labels[i];
      means[3 * k] += data[i];
      means[3 * k + 1] += data[pixels + i];
      means[3 * k + 2] += data[2 * pixels + i];
      position[2 * k] += x;
      position[2 * k + 1] += y;
      area[k]++;
      if (rowBorder || x === 0 || x === width - 1) border[k] = 1;
      const right = x < width - 1;
      if (right) adjacent[k * count + labels[i + 1]] = 1;
      if (y < height - 1) {
        adjacent[k * count + labels[i + width]] = 1;
        if (right) adjacent[k * count + labels[i + width + 1]] = 1;
        if (x > 0) adjacent[k * count + labels[i + width - 1]] = 1;
      }
    }
  }
  for (let k = 0; k < count; k++) {
    for (let c = 0; c < 3; c++) means[3 * k + c] /= area[k];
    position[2 * k] = (position[2 * k] / area[k] + 0.5) / width;
    position[2 * k + 1] = (position[2 * k + 1] / area[k] + 0.5) / height;
    adjacent[k * count + k] = 0;
    for (let j = 0; j < k; j++) {
      const touching = adjacent[k * count + j] | adjacent[j * count + k];
      adjacent[k * count + j] = touching;
      adjacent[j * count + k] = touching;
    }
  }
  const colourDistance = new Float32Array(count * count);
  for (let k = 0; k < count; k++) {
    for (let j = 0; j < k; j++) {
      const l = means[3 * k] - means[3 * j];
      const a = means[3 * k + 1] - means[3 * j + 1];
      const b = means[3 * k + 2] - means[3 * j + 2];
      const distance = sqrt(l * l + a * a + b * b);
      colourDistance[k * count + j] = distance;
      colourDistance[j * count + k] = distance;
    }
  }
  return { count, lab: means, position, area, border, adjacent, colourDistance };
}

/** 1 where two superpixels are at most two steps apart, or both touch the image border; 0 on the diagonal. */
export function twoRingWithBorder(graph: SuperpixelGraph): Uint8Array {
  const { count, adjacent, border } = graph;
  const linked = new Uint8Array(count * count);
  for (let k = 0; k < count; k++) {
    const row = k * count;
    for (let j = 0; j < count; j++) {
      if (!adjacent[row + j]) continue;
      linked[row + j] = 1;
      for (let m = 0; m < count; m++) if (adjacent[j * count + m]) linked[row + m] = 1;
    }
    if (border[k]) for (let j = 0; j < count; j++) if (border[j]) linked[row + j] = 1;
    linked[row + k] = 0;
  }
  return linked;
}
