import * as tf from '@tensorflow/tfjs-core';
import { runWithGradient } from '../gradients/run-with-gradient.js';
import { kernelNames } from '../kernels/kernel-names.js';
import { runOptionalKernel } from '../kernels/run-kernel.js';

/**
 * A = softmax over rows of theta phi^T (method.md 2.3).
 *
 * Keeps theta, phi and A.
 *
 * @param theta [N,h,w,C]
 * @param phi [N,h,w,C]
 * @returns [N,hw,hw], rows summing to one
 */
export function pairwiseAffinityOf(theta: tf.Tensor4D, phi: tf.Tensor4D): tf.Tensor3D {
  const [n, h, w, c] = theta.shape;
  return tf.tidy(() => {
    const queries: tf.Tensor3D = tf.reshape(theta, [n, h * w, c]);
    const keys: tf.Tensor3D = tf.reshape(phi, [n, h * w, c]);
    return softmaxRows(tf.matMul(queries, keys, false, true) as tf.Tensor3D);
  });
}

/** Softmax over the last axis whose backward pass keeps the result only. */
function softmaxRows(logits: tf.Tensor3D): tf.Tensor3D {
  return runWithGradient(
    'softmaxRows',
    { logits },
    (save) => {
      const y = tf.softmax(logits);
      save([y]);
      return y;
    },
    (dy, [y]) => ({
      logits: () =>
        runOptionalKernel<tf.Tensor>(kernelNames.softmaxGradient, { dy, y }) ??
        tf.tidy(() => {
          const weighted = tf.mul(dy, y);
          return tf.sub(weighted, tf.mul(tf.sum(weighted, -1, true), y));
        }),
    }),
  ) as tf.Tensor3D;
}

/**
 * A X: every position becomes the affinity-weighted sum of all positions.
 *
 * @param affinity [N,L,L]
 * @param x [N,h,w,C] with h*w = L
 * @returns [N,h,w,C]
 */
export function applyAffinityTo(affinity: tf.Tensor3D, x: tf.Tensor4D): tf.Tensor4D {
  const [n, h, w, c] = x.shape;
  return tf.tidy(() =>
    tf.reshape(tf.matMul(affinity, tf.reshape(x, [n, h * w, c]) as tf.Tensor3D), [n, h, w, c]),
  );
}
