import type { Planes } from './planes.js';

const { sqrt } = Math;

/**
 * Contrast of every pixel to the colours of the image's four border strips [h,w], 0..1.
 *
 * u_k = Mahalanobis distance to the mean colour of strip k (covariance + `regularisation` I), divided by its maximum;
 * the result is the sum of the four less the largest, so that one strip full of object does no harm, divided by its maximum
 * (Zhang et al. ICCV 2015, equations 8 and 9). All 0 for a constant image.
 */
export function borderContrast(lab: Planes, stripShare: number, regularisation: number): Float32Array {
  const { width, height, data } = lab;
  const pixels = width * height;
  const across = Math.max(1, Math.floor(stripShare * width));
  const down = Math.max(1, Math.floor(stripShare * height));
  const strips = [
    [0, 0, width, down],
    [0, height - down, width, height],
    [0, 0, across, height],
    [width - across, 0, width, height],
  ];
  const sum = new Float32Array(pixels);
  const largest = new Float32Array(pixels);
  const contrast = new Float32Array(pixels);
  for (const [x0, y0, x1, y1] of strips) {
    const { mean, inverse } = stripStatistics(lab, x0, y0, x1, y1, regularisation);
    const [ml, ma, mb] = mean;
    const [ll, la, lb, aa, ab, bb] = inverse;
    let top = 0;
    for (let i = 0; i < pixels; i++) {
      const l = data[i] - ml;
      const a = data[pixels + i] - ma;
      const b = data[2 * pixels + i] - mb;
      const squared = ll * l * l + aa * a * a + bb * b * b + 2 * (la * l * a + lb * l * b + ab * a * b);
      const value = squared > 0 ? sqrt(squared) : 0;
      contrast[i] = value;
      if (value > top) top = value;
    }
    if (top === 0) continue;
    const scale = 1 / top;
    for (let i = 0; i < pixels; i++) {
      const value = contrast[i] * scale;
      sum[i] += value;
      if (value > largest[i]) largest[i] = value;
    }
  }
  let top = 0;
  for (let i = 0; i < pixels; i++) {
    const value = sum[i] - largest[i];
    sum[i] = value;
    if (value > top) top = value;
  }
  if (top > 0) for (let i = 0; i < pixels; i++) sum[i] /= top;
  return sum;
}

/** Mean colour of a strip, and the upper triangle of the inverse of (covariance + regularisation I). */
function stripStatistics(
  lab: Planes,
  x0: number,
  y0: number,
  x1: number,
  y1: number,
  regularisation: number,
) {
  const { width, data } = lab;
  const pixels = width * lab.height;
  const count = (x1 - x0) * (y1 - y0);
  const mean = [0, 0, 0];
  for (let y = y0; y < y1; y++) {
    for (let i = y * width + x0; i < y * width + x1; i++) {
      mean[0] += data[i];
      mean[1] += data[pixels + i];
      mean[2] += data[2 * pixels + i];
    }
  }
  for (let c = 0; c < 3; c++) mean[c] /= count;
  let ll = 0;
  let la = 0;
  let lb = 0;
  let aa = 0;
  let ab = 0;
  let bb = 0;
  for (let y = y0; y < y1; y++) {
    for (let i = y * width + x0; i < y * width + x1; i++) {
      const l = data[i] - mean[0];
      const a = data[pixels + i] - mean[1];
      const b = data[2 * pixels + i] - mean[2];
      ll += l * l;
      la += l * a;
      lb += l * b;
      aa += a * a;
      ab += a * b;
      bb += b * b;
    }
  }
  ll = ll / count + regularisation;
  aa = aa / count + regularisation;
  bb = bb / count + regularisation;
  la /= count;
  lb /= count;
  ab /= count;
  const c00 = aa * bb - ab * ab;
  const c01 = lb * ab - la * bb;
  const c02 = la * ab - lb * aa;
  const scale = 1 / (ll * c00 + la * c01 + lb * c02);
  return {
    mean,
    inverse: [
      c00 * scale,
      c01 * scale,
      c02 * scale,
      (ll * bb - lb * lb) * scale,
      (la * lb - ll * ab) * scale,
      (ll * aa - la * la) * scale,
    ],
  };
}
