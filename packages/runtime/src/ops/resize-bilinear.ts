import * as tf from '@tensorflow/tfjs-core';
import { resizeBilinearGradient } from '../gradients/resize-gradient.js';
import { runWithGradient } from '../gradients/run-with-gradient.js';

const halfPixel = { alignCorners: false, halfPixelCenters: true } as const;

/**
 * Bilinear resize with half-pixel centres (PyTorch's `align_corners=False`, OpenCV's INTER_LINEAR), with the exact
 * adjoint as gradient.
 *
 * @param x [N,H,W,C]
 * @param size [height, width] in pixels
 * @returns [N,height,width,C], the caller disposes it
 */
export function resizeBilinear(x: tf.Tensor4D, size: [number, number]): tf.Tensor4D {
  const inputShape = x.shape;
  if (inputShape[1] === size[0] && inputShape[2] === size[1]) return tf.clone(x);
  return runWithGradient(
    'resizeBilinear',
    { x },
    () => tf.image.resizeBilinear(x, size, halfPixel.alignCorners, halfPixel.halfPixelCenters),
    (dy) => ({ x: () => resizeBilinearGradient(dy as tf.Tensor4D, inputShape, halfPixel) }),
  ) as tf.Tensor4D;
}

/** `resizeBilinear` to the height and width of `reference` [N,H,W,*]. */
export function upsampleLike(x: tf.Tensor4D, reference: tf.Tensor4D): tf.Tensor4D {
  return resizeBilinear(x, [reference.shape[1], reference.shape[2]]);
}
