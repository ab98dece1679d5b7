import * as tf from '@tensorflow/tfjs-core';
import { kernelNames } from '../kernels/kernel-names.js';
import { runOptionalKernel } from '../kernels/run-kernel.js';
import { type ConvGeometry, explicitPads, type Pads } from './conv-geometry.js';

type Shape4D = [number, number, number, number];

/** Runs `dy` through a stride-1 convolution; the plain and the depthwise gradient differ only in this. */
type StrideOneConvolution = (
  dy: tf.Tensor4D,
  filter: tf.Tensor4D,
  pads: Pads,
  dilations: [number, number],
) => tf.Tensor4D;

const convolveStrideOne: StrideOneConvolution = (dy, filter, pads, dilations) =>
  tf.conv2d(dy, filter, 1, explicitPads(pads), 'NHWC', dilations);

const convolveDepthwiseStrideOne: StrideOneConvolution = (dy, filter, pads, dilations) =>
  tf.depthwiseConv2d(dy, filter, 1, explicitPads(pads), 'NHWC', dilations);

/** Crops where a pad is negative: tfjs's convolutions take none below zero. Null when nothing of dy is left. */
function cropNegativePads(dy: tf.Tensor4D, pads: Pads): { dy: tf.Tensor4D; pads: Pads } | null {
  if (pads.every((pad) => pad >= 0)) return { dy, pads };
  const [n, h, w, c] = dy.shape;
  const crop = pads.map((pad) => Math.max(0, -pad)) as Pads;
  if (crop[0] + crop[1] >= h || crop[2] + crop[3] >= w) return null;
  return {
    dy: tf.slice(dy, [0, crop[0], crop[2], 0], [n, h - crop[0] - crop[1], w - crop[2] - crop[3], c]),
    pads: pads.map((pad) => Math.max(0, pad)) as Pads,
  };
}

const greatestCommonDivisor = (a: number, b: number): number =>
  b === 0 ? a : greatestCommonDivisor(b, a % b);

/** The kernel taps that reach one residue class of input positions along one axis. */
interface PhaseTaps {
  /** First tap and distance between taps. */
  first: number;
  step: number;
  count: number;
  /** Output offset of the first tap and of each further one: position q of the phase reads dy[q - offset - m * spacing]. */
  offset: number;
  spacing: number;
}

/** Taps k of `size` with k * dilation = phase (mod stride): an arithmetic progression, or none. */
function phaseTaps(size: number, stride: number, dilation: number, phase: number): PhaseTaps | null {
  const divisor = greatestCommonDivisor(stride, dilation);
  const step = stride / divisor;
  for (let first = 0; first < Math.min(step, size); first++) {
    if ((first * dilation) % stride === phase) {
      return {
        first,
        step,
        count: Math.ceil((size - first) / step),
        offset: (first * dilation - phase) / stride,
        spacing: dilation / divisor,
      };
    }
  }
  return null;
}

/** Filter rows and columns first, first + step, ... of a [kh,kw,a,b] filter. */
function pickTaps(filter: tf.Tensor4D, rows: PhaseTaps, columns: PhaseTaps): tf.Tensor4D {
  const [kh, kw, a, b] = filter.shape;
  if (rows.count === kh && columns.count === kw) return filter;
  const take = (index: { first: number; step: number; count: number }) =>
    Array.from({ length: index.count }, (_, i) => index.first + i * index.step);
  const picked = take(rows).flatMap((r) =>
    take(columns).map((c) => tf.slice(filter, [r, c, 0, 0], [1, 1, a, b])),
  );
  return tf.reshape(picked.length === 1 ? picked[0] : tf.concat(picked, 0), [
    rows.count,
    columns.count,
    a,
    b,
  ]);
}

/**
 * Gradient with respect to the input by sub-pixel phases: input positions that share a residue modulo the stride read
 * the same taps, so each residue class is an ordinary stride-1 convolution of dy, and the classes interleave.
 */
function inputGradientByPhases(
  dy: tf.Tensor4D,
  flippedSource: tf.Tensor4D,
  inputShape: Shape4D,
  { strides: [sh, sw], pads: [top, , left], dilations: [dh, dw] }: ConvGeometry,
  prepareFilter: (filter: tf.Tensor4D) => tf.Tensor4D,
  convolve: StrideOneConvolution,
): tf.Tensor4D {
  const [n, h, w, c] = inputShape;
  const [kh, kw] = flippedSource.shape;
  const [, oh, ow] = dy.shape;
  // Padding rows before the first whole period would be computed and thrown away: start behind them.
  const skippedRows = Math.floor(top / sh);
  const skippedColumns = Math.floor(left / sw);
  const rowsPerPhase = Math.ceil((h + top) / sh) - skippedRows;
  const columnsPerPhase = Math.ceil((w + left) / sw) - skippedColumns;
  const rowBands: tf.Tensor4D[] = [];
  for (let r = 0; r < sh; r++) {
    const columns: tf.Tensor4D[] = [];
    const rowTaps = phaseTaps(kh, sh, dh, r);
    for (let s = 0; s < sw; s++) {
      const columnTaps = phaseTaps(kw, sw, dw, s);
      const empty = () => columns.push(tf.zeros([n, rowsPerPhase, columnsPerPhase, c]));
      if (rowTaps == null || columnTaps == null) {
        empty();
        continue;
      }
      const reachH = (rowTaps.count - 1) * rowTaps.spacing;
      const reachW = (columnTaps.count - 1) * columnTaps.spacing;
      const padTop = reachH + rowTaps.offset - skippedRows;
      const padLeft = reachW + columnTaps.offset - skippedColumns;
      const cropped = cropNegativePads(dy, [
        padTop,
        rowsPerPhase - oh - padTop + reachH,
        padLeft,
        columnsPerPhase - ow - padLeft + reachW,
      ]);
      if (cropped == null) {
        empty();
        continue;
      }
      columns.push(
        convolve(cropped.dy, prepareFilter(pickTaps(flippedSource, rowTaps, columnTaps)), cropped.pads, [
          rowTaps.spacing,
          columnTaps.spacing,
        ]),
      );
    }
    const band = columns.length === 1 ? columns[0] : tf.concat(columns, 3);
    rowBands.push(tf.reshape(band, [n, rowsPerPhase, columnsPerPhase * sw, c]));
  }
  const stacked = rowBands.length === 1 ? rowBands[0] : tf.concat(rowBands, 2);
  const full: tf.Tensor4D = tf.reshape(stacked, [n, rowsPerPhase * sh, columnsPerPhase * sw, c]);
  if (full.shape[1] === h && full.shape[2] === w) return full;
  return tf.slice(full, [0, top - skippedRows * sh, left - skippedColumns * sw, 0], inputShape);
}

/** [kh,kw,C,K] rotated by 180 degrees with its channel axes exchanged: [kh,kw,K,C]. */
function flipAndTranspose(filter: tf.Tensor4D): tf.Tensor4D {
  const own = runOptionalKernel<tf.Tensor4D>(kernelNames.transposeFilter, { x: filter }, { rotate: true });
  if (own != null) return own;
  const [kh, kw, c, k] = filter.shape;
  const transposed: tf.Tensor4D =
    kh === 1 && kw === 1
      ? tf.reshape(tf.transpose(tf.reshape(filter, [c, k])), [1, 1, k, c])
      : tf.transpose(filter, [0, 1, 3, 2]);
  return kh === 1 && kw === 1 ? transposed : tf.reverse(transposed, [0, 1]);
}

/**
 * Gradient of a convolution with respect to its input, composed of tf operations.
 *
 * Stride 1: the convolution of dy with the flipped, transposed filter, padded by dilation * (k - 1) - pad. Larger
 * strides: one such convolution a sub-pixel phase.
 *
 * @param dy [N,OH,OW,K]
 * @param filter [kh,kw,C,K]
 * @returns [N,H,W,C]
 */
export function composeConv2DInputGradient(
  dy: tf.Tensor4D,
  filter: tf.Tensor4D,
  inputShape: Shape4D,
  geometry: ConvGeometry,
): tf.Tensor4D {
  return tf.tidy(() =>
    inputGradientByPhases(dy, filter, inputShape, geometry, flipAndTranspose, convolveStrideOne),
  );
}

/** Padding (cropping where negative) so that the result holds exactly [height, width] pixels. */
function padTo(
  x: tf.Tensor4D,
  axisH: number,
  top: number,
  left: number,
  height: number,
  width: number,
): tf.Tensor4D {
  const extents: [number, number][] = [
    [0, 0],
    [0, 0],
    [0, 0],
    [0, 0],
  ];
  const begin = [0, 0, 0, 0];
  const size = [...x.shape];
  const fit = (axis: number, before: number, total: number) => {
    const after = total - before - x.shape[axis];
    extents[axis] = [Math.max(0, before), Math.max(0, after)];
    begin[axis] = Math.max(0, -before);
    size[axis] = x.shape[axis] - begin[axis] - Math.max(0, -after);
  };
  fit(axisH, top, height);
  fit(axisH + 1, left, width);
  const cropped = size.some((extent, axis) => extent !== x.shape[axis]) ? tf.slice(x, begin, size) : x;
  return extents.some(([a, b]) => a > 0 || b > 0) ? tf.pad(cropped, extents) : cropped;
}

/**
 * Gradient of a convolution with respect to its filter, composed of tf operations.
 *
 * The input is transposed once to channel-first, padded and split into stride phases; then each tap is one slice and
 * one matrix product [C, N*OH*OW] x [N*OH*OW, K], at batch 1 and without transpose flags, which is the one form that
 * the wasm backend multiplies fast.
 *
 * @param x [N,H,W,C]
 * @param dy [N,OH,OW,K]
 * @returns [kh,kw,C,K]
 */
export function composeConv2DFilterGradient(
  x: tf.Tensor4D,
  dy: tf.Tensor4D,
  filterShape: Shape4D,
  { strides: [sh, sw], pads: [top, , left], dilations: [dh, dw] }: ConvGeometry,
): tf.Tensor4D {
  return tf.tidy(() => {
    const [kh, kw, c, k] = filterShape;
    const [n, oh, ow] = dy.shape;
    const positions = n * oh * ow;
    const dyMatrix = tf.reshape(dy, [positions, k]);
    const phaseH = Math.ceil(((kh - 1) * dh + 1 + (oh - 1) * sh) / sh);
    const phaseW = Math.ceil(((kw - 1) * dw + 1 + (ow - 1) * sw) / sw);
    if (kh === 1 && kw === 1) {
      // A strided 1x1 convolution reads one phase only: keep that one before anything is transposed.
      const padded = padTo(x, 1, top, left, oh * sh, ow * sw);
      const read =
        sh === 1 && sw === 1
          ? padded
          : tf.slice(tf.reshape(padded, [n * oh, sh, ow, sw * c]), [0, 0, 0, 0], [n * oh, 1, ow, c]);
      const rows: tf.Tensor2D = tf.reshape(read, [positions, c]);
      return tf.reshape(tf.matMul(tf.transpose(rows), dyMatrix), filterShape);
    }
    const channelFirst = tf.reshape(tf.transpose(tf.reshape(x, [-1, c])), [
      c,
      x.shape[0],
      x.shape[1],
      x.shape[2],
    ]) as tf.Tensor4D;
    const padded = padTo(channelFirst, 2, top, left, phaseH * sh, phaseW * sw);
    const phases =
      sh === 1 && sw === 1
        ? padded
        : tf.transpose(tf.reshape(padded, [c * n, phaseH, sh, phaseW, sw]), [2, 4, 0, 1, 3]);
    const maps = tf.reshape(phases, [sh * sw, c * n, phaseH, phaseW]) as tf.Tensor4D;
    const taps: tf.Tensor[] = [];
    for (let r = 0; r < kh; r++) {
      for (let s = 0; s < kw; s++) {
        const phase = ((r * dh) % sh) * sw + ((s * dw) % sw);
        const window = tf.slice(
          maps,
          [phase, 0, Math.floor((r * dh) / sh), Math.floor((s * dw) / sw)],
          [1, c * n, oh, ow],
        );
        taps.push(tf.matMul(tf.reshape(window, [c, positions]), dyMatrix));
        window.dispose();
      }
    }
    return tf.reshape(taps.length === 1 ? taps[0] : tf.concat(taps, 0), filterShape);
  });
}

/** [kh,kw,C,1] rotated by 180 degrees. */
const flip = (filter: tf.Tensor4D): tf.Tensor4D =>
  filter.shape[0] === 1 && filter.shape[1] === 1 ? filter : tf.reverse(filter, [0, 1]);

/**
 * Gradient of a depthwise convolution with respect to its input, composed of tf operations.
 *
 * @param dy [N,OH,OW,C*M]
 * @param filter [kh,kw,C,M]
 * @returns [N,H,W,C]
 */
export function composeDepthwiseInputGradient(
  dy: tf.Tensor4D,
  filter: tf.Tensor4D,
  inputShape: Shape4D,
  geometry: ConvGeometry,
): tf.Tensor4D {
  return tf.tidy(() => {
    const [kh, kw, c, multiplier] = filter.shape;
    const [n, oh, ow] = dy.shape;
    const gradient = (part: tf.Tensor4D, taps: tf.Tensor4D) =>
      inputGradientByPhases(part, taps, inputShape, geometry, flip, convolveDepthwiseStrideOne);
    if (multiplier === 1) return gradient(dy, filter);
    const split = tf.reshape(dy, [n * oh * ow, c, multiplier]);
    const parts = Array.from({ length: multiplier }, (_, m) =>
      gradient(
        tf.reshape(tf.slice(split, [0, 0, m], [n * oh * ow, c, 1]), [n, oh, ow, c]),
        tf.slice(filter, [0, 0, 0, m], [kh, kw, c, 1]),
      ),
    );
    return tf.addN(parts);
  });
}

/**
 * Gradient of a depthwise convolution with respect to its filter, composed of tf operations.
 *
 * @param x [N,H,W,C]
 * @param dy [N,OH,OW,C*M]
 * @returns [kh,kw,C,M]
 */
export function composeDepthwiseFilterGradient(
  x: tf.Tensor4D,
  dy: tf.Tensor4D,
  filterShape: Shape4D,
  { strides: [sh, sw], pads: [top, , left], dilations: [dh, dw] }: ConvGeometry,
): tf.Tensor4D {
  return tf.tidy(() => {
    const [kh, kw, c, multiplier] = filterShape;
    const [n, oh, ow] = dy.shape;
    const positions = n * oh * ow;
    const phaseH = Math.ceil(((kh - 1) * dh + 1 + (oh - 1) * sh) / sh);
    const phaseW = Math.ceil(((kw - 1) * dw + 1 + (ow - 1) * sw) / sw);
    const padded = padTo(x, 1, top, left, phaseH * sh, phaseW * sw);
    const phases =
      sh === 1 && sw === 1
        ? padded
        : tf.transpose(tf.reshape(padded, [n, phaseH, sh, phaseW, sw * c]), [2, 0, 1, 3, 4]);
    // [sh*N, phaseH, phaseW, sw*C]: the horizontal phases stay in the channel axis, where slicing them costs nothing more.
    const maps = tf.reshape(phases, [sh * n, phaseH, phaseW, sw * c]) as tf.Tensor4D;
    const dyRows = tf.reshape(dy, [positions, c * multiplier]);
    const ones = tf.ones([1, positions]);
    const taps: tf.Tensor[] = [];
    for (let r = 0; r < kh; r++) {
      for (let s = 0; s < kw; s++) {
        const window = tf.slice(
          maps,
          [((r * dh) % sh) * n, Math.floor((r * dh) / sh), Math.floor((s * dw) / sw), ((s * dw) % sw) * c],
          [n, oh, ow, c],
        );
        const rows = tf.reshape(window, [positions, c]);
        const product =
          multiplier === 1
            ? tf.mul(rows, dyRows)
            : tf.reshape(
                tf.mul(tf.reshape(rows, [positions, c, 1]), tf.reshape(dyRows, [positions, c, multiplier])),
                [positions, c * multiplier],
              );
        taps.push(tf.matMul(ones, product as tf.Tensor2D));
        product.dispose();
        window.dispose();
      }
    }
    return tf.reshape(taps.length === 1 ? taps[0] : tf.concat(taps, 0), filterShape);
  });
}
