import type { KernelConfig, TensorInfo } from '@tensorflow/tfjs-core';
import type { OnnxBackend } from '../onnx-backend.js';

/** What a kernel of this backend gets: inputs and attributes by name, typed by the kernel itself. */
export interface KernelCall<Inputs, Attributes> {
  inputs: Inputs;
  attrs: Attributes;
  backend: OnnxBackend;
}

/** The name under which the backend is registered. */
export const BACKEND_NAME = 'onnx';

/** A typed kernel as tfjs wants it registered. */
export function defineKernel<Inputs, Attributes>(
  kernelName: string,
  run: (call: KernelCall<Inputs, Attributes>) => TensorInfo | TensorInfo[],
): KernelConfig {
  return {
    kernelName,
    backendName: BACKEND_NAME,
    // tfjs calls with exactly these three fields but types them loosely.
    kernelFunc: run as unknown as KernelConfig['kernelFunc'],
  };
}

/** Product of extents. */
export function sizeOf(shape: readonly number[]): number {
  let size = 1;
  for (const extent of shape) size *= extent;
  return size;
}
