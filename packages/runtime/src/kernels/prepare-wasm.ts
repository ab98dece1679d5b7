import * as tf from '@tensorflow/tfjs-core';
import { RuntimeError } from '../errors.js';
import {
  conv2DFilterGradient,
  conv2DInputGradient,
  depthwiseFilterGradient,
  depthwiseInputGradient,
} from '../gradients/conv-dispatch.js';
import { type ConvAttrs, type ConvGeometry, convGeometry } from '../gradients/conv-geometry.js';
import {
  composeConv2DInputGradient,
  composeDepthwiseFilterGradient,
  composeDepthwiseInputGradient,
} from '../gradients/conv2d-gradients.js';
import { linearTaps, type ResizeOptions } from '../gradients/resize-gradient.js';
import { fusionGradients, fusionNumbers } from './fusion-weights.js';
import { kernelNames } from './kernel-names.js';
import { guardNativeCall } from './native-failures.js';
import { addNearestGradient, type NearestAttrs } from './nearest-gradient.js';
import { wrapKernel } from './patch-convolutions.js';
import {
  placeArrays,
  wasmConv2DFilterGradient,
  wasmDepthwiseFilterGradient,
  wasmDepthwiseInputGradient,
  wasmTransposeFilter,
} from './wasm-conv-gradients.js';
import { repairConvolutions } from './wasm-convolutions.js';
import { registerCpuKernels } from './wasm-cpu-kernels.js';
import {
  floatsAt,
  guardHeap,
  offsetOf,
  simdOf,
  type WasmBackend,
  withScratch,
  withView,
} from './wasm-heap.js';
import { wasmBatchMatMul } from './wasm-mat-mul.js';
import { type MaxPoolAttrs, wasmMaxPoolGradient } from './wasm-max-pool-gradient.js';
import { wasmSlice } from './wasm-slice.js';

type Shape4D = [number, number, number, number];
type Infos = Record<string, tf.TensorInfo>;
type Attrs = Record<string, unknown>;
type Kernel = (inputs: Infos, attrs: Attrs, backend: WasmBackend) => tf.TensorInfo | tf.TensorInfo[];

/** Registers a kernel, in place of tfjs's own of that name if there is one. */
function register(kernelName: string, kernel: Kernel): void {
  const existing = tf.getKernel(kernelName, 'wasm');
  if (existing != null) tf.unregisterKernel(kernelName, 'wasm');
  tf.registerKernel({
    ...existing,
    kernelName,
    backendName: 'wasm',
    kernelFunc: ({ inputs, attrs, backend }) =>
      kernel(inputs as Infos, (attrs ?? {}) as Attrs, backend as unknown as WasmBackend),
  });
}

const modeOf = (attrs: Attrs) => ({ linear: 0, relu: 1, relu6: 2 })[attrs['activation'] as 'linear'] ?? 0;
const geometryOf = (attrs: Attrs) => attrs as unknown as ConvGeometry;

function registerTfjsKernels(): void {
  register('Identity', ({ x }, _attrs, backend) => {
    // tfjs's own copies the data, and every tensor saved for a backward pass goes through it.
    backend.incRef(x.dataId);
    return { dataId: x.dataId, shape: x.shape, dtype: x.dtype };
  });
  register('BatchMatMul', ({ a, b }, { transposeA, transposeB }, backend) => {
    const inner = [a.shape.at(transposeA ? -2 : -1), b.shape.at(transposeB ? -1 : -2)];
    if (inner[0] === undefined || inner[0] !== inner[1]) {
      throw new RuntimeError(
        'bad-shape',
        `Expected matMul's inner dimensions to be equal, got [${a.shape}] and [${b.shape}], transposed: ${transposeA === true}, ${transposeB === true}.`,
        { a: a.shape, b: b.shape },
      );
    }
    return wasmBatchMatMul(backend, a, b, transposeA === true, transposeB === true);
  });
  const shapesOfB = new WeakMap<object, string>();
  wrapKernel('_FusedMatMul', 'wasm', (original, params) => {
    const backend = params.backend as unknown as WasmBackend;
    const { b } = params.inputs as unknown as Infos;
    const key = `${b.shape}/${(params.attrs as Attrs)['transposeB']}`;
    const known = shapesOfB.get(b.dataId);
    if (known === undefined) shapesOfB.set(b.dataId, key);
    if (known === undefined || known === key) return original(params);
    // The packed copy cached for B's number has another shape: show B under a number of its own.
    const size = tf.util.sizeFromShape(b.shape);
    return withView(backend, offsetOf(backend, b), size, (id) => {
      const dataId = {};
      const map = backend.dataIdMap as unknown as {
        set(id: object, value: object): void;
        delete(id: object): void;
      };
      map.set(dataId, { ...backend.dataIdMap.get(b.dataId), id });
      try {
        return original({ ...params, inputs: { ...params.inputs, b: { ...b, dataId } } as never });
      } finally {
        map.delete(dataId);
      }
    });
  });
  wrapKernel('Slice', 'wasm', (original, params) => {
    const { x } = params.inputs as unknown as Infos;
    if (x.dtype === 'string' || x.dtype === 'bool') return original(params);
    const { begin, size } = params.attrs as { begin: number[]; size: number[] };
    return wasmSlice(params.backend as unknown as WasmBackend, x, begin, size);
  });
  register('UnsortedSegmentSum', ({ x, segmentIds }, { numSegments }, backend) => {
    const inner = tf.util.sizeFromShape(x.shape.slice(1));
    const out = backend.makeOutput([numSegments as number, ...x.shape.slice(1)], x.dtype);
    const View = x.dtype === 'int32' ? Int32Array : Float32Array;
    const buffer = backend.wasm.HEAPU8.buffer as ArrayBuffer;
    const ids = new Int32Array(buffer, offsetOf(backend, segmentIds), x.shape[0]);
    const source = new View(buffer, offsetOf(backend, x), x.shape[0] * inner);
    const target = new View(buffer, offsetOf(backend, out), (numSegments as number) * inner);
    target.fill(0);
    for (let i = 0; i < ids.length; i++) {
      if (ids[i] < 0 || ids[i] >= (numSegments as number)) continue;
      const from = i * inner;
      const to = ids[i] * inner;
      for (let j = 0; j < inner; j++) target[to + j] += source[from + j];
    }
    return out;
  });
  register('MaxPoolGrad', ({ dy, input }, attrs, backend) =>
    wasmMaxPoolGradient(backend, dy, input, attrs as unknown as MaxPoolAttrs),
  );
  register('ResizeNearestNeighborGrad', ({ dy, images }, attrs, backend) => {
    const out = backend.makeOutput(images.shape, 'float32');
    const dx = floatsAt(backend, offsetOf(backend, out), tf.util.sizeFromShape(images.shape)).fill(0);
    const upstream = floatsAt(backend, offsetOf(backend, dy), tf.util.sizeFromShape(dy.shape));
    addNearestGradient(dx, images.shape, upstream, dy.shape, attrs as unknown as NearestAttrs);
    return out;
  });
  wrapKernel('Cast', 'wasm', (original, params) => {
    const { x } = params.inputs as unknown as Infos;
    if ((params.attrs as Attrs)['dtype'] !== 'bool' || x.dtype === 'bool') return original(params);
    // tfjs's own keeps the lowest byte of the rounded number.
    const backend = params.backend as unknown as WasmBackend;
    const out = backend.makeOutput(x.shape, 'bool');
    const values = backend.typedArrayFromHeap(x);
    const flags = backend.typedArrayFromHeap(out);
    for (let i = 0; i < flags.length; i++) flags[i] = values[i] !== 0 ? 1 : 0;
    return out;
  });
  wrapKernel('CropAndResize', 'wasm', (original, params) => {
    const { image, boxInd } = params.inputs as unknown as Infos;
    const images = (params.backend as unknown as WasmBackend).readSync(boxInd.dataId) as Int32Array;
    const stray = images.find((index) => !(index >= 0 && index < image.shape[0]));
    if (stray !== undefined) {
      throw new RuntimeError(
        'index-out-of-range',
        `Expected cropAndResize's box indices to be at least 0 and below the batch size ${image.shape[0]}, got ${stray}.`,
        { index: stray, batchSize: image.shape[0] },
      );
    }
    return original(params);
  });
  // tf.conv2dTranspose and direct calls of tfjs's backward operations.
  const channelLast = (attrs: Attrs) => {
    if (attrs['dataFormat'] === 'NCHW') throw new Error('Convolutions on wasm take NHWC data only.');
    return attrs as unknown as ConvAttrs;
  };
  register('Conv2DBackpropInput', ({ dy, filter }, attrs) => {
    const inputShape = attrs['inputShape'] as Shape4D;
    const geometry = convGeometry(inputShape, filter.shape, channelLast(attrs));
    return conv2DInputGradient(dy as tf.Tensor4D, filter as tf.Tensor4D, inputShape, geometry);
  });
  register('Conv2DBackpropFilter', ({ x, dy }, attrs) => {
    const filterShape = attrs['filterShape'] as Shape4D;
    const geometry = convGeometry(x.shape, filterShape, channelLast(attrs));
    return conv2DFilterGradient(x as tf.Tensor4D, dy as tf.Tensor4D, filterShape, geometry);
  });
  register('DepthwiseConv2dNativeBackpropInput', ({ dy, filter }, attrs) => {
    const inputShape = attrs['inputShape'] as Shape4D;
    const geometry = convGeometry(inputShape, filter.shape, channelLast(attrs), true);
    return depthwiseInputGradient(dy as tf.Tensor4D, filter as tf.Tensor4D, inputShape, geometry);
  });
  register('DepthwiseConv2dNativeBackpropFilter', ({ x, dy }, attrs) => {
    const filterShape = attrs['filterShape'] as Shape4D;
    const geometry = convGeometry(x.shape, filterShape, channelLast(attrs), true);
    return depthwiseFilterGradient(x as tf.Tensor4D, dy as tf.Tensor4D, filterShape, geometry);
  });
}

function registerConvolutionGradients(): void {
  register(kernelNames.convFilterGradient, ({ x, dy }, attrs, backend) =>
    wasmConv2DFilterGradient(backend, x, dy, attrs['filterShape'] as Shape4D, geometryOf(attrs)),
  );
  register(kernelNames.convInputGradient, ({ dy, filter }, attrs) =>
    composeConv2DInputGradient(
      dy as tf.Tensor4D,
      filter as tf.Tensor4D,
      attrs['inputShape'] as Shape4D,
      geometryOf(attrs),
    ),
  );
  register(kernelNames.transposeFilter, ({ x }, { rotate }, backend) =>
    wasmTransposeFilter(backend, x, rotate === true),
  );
  register(kernelNames.depthwiseFilterGradient, ({ x, dy }, attrs, backend) => {
    const filterShape = attrs['filterShape'] as Shape4D;
    if (filterShape[3] === 1)
      return wasmDepthwiseFilterGradient(backend, x, dy, filterShape, geometryOf(attrs));
    return composeDepthwiseFilterGradient(
      x as tf.Tensor4D,
      dy as tf.Tensor4D,
      filterShape,
      geometryOf(attrs),
    );
  });
  register(kernelNames.depthwiseInputGradient, ({ dy, filter }, attrs, backend) => {
    const inputShape = attrs['inputShape'] as Shape4D;
    if (filter.shape[3] === 1)
      return wasmDepthwiseInputGradient(backend, dy, filter, inputShape, geometryOf(attrs));
    return composeDepthwiseInputGradient(
      dy as tf.Tensor4D,
      filter as tf.Tensor4D,
      inputShape,
      geometryOf(attrs),
    );
  });
}

function registerElementwise(): void {
  register(kernelNames.activationGradient, ({ dy, y }, attrs, backend) => {
    const out = backend.makeOutput(dy.shape, 'float32');
    const size = tf.util.sizeFromShape(dy.shape);
    simdOf(backend).maskGradient(
      ...[offsetOf(backend, dy), offsetOf(backend, y), offsetOf(backend, out), size, modeOf(attrs)],
    );
    return out;
  });
  register(kernelNames.scaleShiftGradient, ({ dy, scale, y }, attrs, backend) => {
    const out = backend.makeOutput(dy.shape, 'float32');
    const channels = scale.shape[0];
    const rows = tf.util.sizeFromShape(dy.shape) / channels;
    const output = y == null ? 0 : offsetOf(backend, y);
    simdOf(backend).maskedScale(
      ...[offsetOf(backend, dy), output, offsetOf(backend, scale), offsetOf(backend, out), rows, channels],
      modeOf(attrs),
    );
    return out;
  });
  register(kernelNames.columnSums, ({ x }, _attrs, backend) => {
    const channels = x.shape[x.shape.length - 1];
    const out = backend.makeOutput([channels], 'float32');
    const rows = tf.util.sizeFromShape(x.shape.slice(0, -1));
    simdOf(backend).columnSums(offsetOf(backend, x), offsetOf(backend, out), rows, channels);
    return out;
  });
  register(kernelNames.softmaxGradient, ({ dy, y }, _attrs, backend) => {
    const out = backend.makeOutput(y.shape, 'float32');
    const columns = y.shape[y.shape.length - 1];
    const rows = tf.util.sizeFromShape(y.shape.slice(0, -1));
    simdOf(backend).softmaxRowsGradient(
      ...[offsetOf(backend, dy), offsetOf(backend, y), offsetOf(backend, out), rows, columns],
    );
    return out;
  });
  register(kernelNames.resizeBilinearGradient, ({ dy }, attrs, backend) => {
    const inputShape = attrs['inputShape'] as Shape4D;
    const [n, h, w, c] = inputShape;
    const [, oh, ow] = dy.shape;
    const rows = linearTaps(h, oh, attrs as unknown as ResizeOptions);
    const columns = linearTaps(w, ow, attrs as unknown as ResizeOptions);
    const out = backend.makeOutput(inputShape, 'float32');
    withScratch(backend, 3 * (oh + ow) + w * c, (scratch) => {
      const taps = [rows.low, rows.high, rows.weight, columns.low, columns.high, columns.weight];
      const places = placeArrays(backend, scratch, taps);
      simdOf(backend).resizeGradient(
        ...[offsetOf(backend, dy), offsetOf(backend, out), n, h, w, oh, ow, c],
        ...[...places, scratch + 12 * (oh + ow)],
      );
    });
    return out;
  });
}

function registerFusion(): void {
  const numbersOf = (backend: WasmBackend, { conv1, conv2, bias }: Infos) =>
    fusionNumbers(
      floatsAt(backend, offsetOf(backend, conv1), 36),
      floatsAt(backend, offsetOf(backend, conv2), 4),
      floatsAt(backend, offsetOf(backend, bias), 2),
    );
  register(kernelNames.fuseAffinities, (inputs, _attrs, backend) => {
    const { seg, sal } = inputs;
    const [n, l] = seg.shape;
    const out = backend.makeOutput(seg.shape, 'float32');
    const simd = simdOf(backend);
    const numbers = numbersOf(backend, inputs);
    withScratch(backend, 36 + simd.fuseScratchFloats(l), (scratch) => {
      const [weights] = placeArrays(backend, scratch, [numbers.conv1]);
      for (let i = 0; i < n; i++) {
        const at = i * l * l * 4;
        simd.fuseForward(
          ...[
            offsetOf(backend, seg) + at,
            offsetOf(backend, sal) + at,
            weights,
            offsetOf(backend, out) + at,
            l,
          ],
          ...[numbers.u0, numbers.u1, numbers.bias, scratch + 144],
        );
      }
    });
    return out;
  });
  register(kernelNames.fuseAffinitiesGradient, (inputs, _attrs, backend) => {
    const { seg, sal, conv1, conv2, bias, dy } = inputs;
    const [n, l] = seg.shape;
    const dSeg = backend.makeOutput(seg.shape, 'float32');
    const dSal = backend.makeOutput(sal.shape, 'float32');
    const outputs = [conv1, conv2, bias].map((weight) => backend.makeOutput(weight.shape, 'float32'));
    const simd = simdOf(backend);
    const numbers = numbersOf(backend, inputs);
    // 39 float64 sums first, for their alignment, then the weights, then the kernel's own scratch.
    withScratch(backend, 2 * 40 + 36 + simd.fuseScratchFloats(l), (scratch) => {
      const sums = new Float64Array(backend.wasm.HEAPU8.buffer, scratch, 39).fill(0);
      const [weights] = placeArrays(backend, scratch + 320, [numbers.conv1]);
      for (let i = 0; i < n; i++) {
        const at = i * l * l * 4;
        const maps = [seg, sal].map((map) => offsetOf(backend, map) + at);
        const gradients = [dSeg, dSal].map((map) => offsetOf(backend, map) + at);
        simd.fuseBackward(
          ...[...maps, weights, offsetOf(backend, dy) + at, ...gradients, scratch, l],
          ...[numbers.u0, numbers.u1, numbers.bias, scratch + 320 + 144],
        );
      }
      const gradients = fusionGradients(sums);
      [gradients.conv1, gradients.conv2, gradients.bias].forEach((values, i) => {
        floatsAt(backend, offsetOf(backend, outputs[i]), values.length).set(values);
      });
    });
    return [dSeg, dSal, ...outputs];
  });
}

/** Repairs tfjs's wasm kernels and adds ours. */
export function prepareWasm(): void {
  registerTfjsKernels();
  registerConvolutionGradients();
  registerElementwise();
  registerFusion();
  registerCpuKernels();
  repairConvolutions();
  for (const { kernelName } of tf.getKernelsForBackend('wasm')) {
    wrapKernel(kernelName, 'wasm', (original, params) =>
      guardNativeCall(
        () => original(params),
        () => ({
          kernelName,
          shapes: Object.values(params.inputs)
            .flat()
            .filter((input) => input != null)
            .map(({ shape }) => shape),
          heapBytes: (params.backend as unknown as WasmBackend).wasm.HEAPU8.buffer.byteLength,
        }),
      ),
    );
  }
  // Any kernel's setup runs when the backend is activated; this one's installs the guard against a full heap.
  const identity = tf.getKernel('Identity', 'wasm');
  tf.unregisterKernel('Identity', 'wasm');
  tf.registerKernel({
    ...identity,
    setupFunc: (backend) => {
      identity.setupFunc?.(backend);
      guardHeap(backend as unknown as WasmBackend);
    },
  });
  // Not tf.findBackend: it starts a backend that is not running yet, which setBackend would then start again.
  const running = (tf.engine() as unknown as { registry: Record<string, unknown> }).registry['wasm'];
  if (running != null) guardHeap(running as unknown as WasmBackend);
}
