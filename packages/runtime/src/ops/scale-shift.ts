import * as tf from '@tensorflow/tfjs-core';
import { runWithGradient } from '../gradients/run-with-gradient.js';
import { kernelNames } from '../kernels/kernel-names.js';
import { runOptionalKernel } from '../kernels/run-kernel.js';
import { type Activation, activationGradient, applyActivation } from './activation.js';

function forwardScaleShift(
  x: tf.Tensor4D,
  scale: tf.Tensor1D,
  shift: tf.Tensor1D,
  activation: Activation,
): tf.Tensor4D {
  const own = runOptionalKernel<tf.Tensor4D>(kernelNames.scaleShift, { x, scale, shift }, { activation });
  if (own != null) return own;
  if (tf.getBackend() === 'wasm') {
    // XNNPACK recognises a 1x1 depthwise convolution as multiply-add and clamps in the same pass.
    const filter = tf.reshape(scale, [1, 1, x.shape[3], 1]);
    const attrs = { strides: [1, 1], pad: 'valid', dataFormat: 'NHWC', dilations: [1, 1], activation };
    return tf
      .engine()
      .runKernel('FusedDepthwiseConv2D', { x, filter, bias: shift }, attrs as never) as tf.Tensor4D;
  }
  return applyActivation(tf.add(tf.mul(x, scale), shift), activation);
}

/**
 * activation(x * scale + shift) with a scale and a shift that are never trained: the form of a frozen batch norm.
 *
 * The backward pass needs the scale, and the output where there is an activation; the input is not kept.
 *
 * @param x [N,H,W,C]
 * @param scale [C]
 * @param shift [C]
 */
export function frozenScaleShift(
  x: tf.Tensor4D,
  scale: tf.Tensor1D,
  shift: tf.Tensor1D,
  activation: Activation = 'linear',
): tf.Tensor4D {
  return runWithGradient(
    'scaleShift',
    { x },
    (save) => {
      const y = forwardScaleShift(x, scale, shift, activation);
      save(activation === 'linear' ? [scale] : [scale, y]);
      return y;
    },
    (dy, saved) => ({
      x: () => {
        const [savedScale, y] = saved;
        const inputs: Record<string, tf.Tensor> = { dy, scale: savedScale };
        if (y != null) inputs['y'] = y;
        const own = runOptionalKernel<tf.Tensor>(kernelNames.scaleShiftGradient, inputs, { activation });
        if (own != null) return own;
        return tf.tidy(() => tf.mul(activationGradient(dy, y, activation), savedScale));
      },
    }),
  ) as tf.Tensor4D;
}
