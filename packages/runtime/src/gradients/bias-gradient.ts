import * as tf from '@tensorflow/tfjs-core';
import { kernelNames } from '../kernels/kernel-names.js';
import { runOptionalKernel } from '../kernels/run-kernel.js';

/** Gradient of a bias that was broadcast to the shape of dy, summed back to the bias's own shape. */
export function biasGradientFor(bias: tf.Tensor, dy: tf.Tensor): tf.Tensor {
  if (bias.rank === 1 && bias.shape[0] === dy.shape[dy.rank - 1]) {
    const own = runOptionalKernel<tf.Tensor>(kernelNames.columnSums, { x: dy });
    if (own != null) return own;
  }
  return tf.tidy(() => {
    const axes = tf.broadcast_util.getReductionAxes(bias.shape, dy.shape);
    return tf.reshape(axes.length > 0 ? tf.sum(dy, axes) : dy, bias.shape);
  });
}
