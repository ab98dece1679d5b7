import { getKernel, type TensorInfo } from '@tensorflow/tfjs-core';
import type { OnnxBackend } from '../onnx-backend.js';
import { BACKEND_NAME } from './kernel.js';

/** Runs another kernel of this backend by name, for the parts of a composite kernel. */
export function callKernel(
  backend: OnnxBackend,
  name: string,
  inputs: Record<string, TensorInfo>,
  attrs: Record<string, unknown> = {},
): TensorInfo {
  const kernel = getKernel(name, BACKEND_NAME);
  return kernel.kernelFunc({ inputs, attrs: attrs as never, backend }) as TensorInfo;
}

/** Runs the cpu backend's kernel of the same name on our tensors, for the cases that a fast kernel leaves out. */
export function callCpuKernel(
  backend: OnnxBackend,
  name: string,
  inputs: object,
  attrs: object = {},
): TensorInfo {
  const kernel = getKernel(name, 'cpu');
  return kernel.kernelFunc({ inputs: inputs as never, attrs: attrs as never, backend }) as TensorInfo;
}
