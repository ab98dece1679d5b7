import type { OnnxBackend } from '../onnx-backend.js';
import { type ConvGeometry, type Tap, type TapRange, tapRange } from './conv-geometry.js';
import { matMulInto } from './mat-mul.js';
import { transposeInto } from './transpose-into.js';

/** How many positions the common grid may have for each one that counts: zeros are multiplied, but nothing is gathered. */
const MAX_GRID_RATIO = 1.15;
/** With fewer channels the product's packed rows stay empty, whatever the order. */
const MIN_CHANNELS = 8;

/**
 * The length of a row of the grid that `gradFilterOnGrid` works on, or null where gathering each tap's pixels costs less.
 *
 * The zeros between two rows serve the end of one and the start of the next, so that there need be only as many as the wider pad.
 */
export function gridRowStride(g: ConvGeometry, taps: readonly Tap[]): number | null {
  if (g.strides[0] !== 1 || g.strides[1] !== 1 || taps.length === 1 || g.inChannels < MIN_CHANNELS)
    return null;
  const left = g.pads[2];
  const right = g.dilations[1] * (g.kernelWidth - 1) - left;
  const stride = Math.max(g.outWidth, g.inWidth + left, g.outWidth + right);
  const useful = taps.reduce((sum, { positions }) => sum + positions, 0);
  const done = taps.reduce((sum, { rows }) => sum + g.batch * (rows.end - rows.start) * stride, 0);
  return done <= MAX_GRID_RATIO * useful ? stride : null;
}

/**
 * The filter gradient dw [kh,kw,C,K] of a stride-1 convolution, with the rows of input and gradient at one distance, zeros between them.
 *
 * The input is transposed once, to [C, positions]: products read it in place and need not transpose it again for each tap and each
 * panel of output channels. A tap's column is then an offset; its rows are cut out, so that rows in the padding cost nothing.
 * What an offset moves past a row's ends falls on zeros, of the input or of the gradient.
 */
export function gradFilterOnGrid(
  backend: OnnxBackend,
  x: Float32Array,
  dy: Float32Array,
  dw: Float32Array,
  g: ConvGeometry,
  rowStride: number,
): void {
  const { batch, inChannels, outChannels } = g;
  const left = g.pads[2];
  // Offsets reach so far before the first position and behind the last.
  const slack: Slack = [left, Math.max(0, g.dilations[1] * (g.kernelWidth - 1) - left)];
  const images = transposedGrid(backend, x, g, rowStride, slack);
  const grads = backend.arrays.take('float32', batch * g.outHeight * rowStride * outChannels, true);
  spreadRows(dy, batch * g.outHeight, g.outWidth * outChannels, grads, rowStride * outChannels);

  const size = inChannels * outChannels;
  for (let i = 0; i < g.kernelHeight; i++) {
    const rows = tapRange(i, {
      inSize: g.inHeight,
      outSize: g.outHeight,
      stride: 1,
      pad: g.pads[0],
      dilation: g.dilations[0],
    });
    const count = rows.end - rows.start;
    const first = i * g.kernelWidth;
    if (count === 0) {
      dw.fill(0, first * size, (first + g.kernelWidth) * size);
      continue;
    }
    const allRead = count === g.inHeight;
    const allServed = count === g.outHeight;
    const read = allRead ? images : cutImageRows(backend, images, g, rows, rowStride, slack);
    const served = allServed ? grads : cutGradientRows(backend, grads, g, rows, rowStride);
    const positions = batch * count * rowStride;
    for (let j = 0; j < g.kernelWidth; j++) {
      const start = slack[0] + j * g.dilations[1] - left;
      matMulInto(
        backend,
        { values: read.subarray(start, start + inChannels * positions), dims: [inChannels, positions] },
        { values: served, dims: [positions, outChannels] },
        {
          values: dw.subarray((first + j) * size, (first + j + 1) * size),
          dims: [inChannels, outChannels],
        },
      );
    }
    if (!allRead) backend.arrays.give(read);
    if (!allServed && batch > 1) backend.arrays.give(served);
  }
  backend.arrays.give(images);
  backend.arrays.give(grads);
}

/** Zeros before the first and behind the last position of transposed images. */
type Slack = readonly [before: number, behind: number];

/** An array for `length` floats with zeros on both sides; what is between is arbitrary. */
function takeWithSlack(backend: OnnxBackend, length: number, [before, behind]: Slack): Float32Array {
  const array = backend.arrays.take('float32', before + length + behind);
  array.fill(0, 0, before);
  array.fill(0, before + length);
  return array;
}

/** Images [N,H,W,C] as [C, N, H, rowStride], zeros at the ends of the rows. */
function transposedGrid(
  backend: OnnxBackend,
  x: Float32Array,
  g: ConvGeometry,
  rowStride: number,
  slack: Slack,
): Float32Array {
  const { inChannels } = g;
  const rows = g.batch * g.inHeight;
  const positions = rows * rowStride;
  const grid = backend.arrays.take('float32', positions * inChannels, true);
  spreadRows(x, rows, g.inWidth * inChannels, grid, rowStride * inChannels);
  const images = takeWithSlack(backend, inChannels * positions, slack);
  const inner = images.subarray(slack[0], slack[0] + inChannels * positions);
  transposeInto(backend, grid, [positions, inChannels], [1, 0], inner);
  backend.arrays.give(grid);
  return images;
}

/** The rows [C, N, count, rowStride] that one row of taps reads. */
function cutImageRows(
  backend: OnnxBackend,
  images: Float32Array,
  g: ConvGeometry,
  rows: TapRange,
  rowStride: number,
  slack: Slack,
): Float32Array {
  const planes = g.inChannels * g.batch;
  const length = (rows.end - rows.start) * rowStride;
  const cut = takeWithSlack(backend, planes * length, slack);
  for (let plane = 0; plane < planes; plane++) {
    const from = slack[0] + (plane * g.inHeight + rows.from) * rowStride;
    cut.set(images.subarray(from, from + length), slack[0] + plane * length);
  }
  return cut;
}

/** The rows [N, count, rowStride, K] of the gradient that one row of taps serves; in place where they are in one piece. */
function cutGradientRows(
  backend: OnnxBackend,
  grads: Float32Array,
  g: ConvGeometry,
  rows: TapRange,
  rowStride: number,
): Float32Array {
  const row = rowStride * g.outChannels;
  const length = (rows.end - rows.start) * row;
  if (g.batch === 1) return grads.subarray(rows.start * row, rows.end * row);
  const cut = backend.arrays.take('float32', g.batch * length);
  for (let n = 0; n < g.batch; n++) {
    const from = (n * g.outHeight + rows.start) * row;
    cut.set(grads.subarray(from, from + length), n * length);
  }
  return cut;
}

/** Copies rows to a larger distance; what is between them is left as it was. */
function spreadRows(
  from: Float32Array,
  rows: number,
  length: number,
  to: Float32Array,
  stride: number,
): void {
  for (let r = 0; r < rows; r++) to.set(from.subarray(r * length, (r + 1) * length), r * stride);
}
