import type { SimdWorkspace, TilesToPlanes } from '../simd-workspace.js';
import type { ConvGeometry } from './conv-geometry.js';
import { ACTIVATION_BOUNDS, type BoundedActivation, type Epilogue } from './epilogue.js';
import type { TileRow, TileRun, WinogradTiling } from './winograd-tiling.js';

// The transforms of winograd.ts, in the workspace: places and lengths are in floats.

/** Bytes of a float. */
const F = 4;

/** Bias and activation of a convolution by Winograd's algorithm. */
export interface WinogradEpilogue extends Epilogue {
  activation: BoundedActivation;
}

/** Whether the last transform can do what follows the convolution. */
export function isWinogradEpilogue(epilogue: Epilogue): epilogue is WinogradEpilogue {
  return epilogue.activation in ACTIVATION_BOUNDS;
}

/** Floats that `inputTransform` works in: four rows, one of zeros, and four transformed ones. */
export function inputFloats({ inWidth }: WinogradTiling, channels: number): number {
  return 9 * inWidth * channels;
}

/**
 * The transform of the input's tiles, a row of tiles at a time: to [16, tiles, C] with planes `plane` floats apart, from `to` on.
 * Rows of the image that the last tiles read already are not fetched again.
 */
export function inputTransform(
  { kernels, floats }: SimdWorkspace,
  x: Float32Array,
  g: ConvGeometry,
  { runs, inWidth }: WinogradTiling,
  area: number,
): (row: TileRow, to: number, plane: number) => void {
  const { inChannels: channels } = g;
  const [dilationH, dilationW] = g.dilations;
  const [padTop, , padLeft] = g.pads;
  const length = inWidth * channels;
  const zeros = area + 4 * length;
  const transformed = area + 5 * length;
  const rows = { start: transformed, length, channels, dilation: dilationW, runs };
  floats.fill(0, zeros, zeros + length);
  const held = [-1, -1, -1, -1];
  const pixels = Math.max(0, Math.min(g.inWidth, inWidth - padLeft));
  const before = Math.min(inWidth, padLeft) * channels;

  const fetch = (row: number, slot: number): void => {
    const start = area + slot * length;
    const from = row * g.inWidth * channels;
    floats.fill(0, start, start + before);
    floats.set(x.subarray(from, from + pixels * channels), start + before);
    floats.fill(0, start + before + pixels * channels, start + length);
  };

  return ({ image, y }, to, plane) => {
    const wanted = [0, 1, 2, 3].map((i) => {
      const row = y + i * dilationH - padTop;
      return row >= 0 && row < g.inHeight ? image * g.inHeight + row : -1;
    });
    const [r0, r1, r2, r3] = wanted.map((row) => {
      if (row < 0) return F * zeros;
      let slot = held.indexOf(row);
      if (slot < 0) {
        slot = held.findIndex((other) => other < 0 || !wanted.includes(other));
        held[slot] = row;
        fetch(row, slot);
      }
      return F * (area + slot * length);
    });
    kernels.winogradInputRows(r0, r1, r2, r3, F * transformed, F * length, length);
    rowsToPlanes(kernels.winogradInputColumns, rows, to, plane);
  };
}

/** The same for the gradient of the result: to A dy A^T. */
export function gradientTransform(
  { kernels, floats }: SimdWorkspace,
  dy: Float32Array,
  g: ConvGeometry,
  { runs, outWidth }: WinogradTiling,
  area: number,
): (row: TileRow, to: number, plane: number) => void {
  const { outChannels: channels } = g;
  const [dilationH, dilationW] = g.dilations;
  const length = outWidth * channels;
  const rowLength = g.outWidth * channels;
  const transformed = area + 2 * length;
  const rows = { start: transformed, length, channels, dilation: dilationW, runs };
  return ({ image, y }, to, plane) => {
    for (let i = 0; i < 2; i++) {
      const row = y + i * dilationH;
      const start = area + i * length;
      const copied = row < g.outHeight ? rowLength : 0;
      const from = (image * g.outHeight + row) * rowLength;
      floats.set(dy.subarray(from, from + copied), start);
      floats.fill(0, start + copied, start + length);
    }
    kernels.winogradGradientRows(F * area, F * (area + length), F * transformed, F * length, length);
    rowsToPlanes(kernels.winogradGradientColumns, rows, to, plane);
  };
}

/** Four rows after their first transform. */
interface HalfTransformed {
  start: number;
  length: number;
  channels: number;
  /** Pixels between those of a tile. */
  dilation: number;
  runs: readonly TileRun[];
}

/** The second transform, along the rows: each row's tiles to four planes. */
function rowsToPlanes(
  kernel: TilesToPlanes,
  { start, length, channels, dilation, runs }: HalfTransformed,
  to: number,
  plane: number,
): void {
  const pixel = F * dilation * channels;
  for (let i = 0; i < 4; i++) {
    for (const { phase, tiles, first } of runs) {
      const from = F * (start + i * length + phase * channels);
      kernel(from, F * (to + 4 * i * plane + first * channels), tiles, channels, pixel, 2 * pixel, F * plane);
    }
  }
}

/** The way back, a row of tiles at a time: from [16, tiles, K] with planes `plane` floats apart to two rows of `y`. */
export function outputTransform(
  { kernels, floats }: SimdWorkspace,
  y: Float32Array,
  g: ConvGeometry,
  { runs, tilesPerRow, outWidth }: WinogradTiling,
  { activation, bias }: WinogradEpilogue,
  area: number,
): (row: TileRow, from: number, plane: number) => void {
  const { outChannels: channels } = g;
  const [dilationH, dilationW] = g.dilations;
  const [low, high] = ACTIVATION_BOUNDS[activation];
  const length = tilesPerRow * channels;
  const rowLength = g.outWidth * channels;
  const rows = area + 8 * length;
  const shift = rows + 2 * outWidth * channels;
  if (bias) floats.set(bias, shift);
  else floats.fill(-0, shift, shift + channels);
  return ({ image, y: firstRow }, from, plane) => {
    for (let j = 0; j < 4; j++) {
      kernels.winogradOutputRows(
        F * (from + j * plane),
        F * 4 * plane,
        F * (area + j * length),
        F * 4 * length,
        length,
      );
    }
    for (let i = 0; i < 2; i++) {
      const row = firstRow + i * dilationH;
      if (row >= g.outHeight) break;
      const start = rows + i * outWidth * channels;
      for (const { phase, tiles, first } of runs) {
        kernels.winogradOutputColumns(
          F * (area + 4 * i * length + first * channels),
          F * length,
          F * (start + phase * channels),
          tiles,
          channels,
          F * dilationW * channels,
          F * 2 * dilationW * channels,
          F * shift,
          low,
          high,
        );
      }
      y.set(floats.subarray(start, start + rowLength), (image * g.outHeight + row) * rowLength);
    }
  };
}

/** G w G^T of a filter [3,3,pairs], or of it turned by half a turn, to [16, pairs] at `to`. */
export function transformFilter(
  { kernels, floats }: SimdWorkspace,
  filter: Float32Array,
  pairs: number,
  flipped: boolean,
  piece: number,
  area: number,
  to: number,
): void {
  const between = area + 9 * piece;
  const transform = (from: number, step: number, out: number, stride: number, n: number): void => {
    const [first, last] = flipped ? [from + 2 * step, from] : [from, from + 2 * step];
    kernels.winogradFilter(F * first, F * (from + step), F * last, F * out, F * stride, n);
  };
  for (let start = 0; start < pairs; start += piece) {
    const n = Math.min(piece, pairs - start);
    for (let tap = 0; tap < 9; tap++) {
      floats.set(filter.subarray(tap * pairs + start, tap * pairs + start + n), area + tap * piece);
    }
    for (let j = 0; j < 3; j++) transform(area + j * piece, 3 * piece, between + j * piece, 3 * piece, n);
    for (let i = 0; i < 4; i++)
      transform(between + 3 * i * piece, piece, to + 4 * i * pairs + start, pairs, n);
  }
}

/** Writes G^T m G of m [16, pairs] at `from` to `dw` [3,3,pairs], or adds it. */
export function addFilterGradient(
  { kernels, floats }: SimdWorkspace,
  from: number,
  dw: Float32Array,
  pairs: number,
  first: boolean,
  piece: number,
  area: number,
): void {
  const taps = area + 12 * piece;
  const sum = area + 21 * piece;
  for (let start = 0; start < pairs; start += piece) {
    const n = Math.min(piece, pairs - start);
    const transform = kernels.winogradFilterGradient;
    for (let j = 0; j < 4; j++) {
      transform(F * (from + j * pairs + start), F * 4 * pairs, F * (area + j * piece), F * 4 * piece, n);
    }
    for (let i = 0; i < 3; i++) {
      transform(F * (area + 4 * i * piece), F * piece, F * (taps + 3 * i * piece), F * piece, n);
    }
    for (let tap = 0; tap < 9; tap++) {
      const at = tap * pairs + start;
      let result = taps + tap * piece;
      if (!first) {
        floats.set(dw.subarray(at, at + n), sum);
        kernels.accumulate(F * result, F * sum, n);
        result = sum;
      }
      dw.set(floats.subarray(result, result + n), at);
    }
  }
}
