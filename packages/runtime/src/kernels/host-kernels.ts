import * as tf from '@tensorflow/tfjs-core';
import { linearTaps, type ResizeOptions } from '../gradients/resize-gradient.js';
import { fusionGradients, fusionNumbers } from './fusion-weights.js';
import { kernelNames } from './kernel-names.js';
import { addNearestGradient, type NearestAttrs } from './nearest-gradient.js';
import { createSimdKernels, type SimdKernels } from './simd-kernels.js';

/** Where our kernels work for backends whose tensors are typed arrays of their own. */
interface Workspace {
  memory: WebAssembly.Memory;
  simd: SimdKernels;
}

/** Backends with synchronous reads and writes of plain arrays. */
interface ArrayBackend {
  readSync(dataId: object): Float32Array;
  write(values: Float32Array, shape: number[], dtype: 'float32'): object;
  /** Ours have these two: values without giving them up, and memory that is reused. */
  floats?(info: tf.TensorInfo): Float32Array;
  allocate?(shape: number[], dtype: 'float32'): { info: tf.TensorInfo; values: Float32Array };
}

type Infos = Record<string, tf.TensorInfo>;

const pageBytes = 65536;
let workspace: Workspace | null = null;

/** The workspace with room for `bytes`. */
function workspaceOf(bytes: number): Workspace {
  if (workspace == null) {
    const memory = new WebAssembly.Memory({ initial: 1 });
    workspace = { memory, simd: createSimdKernels(memory) };
  }
  const missing = bytes - workspace.memory.buffer.byteLength;
  if (missing > 0) workspace.memory.grow(Math.ceil(missing / pageBytes));
  return workspace;
}

const aligned = (bytes: number) => (bytes + 15) & ~15;

/** Offsets for consecutive areas of so many bytes each, and the end. */
function layOut(...sizes: number[]): number[] {
  const offsets = [0];
  for (const size of sizes) offsets.push(offsets[offsets.length - 1] + aligned(size));
  return offsets;
}

const read = (backend: ArrayBackend, info: tf.TensorInfo) =>
  backend.floats?.(info) ?? backend.readSync(info.dataId);

/** A tensor to fill in; `info` is called when that is done. */
function create(backend: ArrayBackend, shape: number[]): { values: Float32Array; info(): tf.TensorInfo } {
  const own = backend.allocate?.(shape, 'float32');
  if (own !== undefined) return { values: own.values, info: () => own.info };
  const values = new Float32Array(tf.util.sizeFromShape(shape));
  return { values, info: () => write(backend, values, shape) };
}

function write(backend: ArrayBackend, values: Float32Array, shape: number[]): tf.TensorInfo {
  return { dataId: backend.write(values, shape, 'float32'), shape, dtype: 'float32' };
}

function fuseForward(backend: ArrayBackend, { seg, sal, conv1, conv2, bias }: Infos): tf.TensorInfo {
  const [n, l] = seg.shape;
  const numbers = fusionNumbers(read(backend, conv1), read(backend, conv2), read(backend, bias));
  const bytes = l * l * 4;
  const scratchFloats = workspaceOf(0).simd.fuseScratchFloats(l);
  const [a, b, out, weights, scratch, end] = layOut(bytes, bytes, bytes, 144, scratchFloats * 4);
  const { memory, simd } = workspaceOf(end);
  const floats = new Float32Array(memory.buffer);
  const segValues = read(backend, seg);
  const salValues = read(backend, sal);
  const result = create(backend, seg.shape);
  floats.set(numbers.conv1, weights / 4);
  for (let i = 0; i < n; i++) {
    const start = i * l * l;
    floats.set(segValues.subarray(start, start + l * l), a / 4);
    floats.set(salValues.subarray(start, start + l * l), b / 4);
    simd.fuseForward(a, b, weights, out, l, numbers.u0, numbers.u1, numbers.bias, scratch);
    result.values.set(floats.subarray(out / 4, out / 4 + l * l), start);
  }
  return result.info();
}

function fuseBackward(backend: ArrayBackend, inputs: Infos): tf.TensorInfo[] {
  const { seg, sal, conv1, conv2, bias, dy } = inputs;
  const [n, l] = seg.shape;
  const numbers = fusionNumbers(read(backend, conv1), read(backend, conv2), read(backend, bias));
  const bytes = l * l * 4;
  const scratchFloats = workspaceOf(0).simd.fuseScratchFloats(l);
  const sizes = [320, bytes, bytes, bytes, bytes, bytes, 144, scratchFloats * 4];
  const [sums, a, b, g, da, db, weights, scratch, end] = layOut(...sizes);
  const { memory, simd } = workspaceOf(end);
  const floats = new Float32Array(memory.buffer);
  const sources = [seg, sal, dy].map((map) => read(backend, map));
  const results = [create(backend, seg.shape), create(backend, sal.shape)];
  const totals = new Float64Array(memory.buffer, sums, 39).fill(0);
  floats.set(numbers.conv1, weights / 4);
  for (let i = 0; i < n; i++) {
    const start = i * l * l;
    sources.forEach((source, k) => {
      floats.set(source.subarray(start, start + l * l), [a, b, g][k] / 4);
    });
    simd.fuseBackward(a, b, weights, g, da, db, sums, l, numbers.u0, numbers.u1, numbers.bias, scratch);
    results.forEach((result, k) => {
      const from = [da, db][k] / 4;
      result.values.set(floats.subarray(from, from + l * l), start);
    });
  }
  const gradients = fusionGradients(totals);
  return [
    results[0].info(),
    results[1].info(),
    write(backend, gradients.conv1, conv1.shape),
    write(backend, gradients.conv2, conv2.shape),
    write(backend, gradients.bias, bias.shape),
  ];
}

function resizeGradient(backend: ArrayBackend, { dy }: Infos, attrs: Record<string, unknown>): tf.TensorInfo {
  const inputShape = attrs['inputShape'] as [number, number, number, number];
  const [n, h, w, c] = inputShape;
  const [, oh, ow] = dy.shape;
  const rows = linearTaps(h, oh, attrs as unknown as ResizeOptions);
  const columns = linearTaps(w, ow, attrs as unknown as ResizeOptions);
  const inBytes = oh * ow * c * 4;
  const outBytes = h * w * c * 4;
  const taps = [rows.low, rows.high, rows.weight, columns.low, columns.high, columns.weight];
  const offsets = layOut(inBytes, outBytes, w * c * 4, ...taps.map((tap) => tap.byteLength));
  const [from, to, scratch] = offsets;
  const { memory, simd } = workspaceOf(offsets[offsets.length - 1]);
  const floats = new Float32Array(memory.buffer);
  taps.forEach((tap, i) => {
    new Uint8Array(memory.buffer).set(new Uint8Array(tap.buffer), offsets[3 + i]);
  });
  const source = read(backend, dy);
  const result = create(backend, inputShape);
  for (let i = 0; i < n; i++) {
    floats.set(source.subarray(i * oh * ow * c, (i + 1) * oh * ow * c), from / 4);
    simd.resizeGradient(from, to, 1, h, w, oh, ow, c, ...offsets.slice(3, 9), scratch);
    result.values.set(floats.subarray(to / 4, to / 4 + h * w * c), i * h * w * c);
  }
  return result.info();
}

/** Puts our gradient of resizeNearestNeighbor in place of the cpu backend's. */
function repairNearestGradient(backendName: string): void {
  if (tf.getKernel('ResizeNearestNeighborGrad', backendName) != null) {
    tf.unregisterKernel('ResizeNearestNeighborGrad', backendName);
  }
  tf.registerKernel({
    kernelName: 'ResizeNearestNeighborGrad',
    backendName,
    kernelFunc: ({ inputs, attrs, backend }) => {
      const arrays = backend as unknown as ArrayBackend;
      const { dy, images } = inputs as Infos;
      const dx = new Float32Array(tf.util.sizeFromShape(images.shape));
      addNearestGradient(dx, images.shape, read(arrays, dy), dy.shape, attrs as unknown as NearestAttrs);
      return write(arrays, dx, images.shape);
    },
  });
}

/**
 * Registers, for a backend whose tensors are plain arrays, those of our kernels that it lacks and that are worth a copy
 * into a WebAssembly memory of ours (none where WebAssembly SIMD is missing); and the gradient of resizeNearestNeighbor.
 */
export function registerHostKernels(backendName: string): void {
  repairNearestGradient(backendName);
  try {
    workspaceOf(0);
  } catch {
    return;
  }
  const register = (
    kernelName: string,
    kernel: (
      backend: ArrayBackend,
      inputs: Infos,
      attrs: Record<string, unknown>,
    ) => tf.TensorInfo | tf.TensorInfo[],
  ) => {
    if (tf.getKernel(kernelName, backendName) != null) return;
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({ inputs, attrs, backend }) =>
        kernel(backend as ArrayBackend, inputs as Infos, (attrs ?? {}) as Record<string, unknown>),
    });
  };
  register(kernelNames.fuseAffinities, fuseForward);
  register(kernelNames.fuseAffinitiesGradient, fuseBackward);
  register(kernelNames.resizeBilinearGradient, resizeGradient);
}
