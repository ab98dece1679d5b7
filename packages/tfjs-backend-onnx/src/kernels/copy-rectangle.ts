import type { ConvGeometry, Tap } from './conv-geometry.js';

/** Below this many floats a plain loop copies faster than `TypedArray.set`. */
const SET_THRESHOLD = 32;

function copyRun(
  from: Float32Array,
  fromStart: number,
  to: Float32Array,
  toStart: number,
  length: number,
): void {
  if (length >= SET_THRESHOLD) to.set(from.subarray(fromStart, fromStart + length), toStart);
  else for (let i = 0; i < length; i++) to[toStart + i] = from[fromStart + i];
}

/** Gathers the input pixels that one tap reads, [positions, C], row by row of its rectangle. */
export function gatherInput(x: Float32Array, g: ConvGeometry, tap: Tap, out: Float32Array): void {
  const { rows, columns } = tap;
  const channels = g.inChannels;
  const width = columns.end - columns.start;
  const [strideH, strideW] = g.strides;
  let to = 0;
  for (let n = 0; n < g.batch; n++) {
    for (let r = 0; r < rows.end - rows.start; r++) {
      let from = ((n * g.inHeight + rows.from + r * strideH) * g.inWidth + columns.from) * channels;
      if (strideW === 1) {
        copyRun(x, from, out, to, width * channels);
        to += width * channels;
      } else {
        for (let c = 0; c < width; c++) {
          copyRun(x, from, out, to, channels);
          to += channels;
          from += strideW * channels;
        }
      }
    }
  }
}

/** Gathers the output pixels of one tap's rectangle, [positions, K]. */
export function gatherOutput(y: Float32Array, g: ConvGeometry, tap: Tap, out: Float32Array): void {
  const { rows, columns } = tap;
  const length = (columns.end - columns.start) * g.outChannels;
  let to = 0;
  for (let n = 0; n < g.batch; n++) {
    for (let r = rows.start; r < rows.end; r++) {
      copyRun(y, ((n * g.outHeight + r) * g.outWidth + columns.start) * g.outChannels, out, to, length);
      to += length;
    }
  }
}

/** Adds [positions, C] onto the input pixels that one tap reads: the adjoint of `gatherInput`. */
export function scatterAddInput(values: Float32Array, g: ConvGeometry, tap: Tap, x: Float32Array): void {
  const { rows, columns } = tap;
  const channels = g.inChannels;
  const width = columns.end - columns.start;
  const [strideH, strideW] = g.strides;
  const run = strideW === 1 ? width * channels : channels;
  const runs = strideW === 1 ? 1 : width;
  let from = 0;
  for (let n = 0; n < g.batch; n++) {
    for (let r = 0; r < rows.end - rows.start; r++) {
      let to = ((n * g.inHeight + rows.from + r * strideH) * g.inWidth + columns.from) * channels;
      for (let c = 0; c < runs; c++) {
        for (let i = 0; i < run; i++) x[to + i] += values[from + i];
        from += run;
        to += strideW * channels;
      }
    }
  }
}
