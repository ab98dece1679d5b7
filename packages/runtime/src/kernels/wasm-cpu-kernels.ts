import * as tf from '@tensorflow/tfjs-core';
import { RuntimeError } from '../errors.js';
import { wrapKernel } from './patch-convolutions.js';
import { floatsAt, offsetOf, simdOf, type WasmBackend, withScratch } from './wasm-heap.js';

type Infos = Record<string, tf.TensorInfo>;
type Attrs = Record<string, unknown>;

/** What we use of tfjs's cpu backend. */
interface CpuBackend extends tf.KernelBackend {
  write(values: tf.BackendValues, shape: number[], dtype: tf.DataType): object;
  readSync(dataId: object): tf.BackendValues;
  disposeData(dataId: object, force?: boolean): boolean;
  firstUse: boolean;
}

/**
 * Runs the cpu backend's kernel of this name on wasm tensors: copies the inputs out of the heap and the results into it.
 *
 * Throws RuntimeError `backend-unavailable` where nobody has imported the cpu backend; useBackend('wasm') does.
 */
export function callCpuKernel(
  backend: WasmBackend,
  kernelName: string,
  inputs: Infos,
  attrs: Attrs = {},
): tf.TensorInfo | tf.TensorInfo[] {
  const kernel = tf.getKernel(kernelName, 'cpu');
  const cpu = kernel == null ? null : (tf.findBackend('cpu') as unknown as CpuBackend | null);
  if (cpu == null) {
    throw new RuntimeError(
      'backend-unavailable',
      `Expected tfjs's cpu backend, which does ${kernelName} for wasm; import '@tensorflow/tfjs-backend-cpu' too, or start with useBackend('wasm').`,
      { kernelName },
    );
  }
  // Without this, its first tensor in Node prints an advertisement for tfjs-node.
  cpu.firstUse = false;
  const held = new Set<object>();
  const copyOut = (info: tf.TensorInfo): tf.TensorInfo => {
    const dataId = cpu.write(backend.readSync(info.dataId), info.shape, info.dtype);
    held.add(dataId);
    // Some kernels take their inputs for tensors and ask for the rank.
    return { dataId, shape: info.shape, dtype: info.dtype, rank: info.shape.length } as tf.TensorInfo;
  };
  const copyIn = (info: tf.TensorInfo): tf.TensorInfo => {
    held.add(info.dataId);
    const values = cpu.readSync(info.dataId);
    if (info.dtype === 'string') {
      return { dataId: backend.write(values, info.shape, 'string'), shape: info.shape, dtype: 'string' };
    }
    const out = backend.makeOutput(info.shape, info.dtype);
    backend.typedArrayFromHeap(out).set(values as unknown as ArrayLike<number>);
    return out;
  };
  try {
    // Some kernels take lists of tensors by one name.
    const copyAll = (input: tf.TensorInfo | tf.TensorInfo[]) =>
      Array.isArray(input) ? input.map(copyOut) : copyOut(input);
    const copies = Array.isArray(inputs)
      ? inputs.map(copyOut)
      : Object.fromEntries(
          Object.entries(inputs)
            .filter(([, input]) => input != null)
            .map(([name, input]) => [name, copyAll(input)]),
        );
    const result = kernel.kernelFunc({ inputs: copies as never, attrs: attrs as never, backend: cpu });
    return Array.isArray(result) ? result.map(copyIn) : copyIn(result);
  } finally {
    for (const dataId of held) cpu.disposeData(dataId, true);
  }
}

/** Why a kernel is left to the cpu backend, and in which cases (default: always). */
interface CpuCase {
  reason: string;
  when?(inputs: Infos, attrs: Attrs, backend: WasmBackend): boolean;
}

/** Fewer numbers than this are looked through one by one. */
const scannedSingly = 4096;
const scanColumns = 64;

/** Whether these numbers contain a NaN; their sums, made by SIMD, clear most tensors at once. */
function hasNaN(backend: WasmBackend, info: tf.TensorInfo): boolean {
  if (info.dtype !== 'float32') return false;
  const size = tf.util.sizeFromShape(info.shape);
  let begin = 0;
  if (size >= scannedSingly) {
    const rows = Math.floor(size / scanColumns);
    withScratch(backend, scanColumns, (sums) => {
      simdOf(backend).columnSums(offsetOf(backend, info), sums, rows, scanColumns);
      // Opposite infinities add up to NaN too: only a search tells.
      if (!floatsAt(backend, sums, scanColumns).some(Number.isNaN)) begin = rows * scanColumns;
    });
  }
  const bits = new Int32Array(backend.wasm.HEAPU8.buffer, offsetOf(backend, info), size);
  for (let i = begin; i < size; i++) if ((bits[i] & 0x7fffffff) > 0x7f800000) return true;
  return false;
}
const someNaN =
  (...names: string[]): NonNullable<CpuCase['when']> =>
  (inputs, _attrs, backend) =>
    names.some((name) => hasNaN(backend, inputs[name]));
/** Where the error of tfjs's reduction to one period, done in float32, reaches 1e-5; NaN and infinity too. */
const someFarFromZero: CpuCase['when'] = ({ x }, _attrs, backend) => {
  const values = backend.typedArrayFromHeap(x);
  for (let i = 0; i < values.length; i++) if (!(Math.abs(values[i]) < 1024)) return true;
  return false;
};
const someString: CpuCase['when'] = (inputs) =>
  Object.values(inputs).some((info) => info?.dtype === 'string');
const notFloat: CpuCase['when'] = (inputs) =>
  ['a', 'b', 'x'].some((name) => inputs[name] != null && inputs[name].dtype !== 'float32');

/** Whether XNNPACK and tfjs disagree about a pooling's windows, or a window lies in the padding altogether. */
const isPoolingAstray: CpuCase['when'] = ({ x }, attrs) => {
  if (x.dtype !== 'float32') return true;
  const { filterSize, strides, pad, dimRoundingMode } = attrs as unknown as {
    filterSize: number;
    strides: number;
    pad: number;
    dimRoundingMode?: 'ceil';
  };
  const shape = x.shape as [number, number, number, number];
  const info = tf.backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad, dimRoundingMode);
  const { top, bottom, left, right } = info.padInfo;
  const astray = (size: number, out: number, window: number, stride: number, before: number, after: number) =>
    out <= 0 ||
    before >= window ||
    (out - 1) * stride - before >= size ||
    Math.floor((size + before + after - window) / stride) + 1 !== out;
  return (
    x.shape.includes(0) ||
    astray(shape[1], info.outHeight, info.filterHeight, info.strideHeight, top, bottom) ||
    astray(shape[2], info.outWidth, info.filterWidth, info.strideWidth, left, right)
  );
};

const lacking = 'tfjs-wasm has no such kernel';
const strings = 'tfjs-wasm does not work on strings';
const startsAtZero = 'takes the smallest positive float32 for the smallest one';
const outOfRange = 'reads or writes outside its tensors where an index is out of range';

/** Kernels that tfjs's wasm backend lacks or computes wrongly, and that run on the cpu backend's code instead. */
export const cpuCases: Record<string, CpuCase> = {
  AvgPool: {
    reason: 'wrong numbers or a trap where padding is as wide as the window',
    when: isPoolingAstray,
  },
  MaxPool: {
    reason: 'wrong numbers or a trap where padding is as wide as the window',
    when: isPoolingAstray,
  },
  MaxPool3D: { reason: startsAtZero },
  MaxPool3DGrad: { reason: `its maxima: ${startsAtZero}` },
  MaxPoolWithArgmax: { reason: startsAtZero },
  Dilation2D: { reason: startsAtZero },
  Dilation2DBackpropInput: { reason: `its maxima: ${startsAtZero}` },
  Dilation2DBackpropFilter: { reason: `its maxima: ${startsAtZero}` },
  Conv3DBackpropFilterV2: { reason: 'mostly zeros' },
  Conv3DBackpropInputV2: { reason: 'mostly zeros' },
  Prelu: {
    reason: 'takes alpha for one number a channel, whatever its shape',
    when: ({ x, alpha }) => {
      const channels = x.shape[x.shape.length - 1];
      const perChannel =
        alpha.shape.length <= x.shape.length && alpha.shape[alpha.shape.length - 1] === channels;
      return !perChannel || tf.util.sizeFromShape(alpha.shape) !== channels || x.dtype !== 'float32';
    },
  },
  GatherV2: {
    reason: 'strides of batches are wrong',
    when: (_inputs, attrs) => (attrs['batchDims'] as number) > 0,
  },
  GatherNd: { reason: outOfRange },
  ScatterNd: { reason: outOfRange },
  TensorScatterUpdate: { reason: outOfRange },
  SparseToDense: { reason: outOfRange },
  RotateWithOffset: {
    reason: 'fills with 0 where one number a channel is asked for',
    when: (_inputs, { fillValue }) => typeof fillValue !== 'number',
  },
  Maximum: { reason: 'loses NaN', when: someNaN('a', 'b') },
  Minimum: { reason: 'loses NaN', when: someNaN('a', 'b') },
  Relu6: { reason: 'loses NaN', when: someNaN('x') },
  ClipByValue: {
    reason: 'loses NaN, and takes the bits of int32 for those of float32',
    when: (inputs, attrs, backend) => inputs['x'].dtype !== 'float32' || someNaN('x')(inputs, attrs, backend),
  },
  Sign: { reason: '0 for subnormal and huge numbers' },
  Sin: { reason: 'wrong for large numbers', when: someFarFromZero },
  Cos: { reason: 'wrong for large numbers', when: someFarFromZero },
  FloorDiv: { reason: 'its result has the type of its inputs, not int32' },
  Bincount: { reason: 'its result has another shape' },
  BatchMatMul: { reason: 'XNNPACK multiplies float32 alone', when: notFloat },
  _FusedMatMul: {
    reason: 'takes biases of one axis alone',
    when: ({ bias }) => bias != null && bias.shape.length !== 1,
  },
  Fill: { reason: strings, when: (_inputs, { value }) => typeof value === 'string' },
  Einsum: { reason: lacking },
  RaggedGather: { reason: lacking },
  RaggedRange: { reason: lacking },
  RaggedTensorToTensor: { reason: lacking },
  StaticRegexReplace: { reason: lacking },
  ...Object.fromEntries(
    [...['Equal', 'NotEqual', 'Greater', 'GreaterEqual', 'Less', 'LessEqual'], 'Tile'].map((name) => [
      name,
      { reason: strings, when: someString },
    ]),
  ),
};

/** Lets the cpu backend's code do what {@link cpuCases} lists. */
export function registerCpuKernels(): void {
  for (const [kernelName, { when }] of Object.entries(cpuCases)) {
    const run = (params: Parameters<tf.KernelFunc>[0]) =>
      callCpuKernel(
        params.backend as unknown as WasmBackend,
        kernelName,
        params.inputs as unknown as Infos,
        (params.attrs ?? {}) as Attrs,
      );
    const wrapped = wrapKernel(kernelName, 'wasm', (original, params) => {
      const backend = params.backend as unknown as WasmBackend;
      const isForCpu =
        when == null || when(params.inputs as unknown as Infos, (params.attrs ?? {}) as Attrs, backend);
      return isForCpu ? run(params) : original(params);
    });
    if (!wrapped) tf.registerKernel({ kernelName, backendName: 'wasm', kernelFunc: run });
  }
}
