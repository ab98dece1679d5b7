/** Plain float64 definitions that the tests compare against: slow, obvious, and independent of tfjs. */

/** Deterministic stream of uniform numbers in [0,1). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Values in [-1,1) that float32 holds exactly, so that both sides start from the same numbers. */
export function randomValues(size: number, random: () => number): Float32Array {
  return Float32Array.from({ length: size }, () => random() * 2 - 1);
}

export interface ConvCase {
  batch: number;
  height: number;
  width: number;
  channels: number;
  /** Output channels, or the depth multiplier. */
  filters: number;
  kernel: [number, number];
  strides: [number, number];
  dilations: [number, number];
  pads: [number, number, number, number];
}

export function outputSize(c: ConvCase): [number, number] {
  const size = (n: number, k: number, s: number, d: number, before: number, after: number) =>
    Math.floor((n + before + after - d * (k - 1) - 1) / s) + 1;
  return [
    size(c.height, c.kernel[0], c.strides[0], c.dilations[0], c.pads[0], c.pads[1]),
    size(c.width, c.kernel[1], c.strides[1], c.dilations[1], c.pads[2], c.pads[3]),
  ];
}

/** Calls `visit` with flat indices (x, filter, y) of every product in a convolution. */
function visitProducts(
  c: ConvCase,
  depthwise: boolean,
  visit: (x: number, f: number, y: number) => void,
): void {
  const [oh, ow] = outputSize(c);
  const outChannels = depthwise ? c.channels * c.filters : c.filters;
  for (let n = 0; n < c.batch; n++)
    for (let i = 0; i < oh; i++)
      for (let j = 0; j < ow; j++)
        for (let r = 0; r < c.kernel[0]; r++)
          for (let s = 0; s < c.kernel[1]; s++) {
            const u = i * c.strides[0] + r * c.dilations[0] - c.pads[0];
            const v = j * c.strides[1] + s * c.dilations[1] - c.pads[2];
            if (u < 0 || u >= c.height || v < 0 || v >= c.width) continue;
            for (let a = 0; a < c.channels; a++)
              for (let k = 0; k < c.filters; k++) {
                const x = ((n * c.height + u) * c.width + v) * c.channels + a;
                const f = ((r * c.kernel[1] + s) * c.channels + a) * c.filters + k;
                const out = depthwise ? a * c.filters + k : k;
                visit(x, f, ((n * oh + i) * ow + j) * outChannels + out);
              }
          }
}

export interface ConvReference {
  y: Float64Array;
  dx: Float64Array;
  dFilter: Float64Array;
}

/** Forward pass and both gradients for upstream gradient dy, straight from the definition. */
export function convReference(
  c: ConvCase,
  x: ArrayLike<number>,
  filter: ArrayLike<number>,
  dy: ArrayLike<number>,
  depthwise = false,
): ConvReference {
  const [oh, ow] = outputSize(c);
  const outChannels = depthwise ? c.channels * c.filters : c.filters;
  const y = new Float64Array(c.batch * oh * ow * outChannels);
  const dx = new Float64Array(x.length);
  const dFilter = new Float64Array(filter.length);
  visitProducts(c, depthwise, (i, f, o) => {
    y[o] += x[i] * filter[f];
    dx[i] += dy[o] * filter[f];
    dFilter[f] += dy[o] * x[i];
  });
  return { y, dx, dFilter };
}

/** Central differences of a scalar float64 function at `at`; `step` suits functions of order one. */
export function finiteDifferences(
  f: (at: Float64Array) => number,
  at: ArrayLike<number>,
  step = 1e-5,
): Float64Array {
  const point = Float64Array.from(at);
  return Float64Array.from({ length: point.length }, (_, i) => {
    const value = point[i];
    point[i] = value + step;
    const above = f(point);
    point[i] = value - step;
    const below = f(point);
    point[i] = value;
    return (above - below) / (2 * step);
  });
}

/** Largest difference relative to the largest reference value. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let largest = 1e-12;
  let difference = 0;
  for (let i = 0; i < expected.length; i++) {
    largest = Math.max(largest, Math.abs(expected[i]));
    const d = Math.abs(actual[i] - expected[i]);
    difference = Number.isNaN(d) ? Number.POSITIVE_INFINITY : Math.max(difference, d);
  }
  return difference / largest;
}

/** Inner product, the scalar whose gradient with respect to `a` is `b`. */
export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
