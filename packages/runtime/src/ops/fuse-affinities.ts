import * as tf from '@tensorflow/tfjs-core';
import { runWithGradient } from '../gradients/run-with-gradient.js';
import { kernelNames } from '../kernels/kernel-names.js';
import { runOptionalKernel } from '../kernels/run-kernel.js';

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

/**
 * The same fusion in one pass over the two maps where the backend has a kernel for it, forward and backward.
 *
 * Keeps the two maps, which whoever made them keeps anyway, and recomputes the rest in the backward pass.
 */
export function fuseAffinityMaps(seg: tf.Tensor3D, sal: tf.Tensor3D, weights: FusionWeights): tf.Tensor3D {
  if (tf.getKernel(kernelNames.fuseAffinitiesGradient, tf.getBackend()) == null) {
    return composeFusedAffinity(seg, sal, weights);
  }
  const { conv1, conv2, bias } = weights;
  const inputs = { seg, sal, conv1, conv2, bias };
  return runWithGradient(
    'fuseAffinities',
    inputs,
    (save) => {
      save([seg, sal, conv1, conv2, bias]);
      return runOptionalKernel<tf.Tensor>(kernelNames.fuseAffinities, inputs)!;
    },
    (dy, saved) => {
      const [savedSeg, savedSal, savedConv1, savedConv2, savedBias] = saved;
      // All five come out of one pass; it runs when the engine asks for the node's gradients, so it is always needed.
      const gradients = runOptionalKernel<tf.Tensor[]>(kernelNames.fuseAffinitiesGradient, {
        ...{ seg: savedSeg, sal: savedSal, conv1: savedConv1, conv2: savedConv2, bias: savedBias },
        dy,
      })!;
      return {
        seg: () => gradients[0],
        sal: () => gradients[1],
        conv1: () => gradients[2],
        conv2: () => gradients[3],
        bias: () => gradients[4],
      };
    },
  ) as tf.Tensor3D;
}
