import * as tf from '@tensorflow/tfjs-core';
import { kernelNames } from '../kernels/kernel-names.js';
import { runOptionalKernel } from '../kernels/run-kernel.js';

/** Activations that our convolutions and scale-and-shift fuse. */
export type Activation = 'linear' | 'relu' | 'relu6';

/** The activation as a tf operation. */
export function applyActivation<T extends tf.Tensor>(x: T, activation: Activation): T {
  if (activation === 'relu') return tf.relu(x);
  if (activation === 'relu6') return tf.relu6(x);
  return x;
}

/** dy masked by where the activation, whose OUTPUT is y, lets gradient through. */
export function activationGradient(
  dy: tf.Tensor,
  y: tf.Tensor | undefined,
  activation: Activation,
): tf.Tensor {
  if (activation === 'linear' || y == null) return dy;
  const own = runOptionalKernel<tf.Tensor>(kernelNames.activationGradient, { dy, y }, { activation });
  if (own != null) return own;
  if (activation === 'relu') return tf.tidy(() => tf.mul(dy, tf.step(y)));
  return tf.tidy(() => tf.mul(dy, tf.mul(tf.step(y), tf.step(tf.sub(6, y)))));
}
