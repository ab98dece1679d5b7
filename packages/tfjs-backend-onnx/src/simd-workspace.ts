import { elementwiseWasm } from './generated/elementwise-wasm.js';

/** Sends pixels of tiles to the planes of their transform. */
export type TilesToPlanes = (
  from: number,
  to: number,
  tiles: number,
  channels: number,
  pixel: number,
  tile: number,
  plane: number,
) => void;

/** The compiled kernels; pointers are byte offsets into the workspace. See assembly/. */
export interface ElementwiseKernels {
  maskGradient(dy: number, y: number, n: number, high: number): void;
  scaleShift(
    x: number,
    scale: number,
    shift: number,
    rows: number,
    channels: number,
    low: number,
    high: number,
  ): void;
  maskedScale(dy: number, y: number, scale: number, rows: number, channels: number, high: number): void;
  flushSubnormals(x: number, n: number): void;
  crossEntropyGradient(
    p: number,
    labels: number,
    rows: number,
    columns: number,
    ignored: number,
    scale: number,
  ): void;
  softmaxGradient(dy: number, y: number, rows: number, columns: number): void;
  interpolate(a: number, b: number, t: number, out: number, n: number): void;
  sgd(w: number, v: number, g: number, n: number, momentum: number, decay: number, rate: number): void;
  blockRows(from: number, to: number, taps: number, block: number, columns: number): void;
  blockColumns(from: number, to: number, taps: number, block: number, columns: number): void;
  winogradInputRows(
    r0: number,
    r1: number,
    r2: number,
    r3: number,
    out: number,
    stride: number,
    n: number,
  ): void;
  winogradInputColumns: TilesToPlanes;
  winogradOutputRows(m: number, plane: number, out: number, stride: number, n: number): void;
  winogradOutputColumns(
    from: number,
    stride: number,
    to: number,
    tiles: number,
    channels: number,
    pixel: number,
    tile: number,
    bias: number,
    low: number,
    high: number,
  ): void;
  winogradGradientRows(r0: number, r1: number, out: number, stride: number, n: number): void;
  winogradGradientColumns: TilesToPlanes;
  winogradFilter(a: number, b: number, c: number, out: number, stride: number, n: number): void;
  winogradFilterGradient(m: number, plane: number, out: number, stride: number, n: number): void;
  accumulate(from: number, to: number, n: number): void;
}

/** Kernels and the memory they work in, as floats. */
export interface SimdWorkspace {
  kernels: ElementwiseKernels;
  floats: Float32Array;
}

/** Three areas of so many floats each stay in the second-level cache, so copying in and out is cheap. */
export const CHUNK_FLOATS = 32 * 1024;

/** Slack behind an area, in floats: the kernels work in fours. */
const SLACK_FLOATS = 4;

const PAGE_BYTES = 65536;
let memory: WebAssembly.Memory | undefined;
let kernels: ElementwiseKernels | undefined;

/** Offsets in floats of areas of so many floats each, and the workspace with room for them. */
export function simdWorkspace(...sizes: readonly number[]): SimdWorkspace & { offsets: number[] } {
  if (memory === undefined || kernels === undefined) {
    memory = new WebAssembly.Memory({ initial: 1 });
    const text = atob(elementwiseWasm);
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } });
    kernels = instance.exports as unknown as ElementwiseKernels;
  }
  const offsets: number[] = [];
  let end = 0;
  for (const size of sizes) {
    offsets.push(end);
    end += Math.ceil(size / SLACK_FLOATS) * SLACK_FLOATS + SLACK_FLOATS;
  }
  const missing = 4 * end - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES));
  return { kernels, floats: new Float32Array(memory.buffer), offsets };
}

/**
 * Runs a kernel over equal pieces of `sources`, the first of which it overwrites, and collects that one in `out`.
 *
 * `unit` floats belong together (a row); pieces are whole units of about `CHUNK_FLOATS`. `constants` are copied once,
 * behind the pieces. The kernel gets byte offsets of the sources' pieces, then of the constants, and the piece's units.
 */
export function runInChunks(
  sources: readonly Float32Array[],
  constants: readonly Float32Array[],
  unit: number,
  out: Float32Array,
  kernel: (kernels: ElementwiseKernels, offsets: readonly number[], units: number) => void,
): void {
  const total = out.length / unit;
  const units = Math.max(1, Math.min(total, Math.floor(CHUNK_FLOATS / unit)));
  const {
    kernels: compiled,
    floats,
    offsets,
  } = simdWorkspace(...sources.map(() => units * unit), ...constants.map((values) => values.length));
  constants.forEach((values, index) => {
    floats.set(values, offsets[sources.length + index]);
  });
  const bytes = offsets.map((offset) => 4 * offset);
  for (let first = 0; first < total; first += units) {
    const count = Math.min(units, total - first);
    const start = first * unit;
    const end = start + count * unit;
    for (let index = 0; index < sources.length; index++) {
      floats.set(sources[index].subarray(start, end), offsets[index]);
    }
    kernel(compiled, bytes, count);
    out.set(floats.subarray(offsets[0], offsets[0] + count * unit), start);
  }
}
