import type { OnnxBackend } from '../onnx-backend.js';
import { canBlock, convFlipped } from './conv-forward.js';
import { type ConvGeometry, isPointwise, tapsOf } from './conv-geometry.js';
import { gatherInput, gatherOutput, scatterAddInput } from './copy-rectangle.js';
import { matMulInto } from './mat-mul.js';

/**
 * Writes the gradient of a convolution with respect to its input into `dx` [N,H,W,C].
 *
 * 1x1: one product. Stride 1: a convolution of `dy` with the flipped filter. Otherwise one product per tap over the
 * rectangle where the tap meets the image, added onto the pixels that the tap reads.
 */
export function convGradInput(
  backend: OnnxBackend,
  dy: Float32Array,
  filter: Float32Array,
  dx: Float32Array,
  g: ConvGeometry,
): void {
  const { inChannels, outChannels } = g;
  if (isPointwise(g)) {
    const pixels = g.batch * g.inHeight * g.inWidth;
    matMulInto(
      backend,
      { values: dy, dims: [pixels, outChannels] },
      { values: filter, dims: [inChannels, outChannels], transpose: true },
      { values: dx, dims: [pixels, inChannels] },
    );
    return;
  }
  if (flippable(g) && canBlock(backend, outChannels)) {
    convFlipped(backend, dy, filter, dx, g);
    return;
  }
  dx.fill(0);
  for (const tap of tapsOf(g)) {
    if (tap.positions === 0) continue;
    const whole = tap.positions * outChannels === dy.length;
    const rows = whole ? dy : backend.arrays.take('float32', tap.positions * outChannels);
    if (!whole) gatherOutput(dy, g, tap, rows);
    const products = backend.arrays.take('float32', tap.positions * inChannels);
    const start = tap.index * inChannels * outChannels;
    matMulInto(
      backend,
      { values: rows, dims: [tap.positions, outChannels] },
      {
        values: filter.subarray(start, start + inChannels * outChannels),
        dims: [inChannels, outChannels],
        transpose: true,
      },
      { values: products, dims: [tap.positions, inChannels] },
    );
    scatterAddInput(products, g, tap, dx);
    if (!whole) backend.arrays.give(rows);
    backend.arrays.give(products);
  }
}

/** Whether the input gradient is a convolution with non-negative pads. */
function flippable(g: ConvGeometry): boolean {
  const reachH = g.dilations[0] * (g.kernelHeight - 1);
  const reachW = g.dilations[1] * (g.kernelWidth - 1);
  const [top, bottom, left, right] = g.pads;
  return (
    g.strides[0] === 1 &&
    g.strides[1] === 1 &&
    Math.max(top, bottom) <= reachH &&
    Math.max(left, right) <= reachW
  );
}

/**
 * Writes the gradient of a convolution with respect to its filter into `dw` [kh,kw,C,K].
 *
 * Each tap's [C,K] block is one product of the pixels that the tap reads with the gradient at the positions it serves;
 * pixels outside the image are never touched, which spares most of the work of widely dilated filters on small maps.
 */
export function convGradFilter(
  backend: OnnxBackend,
  x: Float32Array,
  dy: Float32Array,
  dw: Float32Array,
  g: ConvGeometry,
): void {
  if (sharesGrid(g)) {
    gradFilterOnGrid(backend, x, dy, dw, g);
    return;
  }
  const { inChannels, outChannels } = g;
  const size = inChannels * outChannels;
  for (const tap of tapsOf(g)) {
    const block = dw.subarray(tap.index * size, (tap.index + 1) * size);
    if (tap.positions === 0) {
      block.fill(0);
      continue;
    }
    const wholeInput = tap.positions * inChannels === x.length;
    const wholeOutput = tap.positions * outChannels === dy.length;
    const pixels = wholeInput ? x : backend.arrays.take('float32', tap.positions * inChannels);
    const grads = wholeOutput ? dy : backend.arrays.take('float32', tap.positions * outChannels);
    if (!wholeInput) gatherInput(x, g, tap, pixels);
    if (!wholeOutput) gatherOutput(dy, g, tap, grads);
    matMulInto(
      backend,
      { values: pixels, dims: [tap.positions, inChannels], transpose: true },
      { values: grads, dims: [tap.positions, outChannels] },
      { values: block, dims: [inChannels, outChannels] },
    );
    if (!wholeInput) backend.arrays.give(pixels);
    if (!wholeOutput) backend.arrays.give(grads);
  }
}

/** How much larger than the gradient the common grid may be: zeros are multiplied, but nothing is gathered. */
const MAX_GRID_RATIO = 1.25;

/** Whether padding both images to one grid costs less than gathering two rectangles per tap. */
function sharesGrid(g: ConvGeometry): boolean {
  if (g.strides[0] !== 1 || g.strides[1] !== 1 || g.kernelHeight * g.kernelWidth === 1) return false;
  const height = g.outHeight + g.dilations[0] * (g.kernelHeight - 1);
  const width = g.outWidth + g.dilations[1] * (g.kernelWidth - 1);
  return height * width <= MAX_GRID_RATIO * g.outHeight * g.outWidth;
}

/**
 * The filter gradient of a stride-1 convolution with input and gradient on one grid [N, h + reach, w + reach], the input
 * zero-padded, the gradient in each image's top left corner: a tap is then an offset, and its product reads both in place.
 */
function gradFilterOnGrid(
  backend: OnnxBackend,
  x: Float32Array,
  dy: Float32Array,
  dw: Float32Array,
  g: ConvGeometry,
): void {
  const { batch, inChannels, outChannels } = g;
  const reachH = g.dilations[0] * (g.kernelHeight - 1);
  const reachW = g.dilations[1] * (g.kernelWidth - 1);
  const height = g.outHeight + reachH;
  const width = g.outWidth + reachW;
  const grid = batch * height * width;
  const [top, , left] = g.pads;
  const image = backend.arrays.take('float32', grid * inChannels, true);
  placeOnGrid(x, [g.inHeight, g.inWidth], image, [height, width], { batch, channels: inChannels, top, left });
  const grads = backend.arrays.take('float32', grid * outChannels, true);
  placeOnGrid(dy, [g.outHeight, g.outWidth], grads, [height, width], {
    batch,
    channels: outChannels,
    top: 0,
    left: 0,
  });
  // Behind the last position of the last image's gradient there are zeros only.
  const positions = grid - reachH * width - reachW;
  const size = inChannels * outChannels;
  for (let i = 0; i < g.kernelHeight; i++) {
    for (let j = 0; j < g.kernelWidth; j++) {
      const offset = i * g.dilations[0] * width + j * g.dilations[1];
      const tap = i * g.kernelWidth + j;
      matMulInto(
        backend,
        {
          values: image.subarray(offset * inChannels, (offset + positions) * inChannels),
          dims: [positions, inChannels],
          transpose: true,
        },
        { values: grads.subarray(0, positions * outChannels), dims: [positions, outChannels] },
        { values: dw.subarray(tap * size, (tap + 1) * size), dims: [inChannels, outChannels] },
      );
    }
  }
  backend.arrays.give(image);
  backend.arrays.give(grads);
}

/** Copies images into the corner (top, left) of larger ones, dropping rows and columns that fall outside. */
function placeOnGrid(
  from: Float32Array,
  [fromHeight, fromWidth]: readonly [number, number],
  to: Float32Array,
  [toHeight, toWidth]: readonly [number, number],
  { batch, channels, top, left }: { batch: number; channels: number; top: number; left: number },
): void {
  const columns = Math.min(fromWidth, toWidth - left);
  if (columns <= 0) return;
  for (let n = 0; n < batch; n++) {
    for (let r = 0; r < Math.min(fromHeight, toHeight - top); r++) {
      const start = (n * fromHeight + r) * fromWidth * channels;
      to.set(
        from.subarray(start, start + columns * channels),
        ((n * toHeight + r + top) * toWidth + left) * channels,
      );
    }
  }
}
