import * as tf from '@tensorflow/tfjs-core';
import { depthwiseInputGradient } from './conv-dispatch.js';

/** Attributes of tfjs's AvgPool kernel. */
export interface AvgPoolAttrs {
  filterSize: number | [number, number];
  strides: number | [number, number];
  pad: 'valid' | 'same' | number;
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

/** How many real pixels each output position of one axis averages. */
function windowCounts(
  size: number,
  outputSize: number,
  window: number,
  stride: number,
  before: number,
): number[] {
  return Array.from({ length: outputSize }, (_, i) => {
    const start = i * stride - before;
    return Math.max(1, Math.min(size, start + window) - Math.max(0, start));
  });
}

/**
 * Gradient of average pooling.
 *
 * tfjs's own kernels divide by the whole window everywhere, while the forward pass divides by the pixels inside the
 * image: wrong at every border of a padded pooling.
 */
export function avgPoolGradient(dy: tf.Tensor4D, x: tf.Tensor4D, attrs: AvgPoolAttrs): tf.Tensor4D {
  return tf.tidy(() => {
    const info = tf.backend_util.computePool2DInfo(
      x.shape,
      attrs.filterSize,
      attrs.strides,
      1,
      attrs.pad,
      attrs.dimRoundingMode,
    );
    const { filterHeight, filterWidth, strideHeight, strideWidth, inHeight, inWidth, outHeight, outWidth } =
      info;
    const { top, bottom, left, right } = info.padInfo;
    const rows = windowCounts(inHeight, outHeight, filterHeight, strideHeight, top);
    const columns = windowCounts(inWidth, outWidth, filterWidth, strideWidth, left);
    const shares = tf.tensor4d(
      rows.flatMap((row) => columns.map((column) => 1 / (row * column))),
      [1, outHeight, outWidth, 1],
    );
    const filter = tf.ones([filterHeight, filterWidth, x.shape[3], 1]) as tf.Tensor4D;
    return depthwiseInputGradient(tf.mul(dy, shares), filter, x.shape, {
      strides: [strideHeight, strideWidth],
      pads: [top, bottom, left, right],
      dilations: [1, 1],
    });
  });
}
