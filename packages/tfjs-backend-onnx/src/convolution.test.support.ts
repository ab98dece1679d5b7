import { expect } from '@jest/globals';

/** A convolution to test. */
export interface Case {
  x: [number, number, number, number];
  kernel: [number, number];
  out: number;
  strides: [number, number];
  dilations: [number, number];
  /** top, bottom, left, right */
  pads: [number, number, number, number];
  /** Of the filter gradient: a product for each row of taps or for each tap. */
  joined?: boolean;
}

/** Deterministic values in -1..1. */
export function noise(size: number, seed: number): Float32Array {
  let state = (seed * 2654435761 + 12345) >>> 0;
  return Float32Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

export const product = (shape: number[]) => shape.reduce((a, b) => a * b, 1);

export function outputSize(c: Case, axis: 0 | 1): number {
  const pad = c.pads[2 * axis] + c.pads[2 * axis + 1];
  return (
    Math.floor((c.x[1 + axis] + pad - c.dilations[axis] * (c.kernel[axis] - 1) - 1) / c.strides[axis]) + 1
  );
}

/** Sums over every (tap, output, input) triple of a convolution by the definition. */
export function bruteForce(c: Case, depthwise: boolean, x: Float32Array, w: Float32Array, dy: Float32Array) {
  const [n, h, wd, ch] = c.x;
  const [oh, ow] = [outputSize(c, 0), outputSize(c, 1)];
  const y = new Float64Array(n * oh * ow * c.out);
  const dx = new Float64Array(x.length);
  const dw = new Float64Array(w.length);
  for (let b = 0; b < n; b++)
    for (let r = 0; r < oh; r++)
      for (let q = 0; q < ow; q++)
        for (let i = 0; i < c.kernel[0]; i++)
          for (let j = 0; j < c.kernel[1]; j++) {
            const row = r * c.strides[0] + i * c.dilations[0] - c.pads[0];
            const column = q * c.strides[1] + j * c.dilations[1] - c.pads[2];
            if (row < 0 || column < 0 || row >= h || column >= wd) continue;
            const xi = ((b * h + row) * wd + column) * ch;
            const yi = ((b * oh + r) * ow + q) * c.out;
            const tap = i * c.kernel[1] + j;
            for (let k = 0; k < c.out; k++) {
              const first = depthwise ? Math.floor((k * ch) / c.out) : 0;
              const last = depthwise ? first + 1 : ch;
              for (let p = first; p < last; p++) {
                const wi = depthwise ? tap * c.out + k : (tap * ch + p) * c.out + k;
                y[yi + k] += x[xi + p] * w[wi];
                dx[xi + p] += dy[yi + k] * w[wi];
                dw[wi] += x[xi + p] * dy[yi + k];
              }
            }
          }
  return { y, dx, dw };
}

/** @throws Error when a value is off by more than 2e-5 of the largest. */
export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, what: string): void {
  expect(actual.length).toBe(expected.length);
  let worst = 0;
  let scale = 1;
  for (let i = 0; i < expected.length; i++) {
    // NaN must fail, so compare with "not within".
    const error = Math.abs(actual[i] - expected[i]);
    if (!(error <= worst)) worst = error;
    scale = Math.max(scale, Math.abs(expected[i]));
  }
  if (!(worst <= 2e-5 * scale)) throw new Error(`${what}: error ${worst} at scale ${scale}`);
}
