import type { ConvGeometry } from '../gradients/conv-geometry.js';

type Shape4D = readonly number[];

/** Sizes of a convolution and of its gradients. */
interface Extents extends ConvGeometry {
  /** [N,H,W,C] */
  input: Shape4D;
  /** [kh,kw,C,K] or [kh,kw,C,M] */
  filter: Shape4D;
  /** [N,OH,OW,K] or [N,OH,OW,C*M] */
  output: Shape4D;
}

/** Calls `visit` with the pixel indices (input, tap, output) of every product of a convolution, channels left out. */
function visitPixels(e: Extents, visit: (input: number, tap: number, output: number) => void): void {
  const [n, h, w] = e.input;
  const [kh, kw] = e.filter;
  const [, oh, ow] = e.output;
  const [sh, sw] = e.strides;
  const [dh, dw] = e.dilations;
  const [top, , left] = e.pads;
  for (let image = 0; image < n; image++)
    for (let i = 0; i < oh; i++)
      for (let r = 0; r < kh; r++) {
        const u = i * sh + r * dh - top;
        if (u < 0 || u >= h) continue;
        for (let j = 0; j < ow; j++) {
          const output = (image * oh + i) * ow + j;
          for (let s = 0; s < kw; s++) {
            const v = j * sw + s * dw - left;
            if (v >= 0 && v < w) visit((image * h + u) * w + v, r * kw + s, output);
          }
        }
      }
}

/** Input gradient of a convolution in plain loops. */
export function cpuConv2DInputGradient(e: Extents, dy: Float32Array, filter: Float32Array): Float32Array {
  const [c, k] = e.filter.slice(2);
  const dx = new Float32Array(e.input.reduce((a, b) => a * b, 1));
  visitPixels(e, (input, tap, output) => {
    for (let a = 0; a < c; a++) {
      const weights = (tap * c + a) * k;
      let sum = 0;
      for (let b = 0; b < k; b++) sum += dy[output * k + b] * filter[weights + b];
      dx[input * c + a] += sum;
    }
  });
  return dx;
}

/** Filter gradient of a convolution in plain loops, summed in float64. */
export function cpuConv2DFilterGradient(e: Extents, x: Float32Array, dy: Float32Array): Float32Array {
  const [c, k] = e.filter.slice(2);
  const sums = new Float64Array(e.filter.reduce((a, b) => a * b, 1));
  visitPixels(e, (input, tap, output) => {
    for (let a = 0; a < c; a++) {
      const value = x[input * c + a];
      const weights = (tap * c + a) * k;
      for (let b = 0; b < k; b++) sums[weights + b] += value * dy[output * k + b];
    }
  });
  return Float32Array.from(sums);
}

/** Input gradient of a depthwise convolution in plain loops. */
export function cpuDepthwiseInputGradient(e: Extents, dy: Float32Array, filter: Float32Array): Float32Array {
  const [c, m] = e.filter.slice(2);
  const dx = new Float32Array(e.input.reduce((a, b) => a * b, 1));
  visitPixels(e, (input, tap, output) => {
    for (let a = 0; a < c; a++)
      for (let b = 0; b < m; b++) {
        dx[input * c + a] += dy[(output * c + a) * m + b] * filter[(tap * c + a) * m + b];
      }
  });
  return dx;
}

/** Filter gradient of a depthwise convolution in plain loops, summed in float64. */
export function cpuDepthwiseFilterGradient(e: Extents, x: Float32Array, dy: Float32Array): Float32Array {
  const [c, m] = e.filter.slice(2);
  const sums = new Float64Array(e.filter.reduce((a, b) => a * b, 1));
  visitPixels(e, (input, tap, output) => {
    for (let a = 0; a < c; a++)
      for (let b = 0; b < m; b++)
        sums[(tap * c + a) * m + b] += x[input * c + a] * dy[(output * c + a) * m + b];
  });
  return Float32Array.from(sums);
}
