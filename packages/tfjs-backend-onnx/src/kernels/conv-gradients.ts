import type { OnnxBackend } from '../onnx-backend.js';
import { convFlipped } from './conv-forward.js';
import { type ConvGeometry, isPointwise, tapsOf } from './conv-geometry.js';
import { gatherInput, gatherOutput, scatterAddInput } from './copy-rectangle.js';
import { gradFilterOnGrid, planFilterGrid } from './grad-filter-on-grid.js';
import { gradInputByPhase, planGradInputPhases } from './grad-input-by-phase.js';
import { matMulInto } from './mat-mul.js';
import { winogradGradFilter } from './winograd.js';
import { planWinograd } from './winograd-tiling.js';

/**
 * Writes the gradient of a convolution with respect to its input into `dx` [N,H,W,C].
 *
 * 1x1: one product. Stride 1: a convolution of `dy` with the flipped filter; larger strides: several. Otherwise one product per tap over
 * the rectangle where the tap meets the image, added onto the pixels that the tap reads.
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
  if (flippable(g) && convFlipped(backend, dy, filter, dx, g)) return;
  const phases = planGradInputPhases(backend, g);
  if (phases !== null) {
    gradInputByPhase(backend, dy, filter, dx, g, phases);
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
 * By Winograd's algorithm where it pays. Else each tap's [C,K] block is one product of the pixels that the tap reads with the gradient at the positions it serves;
 * pixels outside the image are never touched, which spares most of the work of widely dilated filters on small maps.
 */
export function convGradFilter(
  backend: OnnxBackend,
  x: Float32Array,
  dy: Float32Array,
  dw: Float32Array,
  g: ConvGeometry,
): void {
  const tiling = backend.winograd ? planWinograd(g) : null;
  if (tiling !== null) {
    winogradGradFilter(backend, x, dy, dw, g, tiling);
    return;
  }
  const taps = tapsOf(g);
  const grid = planFilterGrid(g, taps);
  if (grid !== null) {
    gradFilterOnGrid(backend, x, dy, dw, g, grid);
    return;
  }
  const { inChannels, outChannels } = g;
  const size = inChannels * outChannels;
  for (const tap of taps) {
    const block = dw.subarray(tap.index * size, (tap.index + 1) * size);
    if (tap.positions === 0) {
      block.fill(0);
      continue;
    }
    const wholeInput = tap.positions * inChannels === x.length;
    const wholeOutput = tap.positions * outChannels === dy.length;
    const pixels = wholeInput ? x : backend.arrays.take('float32', tap.positions * inChannels);
    const grads = wholeOutput ? dy : backend.arrays.take('float32', tap.positions * outChannels);
    if (!wholeInput) gatherInput(backend, x, g, tap, pixels);
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
