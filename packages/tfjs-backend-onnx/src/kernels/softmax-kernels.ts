import type { KernelConfig, TensorInfo } from '@tensorflow/tfjs-core';
import { floatTensor } from '../ort-tensor.js';
import { runInChunks } from '../simd-workspace.js';
import { callCpuKernel } from './call-kernel.js';
import { defineKernel, sizeOf } from './kernel.js';

/**
 * Replaces subnormal numbers (below 1.2e-38) by 0. A peaked attention is full of them, and every product with one takes the
 * processor a hundred times as long.
 */
function flushSubnormals(values: Float32Array): void {
  runInChunks([values], [], 1, values, (kernels, [x], count) => kernels.flushSubnormals(x, count));
}

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
      'compute',
    );
    flushSubnormals(out.values);
    return out.info;
  },
);

/** (dy - sum(dy * y)) * y over the last axis, without subnormal numbers. */
const softmaxGrad = defineKernel<{ dy: TensorInfo; y: TensorInfo }, object>(
  'AuxSoftmaxGrad',
  ({ inputs, backend }) => {
    const { shape } = inputs.y;
    const columns = shape[shape.length - 1];
    const out = backend.allocate(shape, 'float32');
    runInChunks(
      [backend.floats(inputs.dy), backend.floats(inputs.y)],
      [],
      columns,
      out.values,
      (kernels, [dy, y], rows) => kernels.softmaxGradient(dy, y, rows, columns),
    );
    return out.info;
  },
);

/** Softmax over the last axis and its gradient. */
export const softmaxKernels: readonly KernelConfig[] = [softmax, softmaxGrad];
