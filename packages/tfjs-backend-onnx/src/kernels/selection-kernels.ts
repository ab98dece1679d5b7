import type { KernelConfig, TensorInfo } from '@tensorflow/tfjs-core';
import { floatTensor, ortTensor } from '../ort-tensor.js';
import { callCpuKernel } from './call-kernel.js';
import { defineKernel, sizeOf } from './kernel.js';

const select = defineKernel<{ condition: TensorInfo; t: TensorInfo; e: TensorInfo }, object>(
  'Select',
  ({ inputs, attrs, backend }) => {
    const { condition, t, e } = inputs;
    const size = sizeOf(t.shape);
    if (
      t.dtype !== 'float32' ||
      e.dtype !== 'float32' ||
      size < backend.smallTensor ||
      sizeOf(condition.shape) !== size
    ) {
      return callCpuKernel(backend, 'Select', inputs, attrs);
    }
    const out = backend.allocate(t.shape, 'float32');
    backend.runGraph(
      'select',
      () => ({
        nodes: [{ op: 'Where', inputs: ['c', 'a', 'b'], outputs: ['y'] }],
        inputs: [
          { name: 'c', type: 'bool', rank: 1 },
          { name: 'a', type: 'float32', rank: 1 },
          { name: 'b', type: 'float32', rank: 1 },
        ],
        outputs: [{ name: 'y', type: 'float32', rank: 1 }],
      }),
      {
        c: ortTensor(backend.numbers(condition), [size], 'bool'),
        a: floatTensor(backend.floats(t), [size]),
        b: floatTensor(backend.floats(e), [size]),
      },
      { y: floatTensor(out.values, [size]) },
    );
    return out.info;
  },
);

/** Sum of several tensors of one shape, in one pass per tensor after the first two. */
const addN = defineKernel<TensorInfo[], object>('AddN', ({ inputs, attrs, backend }) => {
  const tensors = Object.values(inputs);
  const size = sizeOf(tensors[0].shape);
  if (size < backend.smallTensor || tensors.length < 2 || tensors.some((x) => x.dtype !== 'float32')) {
    return callCpuKernel(backend, 'AddN', inputs, attrs);
  }
  const out = backend.allocate(tensors[0].shape, 'float32');
  const names = tensors.map((_, index) => `x${index}`);
  backend.runGraph(
    `addn/${names.length}`,
    () => ({
      nodes: [{ op: 'Sum', inputs: names, outputs: ['y'] }],
      inputs: names.map((name) => ({ name, type: 'float32' as const, rank: 1 })),
      outputs: [{ name: 'y', type: 'float32', rank: 1 }],
    }),
    Object.fromEntries(tensors.map((x, index) => [names[index], floatTensor(backend.floats(x), [size])])),
    { y: floatTensor(out.values, [size]) },
  );
  return out.info;
});

/** Choice and sum of several tensors. */
export const selectionKernels: readonly KernelConfig[] = [select, addN];
