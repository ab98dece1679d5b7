import type { OnnxBackend } from '../onnx-backend.js';
import type { ConvGeometry, Tap } from './conv-geometry.js';
import { gatherInput } from './copy-rectangle.js';
import { matMulInto } from './mat-mul.js';
import { transposeInto } from './transpose-into.js';

/** How many positions the grid may have for each one that counts: zeros are multiplied, but nothing is gathered for single taps. */
const MAX_GRID_RATIO = 1.2;
/** The same where the taps of a row are joined: products with more rows pack the gradient less often. */
const MAX_JOINED_GRID_RATIO = 1.5;
/** A product with more rows than this reads from more pages of memory at a time than the processor has in its tables. */
const MAX_JOINED_ROWS = 768;
/** With fewer channels the product's packed rows stay empty, whatever the order. */
const MIN_CHANNELS = 8;

/** Where one tap reads along one axis: output position p reads input position stride * (p + offset) + phase. */
interface TapShift {
  readonly phase: number;
  readonly offset: number;
}

/**
 * The common positions of a convolution's gradient and of its input: [N, height, width] with zeros behind the rows and behind the
 * images, so many that no tap moves one image onto the next.
 */
export interface FilterGrid {
  readonly height: number;
  readonly width: number;
  readonly rows: readonly TapShift[];
  readonly columns: readonly TapShift[];
  /** Whether the taps of a filter's row make one product. */
  readonly joined: boolean;
}

/** The grid that `gradFilterOnGrid` works on, or null where gathering each tap's pixels costs less. */
export function planFilterGrid(g: ConvGeometry, taps: readonly Tap[]): FilterGrid | null {
  if (taps.length === 1 || g.inChannels < MIN_CHANNELS) return null;
  const rows = tapShifts(g, 0);
  const columns = tapShifts(g, 1);
  const height = gridExtent(rows, g.inHeight, g.outHeight, g.strides[0]);
  const width = gridExtent(columns, g.inWidth, g.outWidth, g.strides[1]);
  const joined = columns.length > 1 && columns.length * g.inChannels <= MAX_JOINED_ROWS;
  const useful = taps.reduce((sum, { positions }) => sum + positions, 0);
  const done = taps.length * g.batch * height * width;
  if (done > (joined ? MAX_JOINED_GRID_RATIO : MAX_GRID_RATIO) * useful) return null;
  return { height, width, rows, columns, joined };
}

function tapShifts(g: ConvGeometry, axis: 0 | 1): TapShift[] {
  const stride = g.strides[axis];
  const before = g.pads[2 * axis];
  return Array.from({ length: axis === 0 ? g.kernelHeight : g.kernelWidth }, (_, tap) => {
    const from = tap * g.dilations[axis] - before;
    const offset = Math.floor(from / stride);
    return { phase: from - offset * stride, offset };
  });
}

/** Zeros behind one row (or image) serve its end and the start of the next. */
function gridExtent(shifts: readonly TapShift[], inSize: number, outSize: number, stride: number): number {
  const inExtent = Math.max(...shifts.map(({ phase }) => phaseSize(inSize, stride, phase)));
  const offsets = shifts.map(({ offset }) => offset);
  return Math.max(outSize, inExtent - Math.min(0, ...offsets), outSize + Math.max(0, ...offsets));
}

/** How many of the positions phase, phase + stride, ... an axis has. */
function phaseSize(size: number, stride: number, phase: number): number {
  return Math.max(0, Math.ceil((size - phase) / stride));
}

/**
 * The filter gradient dw [kh,kw,C,K] of a convolution by products over all positions of a grid.
 *
 * The input is transposed once, to [C, positions], so that products read it in place and need not transpose it again for each tap and
 * each panel of output channels. A tap's operand is then the same memory from an offset on; what the offset moves past the ends of rows and
 * images falls on zeros, of the input or of the gradient. Copies of the input, moved by each column of the filter, lie behind one another,
 * and one product serves a whole row of taps. A stride of s makes s * s images, each with every s-th pixel, out of one.
 */
export function gradFilterOnGrid(
  backend: OnnxBackend,
  x: Float32Array,
  dy: Float32Array,
  dw: Float32Array,
  g: ConvGeometry,
  grid: FilterGrid,
): void {
  const { batch, inChannels, outChannels } = g;
  const { rows, columns, joined } = grid;
  const positions = batch * grid.height * grid.width;
  const planes = inChannels * positions;
  const size = inChannels * outChannels;
  const phases = [...new Set(columns.map(({ phase }) => phase))];
  const copies = joined ? columns : phases.map((phase) => ({ phase, offset: 0 }));
  const products = joined
    ? [{ firstTap: 0, taps: columns.length, start: 0 }]
    : columns.map(({ phase, offset }, tap) => ({
        firstTap: tap,
        taps: 1,
        start: phases.indexOf(phase) * planes + offset,
      }));
  const reach = grid.width * Math.max(...rows.map(({ offset }) => Math.abs(offset)));
  const slack = reach + (joined ? 0 : Math.max(...columns.map(({ offset }) => Math.abs(offset))));

  const grads = spread(backend, dy, [batch, g.outHeight, g.outWidth, outChannels], grid);
  const images = backend.arrays.take('float32', slack + copies.length * planes + slack);
  images.fill(0, 0, slack);
  images.fill(0, images.length - slack);
  for (const rowPhase of new Set(rows.map(({ phase }) => phase))) {
    for (const phase of phases) {
      const transposed = transposedPhase(backend, x, g, grid, [rowPhase, phase]);
      copies.forEach((copy, i) => {
        if (copy.phase === phase) copyShifted(transposed, images, slack + i * planes, copy.offset);
      });
      backend.arrays.give(transposed);
    }
    rows.forEach(({ phase, offset }, i) => {
      if (phase !== rowPhase) return;
      for (const { firstTap, taps, start } of products) {
        const from = slack + offset * grid.width + start;
        const first = i * columns.length + firstTap;
        matMulInto(
          backend,
          { values: images.subarray(from, from + taps * planes), dims: [taps * inChannels, positions] },
          { values: grads, dims: [positions, outChannels] },
          {
            values: dw.subarray(first * size, (first + taps) * size),
            dims: [taps * inChannels, outChannels],
          },
        );
      }
    });
  }
  backend.arrays.give(images);
  backend.arrays.give(grads);
}

/** Every s-th pixel of the images from (row, column) on, as [C, N, height, width] of the grid. */
function transposedPhase(
  backend: OnnxBackend,
  x: Float32Array,
  g: ConvGeometry,
  grid: FilterGrid,
  [row, column]: readonly [number, number],
): Float32Array {
  const { batch, inChannels } = g;
  const height = phaseSize(g.inHeight, g.strides[0], row);
  const width = phaseSize(g.inWidth, g.strides[1], column);
  const positions = batch * height * width;
  const whole = positions * inChannels === x.length;
  const pixels = whole ? x : backend.arrays.take('float32', positions * inChannels);
  if (!whole && positions > 0) {
    const rows = { start: 0, end: height, from: row };
    const columns = { start: 0, end: width, from: column };
    gatherInput(backend, x, g, { index: 0, rows, columns, positions }, pixels);
  }
  const padded = spread(backend, pixels, [batch, height, width, inChannels], grid);
  if (!whole) backend.arrays.give(pixels);
  const transposed = backend.arrays.take('float32', padded.length);
  transposeInto(backend, padded, [padded.length / inChannels, inChannels], [1, 0], transposed);
  backend.arrays.give(padded);
  return transposed;
}

/** Images [N,H,W,C] as [N, height, width, C] of the grid, zeros behind rows and images. */
function spread(
  backend: OnnxBackend,
  images: Float32Array,
  [batch, rows, columns, channels]: readonly [number, number, number, number],
  grid: FilterGrid,
): Float32Array {
  const length = columns * channels;
  const stride = grid.width * channels;
  const out = backend.arrays.take('float32', batch * grid.height * stride);
  for (let n = 0; n < batch; n++) {
    const first = n * grid.height;
    for (let r = 0; r < rows; r++) {
      const from = (n * rows + r) * length;
      const to = (first + r) * stride;
      out.set(images.subarray(from, from + length), to);
      out.fill(0, to + length, to + stride);
    }
    out.fill(0, (first + rows) * stride, (first + grid.height) * stride);
  }
  return out;
}

/** Writes from[p + offset] to `to[start + p]`, zeros where there is none. */
function copyShifted(from: Float32Array, to: Float32Array, start: number, offset: number): void {
  const before = Math.max(0, -offset);
  const behind = Math.max(0, offset);
  const end = start + from.length;
  to.fill(0, start, start + before);
  to.set(from.subarray(behind, from.length - before), start + before);
  to.fill(0, end - behind, end);
}
