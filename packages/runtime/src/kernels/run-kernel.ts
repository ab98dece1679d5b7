import * as tf from '@tensorflow/tfjs-core';

/** Runs a kernel of the active backend, or returns null if it has none of that name. */
export function runOptionalKernel<T extends tf.Tensor | tf.Tensor[]>(
  kernelName: string,
  inputs: Record<string, tf.Tensor>,
  attrs: Record<string, unknown> = {},
): T | null {
  if (tf.getKernel(kernelName, tf.getBackend()) == null) return null;
  return tf.engine().runKernel(kernelName, inputs, attrs as never) as T;
}
