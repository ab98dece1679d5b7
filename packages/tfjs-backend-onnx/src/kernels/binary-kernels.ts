import { broadcast_util, type KernelConfig, type TensorInfo } from '@tensorflow/tfjs-core';
import type { OnnxBackend } from '../onnx-backend.js';
import type { OnnxElementType, OnnxNode } from '../onnx-model.js';
import { floatTensor, ortTensor } from '../ort-tensor.js';
import { callCpuKernel } from './call-kernel.js';
import { defineKernel, sizeOf } from './kernel.js';

type ScalarFunction = (a: number, b: number) => number;

interface BinaryDefinition {
  /** Nodes from `a` and `b` to `y`. */
  nodes: readonly OnnxNode[];
  output: 'float32' | 'bool';
  /** The function in JavaScript, for small tensors. */
  scalar?: ScalarFunction;
}

const single = (op: string): readonly OnnxNode[] => [{ op, inputs: ['a', 'b'], outputs: ['y'] }];

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((extent, axis) => extent === b[axis]);
}

/**
 * Extents of both operands with neighbouring axes merged where both keep or both broadcast: fewer axes run faster, and
 * fewer ranks mean fewer sessions.
 */
export function mergeBroadcastAxes(a: readonly number[], b: readonly number[]): { a: number[]; b: number[] } {
  const rank = Math.max(a.length, b.length);
  const mergedA: number[] = [];
  const mergedB: number[] = [];
  let previous = '';
  for (let axis = 0; axis < rank; axis++) {
    const extentA = a[axis - rank + a.length] ?? 1;
    const extentB = b[axis - rank + b.length] ?? 1;
    if (extentA === 1 && extentB === 1) continue;
    const kind = extentA === extentB ? 'both' : extentA === 1 ? 'b' : 'a';
    if (kind === previous) {
      mergedA[mergedA.length - 1] *= extentA;
      mergedB[mergedB.length - 1] *= extentB;
    } else {
      mergedA.push(extentA);
      mergedB.push(extentB);
    }
    previous = kind;
  }
  return { a: mergedA, b: mergedB };
}

function runBinary(
  backend: OnnxBackend,
  name: string,
  definition: BinaryDefinition,
  a: TensorInfo,
  b: TensorInfo,
): TensorInfo {
  const shape = sameShape(a.shape, b.shape)
    ? a.shape
    : broadcast_util.assertAndGetBroadcastShape(a.shape, b.shape);
  const out = backend.allocate(shape, definition.output);
  const merged = mergeBroadcastAxes(a.shape, b.shape);
  const rank = merged.a.length;
  const type: OnnxElementType = definition.output;
  backend.runGraph(
    `binary/${name}/${rank}`,
    () => ({
      nodes: definition.nodes,
      inputs: [
        { name: 'a', type: 'float32', rank },
        { name: 'b', type: 'float32', rank },
      ],
      outputs: [{ name: 'y', type, rank }],
    }),
    { a: floatTensor(backend.floats(a), merged.a), b: floatTensor(backend.floats(b), merged.b) },
    {
      y: ortTensor(
        out.values,
        merged.a.map((extent, axis) => Math.max(extent, merged.b[axis])),
        definition.output,
      ),
    },
  );
  return out.info;
}

/** Small tensors of equal shape, or one of them a scalar, in a plain loop; null for any other broadcast. */
function runSmall(
  backend: OnnxBackend,
  definition: BinaryDefinition,
  a: TensorInfo,
  b: TensorInfo,
): TensorInfo | null {
  const { scalar } = definition;
  if (scalar === undefined) return null;
  const equal = sameShape(a.shape, b.shape);
  const scalarA = a.shape.length === 0;
  const scalarB = b.shape.length === 0;
  if (!equal && !scalarA && !scalarB) return null;
  const left = backend.floats(a);
  const right = backend.floats(b);
  const out = backend.allocate(scalarA ? b.shape : a.shape, definition.output);
  const { values } = out;
  if (equal) for (let i = 0; i < values.length; i++) values[i] = scalar(left[i], right[i]);
  else if (scalarA) for (let i = 0; i < values.length; i++) values[i] = scalar(left[0], right[i]);
  else for (let i = 0; i < values.length; i++) values[i] = scalar(left[i], right[0]);
  return out.info;
}

function binaryKernel(name: string, definition: BinaryDefinition): KernelConfig {
  return defineKernel<{ a: TensorInfo; b: TensorInfo }, object>(name, ({ inputs, attrs, backend }) => {
    const { a, b } = inputs;
    if (a.dtype !== 'float32' || b.dtype !== 'float32') return callCpuKernel(backend, name, inputs, attrs);
    const size = Math.max(sizeOf(a.shape), sizeOf(b.shape));
    if (size < backend.smallTensor || sizeOf(a.shape) * sizeOf(b.shape) === 0) {
      return runSmall(backend, definition, a, b) ?? callCpuKernel(backend, name, inputs, attrs);
    }
    return runBinary(backend, name, definition, a, b);
  });
}

const comparison = (op: string): BinaryDefinition => ({ nodes: single(op), output: 'bool' });

/** Elementwise functions of two tensors, with broadcasting. */
export const binaryKernels: readonly KernelConfig[] = [
  binaryKernel('Add', { nodes: single('Add'), output: 'float32', scalar: (a, b) => a + b }),
  binaryKernel('Sub', { nodes: single('Sub'), output: 'float32', scalar: (a, b) => a - b }),
  binaryKernel('Multiply', { nodes: single('Mul'), output: 'float32', scalar: (a, b) => a * b }),
  binaryKernel('RealDiv', { nodes: single('Div'), output: 'float32', scalar: (a, b) => a / b }),
  binaryKernel('Maximum', { nodes: single('Max'), output: 'float32' }),
  binaryKernel('Minimum', { nodes: single('Min'), output: 'float32' }),
  binaryKernel('SquaredDifference', {
    nodes: [
      { op: 'Sub', inputs: ['a', 'b'], outputs: ['d'] },
      { op: 'Mul', inputs: ['d', 'd'], outputs: ['y'] },
    ],
    output: 'float32',
  }),
  binaryKernel('Greater', comparison('Greater')),
  binaryKernel('GreaterEqual', comparison('GreaterOrEqual')),
  binaryKernel('Less', comparison('Less')),
  binaryKernel('LessEqual', comparison('LessOrEqual')),
  binaryKernel('Equal', comparison('Equal')),
];
