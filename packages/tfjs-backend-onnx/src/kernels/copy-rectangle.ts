import type { OnnxBackend } from '../onnx-backend.js';
import { floatTensor, int64Tensor } from '../ort-tensor.js';
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
export function gatherInput(
  backend: OnnxBackend,
  x: Float32Array,
  g: ConvGeometry,
  tap: Tap,
  out: Float32Array,
): void {
  if (g.strides[1] !== 1) {
    gatherStrided(backend, x, g, tap, out);
    return;
  }
  const { rows, columns } = tap;
  const length = (columns.end - columns.start) * g.inChannels;
  let to = 0;
  for (let n = 0; n < g.batch; n++) {
    for (let r = 0; r < rows.end - rows.start; r++) {
      const row = n * g.inHeight + rows.from + r * g.strides[0];
      copyRun(x, (row * g.inWidth + columns.from) * g.inChannels, out, to, length);
      to += length;
    }
  }
}

/** A run is one pixel then, too short for typed arrays: onnxruntime copies them. */
function gatherStrided(
  backend: OnnxBackend,
  x: Float32Array,
  g: ConvGeometry,
  { rows, columns }: Tap,
  out: Float32Array,
): void {
  const extents = [rows, columns].map(({ start, end }) => end - start);
  const froms = [rows.from, columns.from];
  const ends = froms.map((from, axis) => from + (extents[axis] - 1) * g.strides[axis] + 1);
  backend.runGraph(
    'slice/strided',
    () => ({
      nodes: [{ op: 'Slice', inputs: ['x', 'starts', 'ends', 'axes', 'steps'], outputs: ['y'] }],
      inputs: [
        { name: 'x', type: 'float32', rank: 4 },
        ...['starts', 'ends', 'axes', 'steps'].map((name) => ({ name, type: 'int64' as const, rank: 1 })),
      ],
      outputs: [{ name: 'y', type: 'float32', rank: 4 }],
    }),
    {
      x: floatTensor(x, [g.batch, g.inHeight, g.inWidth, g.inChannels]),
      starts: int64Tensor(froms),
      ends: int64Tensor(ends),
      axes: int64Tensor([1, 2]),
      steps: int64Tensor(g.strides),
    },
    { y: floatTensor(out, [g.batch, ...extents, g.inChannels]) },
  );
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
