import * as tf from '@tensorflow/tfjs-core';

/** Gradient of a bias that was broadcast to the shape of dy, summed back to the bias's own shape. */
export function biasGradientFor(bias: tf.Tensor, dy: tf.Tensor): tf.Tensor {
  return tf.tidy(() => {
    const axes = tf.broadcast_util.getReductionAxes(bias.shape, dy.shape);
    return tf.reshape(axes.length > 0 ? tf.sum(dy, axes) : dy, bias.shape);
  });
}
