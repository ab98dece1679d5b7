import type { KernelConfig, TensorInfo } from '@tensorflow/tfjs-core';
import type { OnnxBackend } from '../onnx-backend.js';
import type { OnnxAttribute, OnnxGraph, OnnxInitializer, OnnxNode } from '../onnx-model.js';
import { floatTensor } from '../ort-tensor.js';
import { callCpuKernel } from './call-kernel.js';
import { defineKernel, sizeOf } from './kernel.js';

/** Nodes from `x` to `y` for an elementwise function. */
export interface ElementwiseGraph {
  nodes: readonly OnnxNode[];
  initializers?: readonly OnnxInitializer[];
}

/** A scalar constant of a graph. */
export function scalarConstant(name: string, value: number): OnnxInitializer {
  return { name, type: 'float32', dims: [], data: Float32Array.of(value) };
}

function single(op: string, attributes?: Record<string, OnnxAttribute>): ElementwiseGraph {
  return { nodes: [{ op, inputs: ['x'], outputs: ['y'], attributes }] };
}

/** Runs an elementwise graph over a float32 tensor. */
export function runUnary(
  backend: OnnxBackend,
  x: TensorInfo,
  key: string,
  build: () => ElementwiseGraph,
): TensorInfo {
  const out = backend.allocate(x.shape, 'float32');
  const dims = [out.values.length];
  backend.runGraph(
    `unary/${key}`,
    (): OnnxGraph => ({
      ...build(),
      inputs: [{ name: 'x', type: 'float32', rank: 1 }],
      outputs: [{ name: 'y', type: 'float32', rank: 1 }],
    }),
    { x: floatTensor(backend.floats(x), dims) },
    { y: floatTensor(out.values, dims) },
  );
  return out.info;
}

/** A kernel that is one elementwise graph on large float32 tensors and the cpu kernel otherwise. */
function unaryKernel(name: string, build: () => ElementwiseGraph): KernelConfig {
  return defineKernel<{ x: TensorInfo }, object>(name, ({ inputs, attrs, backend }) => {
    const { x } = inputs;
    if (x.dtype !== 'float32' || sizeOf(x.shape) < backend.smallTensor)
      return callCpuKernel(backend, name, inputs, attrs);
    return runUnary(backend, x, name, build);
  });
}

/** tfjs propagates NaN through ReLUs, as onnxruntime's kernels do. */
const relu6 = (): ElementwiseGraph => ({
  nodes: [{ op: 'Clip', inputs: ['x', 'low', 'high'], outputs: ['y'] }],
  initializers: [scalarConstant('low', 0), scalarConstant('high', 6)],
});

const leakyRelu = defineKernel<{ x: TensorInfo }, { alpha: number }>(
  'LeakyRelu',
  ({ inputs, attrs, backend }) => {
    const { x } = inputs;
    const { alpha } = attrs;
    if (x.dtype !== 'float32' || sizeOf(x.shape) < backend.smallTensor)
      return callCpuKernel(backend, 'LeakyRelu', inputs, attrs);
    return runUnary(backend, x, `LeakyRelu/${alpha}`, () => single('LeakyRelu', { alpha: { float: alpha } }));
  },
);

const clip = defineKernel<{ x: TensorInfo }, { clipValueMin: number; clipValueMax: number }>(
  'ClipByValue',
  ({ inputs, attrs, backend }) => {
    const { x } = inputs;
    const { clipValueMin, clipValueMax } = attrs;
    if (x.dtype !== 'float32' || sizeOf(x.shape) < backend.smallTensor) {
      return callCpuKernel(backend, 'ClipByValue', inputs, attrs);
    }
    return runUnary(backend, x, `Clip/${clipValueMin}/${clipValueMax}`, () => ({
      nodes: [{ op: 'Clip', inputs: ['x', 'low', 'high'], outputs: ['y'] }],
      initializers: [scalarConstant('low', clipValueMin), scalarConstant('high', clipValueMax)],
    }));
  },
);

/** onnxruntime's own is 0 below -18, and its logarithm minus infinity. */
const sigmoid = () => ({
  nodes: [
    { op: 'Neg', inputs: ['x'], outputs: ['minus'] },
    { op: 'Exp', inputs: ['minus'], outputs: ['e'] },
    { op: 'Add', inputs: ['e', 'one'], outputs: ['sum'] },
    { op: 'Reciprocal', inputs: ['sum'], outputs: ['y'] },
  ],
  initializers: [scalarConstant('one', 1)],
});

/** 1 where x > 0, alpha elsewhere, NaN kept; onnxruntime has no such operator. */
const step = defineKernel<{ x: TensorInfo }, { alpha: number }>('Step', ({ inputs, attrs, backend }) => {
  const { x } = inputs;
  const { alpha } = attrs;
  if (x.dtype !== 'float32' || alpha !== 0 || sizeOf(x.shape) < backend.smallTensor) {
    return callCpuKernel(backend, 'Step', inputs, attrs);
  }
  const values = backend.floats(x);
  const out = backend.allocate(x.shape, 'float32');
  const to = new Int32Array(out.values.buffer);
  if (values.byteOffset % 4 !== 0) return callCpuKernel(backend, 'Step', inputs, attrs);
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < bits.length; i++) {
    const v = bits[i];
    // All ones where the float is above zero: branches on random signs would be mispredicted half of the time.
    const positive = (-v & ~v) >> 31;
    to[i] = (v & 0x7fffffff) > INFINITY_BITS ? v : positive & ONE_BITS;
  }
  return out.info;
});
const INFINITY_BITS = 0x7f800000;
const ONE_BITS = 0x3f800000;

/** Elementwise functions of one tensor. */
export const unaryKernels: readonly KernelConfig[] = [
  unaryKernel('Relu', () => single('Relu')),
  unaryKernel('Relu6', relu6),
  unaryKernel('Sigmoid', sigmoid),
  unaryKernel('Tanh', () => single('Tanh')),
  unaryKernel('Exp', () => single('Exp')),
  unaryKernel('Log', () => single('Log')),
  unaryKernel('Sqrt', () => single('Sqrt')),
  unaryKernel('Rsqrt', () => ({
    nodes: [
      { op: 'Sqrt', inputs: ['x'], outputs: ['r'] },
      { op: 'Reciprocal', inputs: ['r'], outputs: ['y'] },
    ],
  })),
  unaryKernel('Reciprocal', () => single('Reciprocal')),
  unaryKernel('Square', () => ({ nodes: [{ op: 'Mul', inputs: ['x', 'x'], outputs: ['y'] }] })),
  unaryKernel('Neg', () => single('Neg')),
  unaryKernel('Abs', () => single('Abs')),
  unaryKernel('Floor', () => single('Floor')),
  unaryKernel('Ceil', () => single('Ceil')),
  unaryKernel('Elu', () => single('Elu')),
  unaryKernel('Erf', () => single('Erf')),
  unaryKernel('Softplus', () => single('Softplus')),
  leakyRelu,
  clip,
  step,
];
