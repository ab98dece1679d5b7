import type { KernelConfig, TensorInfo } from '@tensorflow/tfjs-core';
import { floatTensor } from '../ort-tensor.js';
import { callCpuKernel } from './call-kernel.js';
import { defineKernel, sizeOf } from './kernel.js';

const softmax = defineKernel<{ logits: TensorInfo }, { dim: number }>(
  'Softmax',
  ({ inputs, attrs, backend }) => {
    const { logits } = inputs;
    const rank = logits.shape.length;
    const size = sizeOf(logits.shape);
    const last = attrs.dim === -1 || attrs.dim === rank - 1;
    if (logits.dtype !== 'float32' || !last || size === 0)
      return callCpuKernel(backend, 'Softmax', inputs, attrs);
    const columns = logits.shape[rank - 1];
    const dims = [size / columns, columns];
    const out = backend.allocate(logits.shape, 'float32');
    backend.runGraph(
      'softmax',
      () => ({
        nodes: [{ op: 'Softmax', inputs: ['x'], outputs: ['y'], attributes: { axis: { int: -1 } } }],
        inputs: [{ name: 'x', type: 'float32', rank: 2 }],
        outputs: [{ name: 'y', type: 'float32', rank: 2 }],
      }),
      { x: floatTensor(backend.floats(logits), dims) },
      { y: floatTensor(out.values, dims) },
    );
    return out.info;
  },
);

/** (dy - sum(dy * y)) * y over the last axis, row by row so that each row is read from cache the second time. */
const softmaxGrad = defineKernel<{ dy: TensorInfo; y: TensorInfo }, object>(
  'AuxSoftmaxGrad',
  ({ inputs, backend }) => {
    const dy = backend.floats(inputs.dy);
    const y = backend.floats(inputs.y);
    const { shape } = inputs.y;
    const columns = shape[shape.length - 1];
    const out = backend.allocate(shape, 'float32');
    const dx = out.values;
    for (let start = 0; start < y.length; start += columns) {
      const end = start + columns;
      let sum = 0;
      for (let i = start; i < end; i++) sum += dy[i] * y[i];
      for (let i = start; i < end; i++) dx[i] = (dy[i] - sum) * y[i];
    }
    return out.info;
  },
);

/** Softmax over the last axis and its gradient. */
export const softmaxKernels: readonly KernelConfig[] = [softmax, softmaxGrad];
