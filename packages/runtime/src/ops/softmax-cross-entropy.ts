import * as tf from '@tensorflow/tfjs-core';
import { kernelNames } from '../kernels/kernel-names.js';

/**
 * Softmax cross-entropy with its gradient from one kernel, or null where the backend has none.
 *
 * @param logits [..., C]
 * @param labels [...] int32, 0..C-1 or `ignoreLabel`; anything else is an error of the caller's
 * @returns the mean over the labels that count (0 where none does) and its gradient; the caller disposes both
 */
export function fusedSoftmaxCrossEntropy(
  logits: tf.Tensor,
  labels: tf.Tensor,
  ignoreLabel: number,
): { loss: tf.Scalar; gradient: tf.Tensor } | null {
  if (tf.getKernel(kernelNames.softmaxCrossEntropy, tf.getBackend()) == null) return null;
  const [loss, gradient] = tf.engine().runKernel(kernelNames.softmaxCrossEntropy, { logits, labels }, {
    ignoreLabel,
  } as never) as unknown as tf.Tensor[];
  return { loss: loss as tf.Scalar, gradient };
}
