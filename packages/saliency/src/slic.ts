import type { Planes } from './planes.js';

/** A partition of an image into superpixels, each one 4-connected piece. */
export interface Superpixels {
  readonly width: number;
  readonly height: number;
  /** Number of superpixels. */
  readonly count: number;
  /** Superpixel of each pixel [h,w], 0..count-1, numbered in the order of their first pixels. */
  readonly labels: Int32Array;
}

/** Numbers of SLIC. */
export interface SlicParameters {
  /** Wanted number of superpixels; the result has about as many. */
  readonly count: number;
  /** Weight of distance in the plane against distance in Lab: larger is squarer. */
  readonly compactness: number;
  readonly iterations: number;
}

/**
 * Simple linear iterative clustering of a Lab image (Achanta et al. TPAMI 2012) with connectivity enforced.
 *
 * Distance^2 = Lab distance^2 + (compactness / S)^2 px distance^2, S = sqrt(pixels / count); each centre looks at its 2S x 2S surroundings.
 * Pieces smaller than S^2 / 4 join the piece before them. Deterministic.
 */
export function slic(lab: Planes, parameters: SlicParameters): Superpixels {
  const { width, height, data } = lab;
  const pixels = width * height;
  const step = Math.max(1, Math.sqrt(pixels / parameters.count));
  const columns = Math.max(1, Math.min(width, parameters.count, Math.round(width / step)));
  const rows = Math.max(
    1,
    Math.min(height, Math.ceil(parameters.count / columns), Math.round(height / step)),
  );
  const count = columns * rows;
  const plane = (c: number) => data.subarray(c * pixels, (c + 1) * pixels);
  const [lPlane, aPlane, bPlane] = [plane(0), plane(1), plane(2)];
  // [count, 5]: L, a, b, x, y.
  const centres = new Float64Array(5 * count);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      const x = Math.min(width - 1, Math.floor(((c + 0.5) * width) / columns));
      const y = Math.min(height - 1, Math.floor(((r + 0.5) * height) / rows));
      const i = y * width + x;
      centres.set([lPlane[i], aPlane[i], bPlane[i], x, y], 5 * (r * columns + c));
    }
  }
  const labels = new Int32Array(pixels);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      labels[y * width + x] = Math.floor((y * rows) / height) * columns + Math.floor((x * columns) / width);
    }
  }
  const nearest = new Float32Array(pixels);
  const sums = new Float64Array(6 * count);
  const planar = (parameters.compactness / step) ** 2;
  // On narrow images the spacing of the centres along a side can exceed S: the windows must still overlap.
  const reachX = Math.ceil(Math.max(step, width / columns));
  const reachY = Math.ceil(Math.max(step, height / rows));
  for (let iteration = 0; iteration < parameters.iterations; iteration++) {
    nearest.fill(Number.POSITIVE_INFINITY);
    for (let k = 0; k < count; k++) {
      const cl = centres[5 * k];
      const ca = centres[5 * k + 1];
      const cb = centres[5 * k + 2];
      const cx = centres[5 * k + 3];
      const cy = centres[5 * k + 4];
      const x0 = Math.max(0, Math.round(cx) - reachX);
      const x1 = Math.min(width - 1, Math.round(cx) + reachX);
      const y0 = Math.max(0, Math.round(cy) - reachY);
      const y1 = Math.min(height - 1, Math.round(cy) + reachY);
      for (let y = y0; y <= y1; y++) {
        const dy = y - cy;
        const vertical = planar * dy * dy;
        const end = y * width + x1;
        let dx = x0 - cx;
        for (let i = y * width + x0; i <= end; i++, dx++) {
          const dl = lPlane[i] - cl;
          const da = aPlane[i] - ca;
          const db = bPlane[i] - cb;
          const d = vertical + planar * dx * dx + dl * dl + da * da + db * db;
          if (d < nearest[i]) {
            nearest[i] = d;
            labels[i] = k;
          }
        }
      }
    }
    sums.fill(0);
    for (let y = 0, i = 0; y < height; y++) {
      for (let x = 0; x < width; x++, i++) {
        const s = 6 * labels[i];
        sums[s] += lPlane[i];
        sums[s + 1] += aPlane[i];
        sums[s + 2] += bPlane[i];
        sums[s + 3] += x;
        sums[s + 4] += y;
        sums[s + 5]++;
      }
    }
    for (let k = 0; k < count; k++) {
      const members = sums[6 * k + 5];
      if (members === 0) continue;
      for (let f = 0; f < 5; f++) centres[5 * k + f] = sums[6 * k + f] / members;
    }
  }
  return enforceConnectivity(labels, width, height, Math.floor((step * step) / 4));
}

/**
 * Renumbers a labelling so that each label is one 4-connected piece; pieces of fewer than `minPixels` px join the piece left of
 * or above their first pixel.
 */
export function enforceConnectivity(
  labels: Int32Array,
  width: number,
  height: number,
  minPixels: number,
): Superpixels {
  const pixels = width * height;
  const result = new Int32Array(pixels).fill(-1);
  const piece = new Int32Array(pixels);
  let count = 0;
  for (let start = 0; start < pixels; start++) {
    if (result[start] >= 0) continue;
    const old = labels[start];
    let size = 1;
    piece[0] = start;
    result[start] = count;
    for (let at = 0; at < size; at++) {
      const i = piece[at];
      const x = i % width;
      if (x > 0 && result[i - 1] < 0 && labels[i - 1] === old) {
        result[i - 1] = count;
        piece[size++] = i - 1;
      }
      if (x < width - 1 && result[i + 1] < 0 && labels[i + 1] === old) {
        result[i + 1] = count;
        piece[size++] = i + 1;
      }
      if (i >= width && result[i - width] < 0 && labels[i - width] === old) {
        result[i - width] = count;
        piece[size++] = i - width;
      }
      if (i + width < pixels && result[i + width] < 0 && labels[i + width] === old) {
        result[i + width] = count;
        piece[size++] = i + width;
      }
    }
    if (size < minPixels && start > 0) {
      const neighbour = start % width > 0 ? result[start - 1] : result[start - width];
      for (let at = 0; at < size; at++) result[piece[at]] = neighbour;
    } else {
      count++;
    }
  }
  return { width, height, count, labels: result };
}
