import {
  type _FusedMatMulAttrs,
  type BatchMatMulAttrs,
  broadcast_util,
  type KernelConfig,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import type { OnnxBackend } from '../onnx-backend.js';
import { applyActivation } from './apply-activation.js';
import { callCpuKernel, callKernel } from './call-kernel.js';
import { productWithEpilogue } from './conv-forward.js';
import { isFusedActivation } from './epilogue.js';
import { defineKernel, sizeOf } from './kernel.js';
import { matMulInto } from './mat-mul.js';

function multiply(backend: OnnxBackend, a: TensorInfo, b: TensorInfo, attrs: BatchMatMulAttrs): TensorInfo {
  const { transposeA, transposeB } = attrs;
  const rankA = a.shape.length;
  const rankB = b.shape.length;
  const batchA = a.shape.slice(0, -2);
  const batchB = b.shape.slice(0, -2);
  const rows = a.shape[transposeA ? rankA - 1 : rankA - 2];
  const columns = b.shape[transposeB ? rankB - 2 : rankB - 1];
  const batch = broadcast_util.assertAndGetBroadcastShape(batchA, batchB);
  const out = backend.allocate([...batch, rows, columns], 'float32');
  const flatA = [a.shape[rankA - 2], a.shape[rankA - 1]];
  const flatB = [b.shape[rankB - 2], b.shape[rankB - 1]];
  const left = { values: backend.floats(a), transpose: transposeA };
  const right = { values: backend.floats(b), transpose: transposeB };
  if (sizeOf(batch) === 1) {
    matMulInto(
      backend,
      { ...left, dims: flatA },
      { ...right, dims: flatB },
      { values: out.values, dims: [rows, columns] },
    );
  } else if (sizeOf(batchB) === 1 && !transposeA) {
    // One right operand for the whole batch: the left one is a single tall matrix.
    const tall = sizeOf(batchA) * rows;
    matMulInto(
      backend,
      { ...left, dims: [tall, flatA[1]] },
      { ...right, dims: flatB },
      { values: out.values, dims: [tall, columns] },
    );
  } else {
    const rank = batch.length;
    const pad = (shape: number[]) => [...new Array<number>(rank - shape.length).fill(1), ...shape];
    matMulInto(
      backend,
      { ...left, dims: [...pad(batchA), ...flatA] },
      { ...right, dims: [...pad(batchB), ...flatB] },
      { values: out.values, dims: [...batch, rows, columns] },
    );
  }
  return out.info;
}

function isEmptyOrInteger(a: TensorInfo, b: TensorInfo): boolean {
  return a.dtype !== 'float32' || b.dtype !== 'float32' || sizeOf(a.shape) === 0 || sizeOf(b.shape) === 0;
}

const batchMatMul = defineKernel<{ a: TensorInfo; b: TensorInfo }, BatchMatMulAttrs>(
  'BatchMatMul',
  ({ inputs, attrs, backend }) => {
    const { a, b } = inputs;
    if (isEmptyOrInteger(a, b)) return callCpuKernel(backend, 'BatchMatMul', inputs, attrs);
    return multiply(backend, a, b, attrs);
  },
);

const fusedMatMul = defineKernel<
  { a: TensorInfo; b: TensorInfo; bias?: TensorInfo; preluActivationWeights?: TensorInfo },
  _FusedMatMulAttrs
>('_FusedMatMul', ({ inputs, attrs, backend }) => {
  const { a, b, bias, preluActivationWeights } = inputs;
  if (isEmptyOrInteger(a, b)) return callCpuKernel(backend, '_FusedMatMul', inputs, attrs);
  const columns = b.shape[b.shape.length - (attrs.transposeB ? 2 : 1)];
  const flat = sizeOf(b.shape.slice(0, -2)) === 1 && !attrs.transposeA && !attrs.transposeB;
  const ownBias = bias === undefined || sizeOf(bias.shape) === columns;
  if (flat && ownBias && isFusedActivation(attrs.activation)) {
    const inner = a.shape[a.shape.length - 1];
    const rows = sizeOf(a.shape) / inner;
    const out = backend.allocate([...a.shape.slice(0, -1), columns], 'float32');
    productWithEpilogue(backend, backend.floats(a), backend.floats(b), out.values, [rows, inner, columns], {
      bias: bias && backend.floats(bias),
      activation: attrs.activation,
    });
    return out.info;
  }
  let result = multiply(backend, a, b, attrs);
  if (bias) {
    const product = result;
    result = callKernel(backend, 'Add', { a: product, b: bias });
    backend.disposeIntermediateTensorInfo(product);
  }
  return applyActivation(backend, result, attrs.activation, {
    preluActivationWeights,
    leakyreluAlpha: attrs.leakyreluAlpha,
  });
});

/** Matrix products. */
export const matMulKernels: readonly KernelConfig[] = [batchMatMul, fusedMatMul];
