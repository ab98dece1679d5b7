import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { OnnxBackend } from '../onnx-backend.js';
import { callKernel } from './call-kernel.js';

const KERNEL_OF_ACTIVATION: Record<string, string> = {
  relu: 'Relu',
  relu6: 'Relu6',
  sigmoid: 'Sigmoid',
  elu: 'Elu',
  tanh: 'Tanh',
};

/** Applies a tfjs fused activation as a kernel of its own and disposes the input; 'linear' returns it unchanged. */
export function applyActivation(
  backend: OnnxBackend,
  x: TensorInfo,
  activation: string,
  extra: { preluActivationWeights?: TensorInfo; leakyreluAlpha?: number },
): TensorInfo {
  if (activation === 'linear') return x;
  let result: TensorInfo;
  if (activation === 'prelu')
    result = callKernel(backend, 'Prelu', { x, alpha: extra.preluActivationWeights! });
  else if (activation === 'leakyrelu')
    result = callKernel(backend, 'LeakyRelu', { x }, { alpha: extra.leakyreluAlpha });
  else result = callKernel(backend, KERNEL_OF_ACTIVATION[activation], { x });
  backend.disposeIntermediateTensorInfo(x);
  return result;
}
