import type * as tf from '@tensorflow/tfjs-core';
import { kernelNames } from '../kernels/kernel-names.js';
import { runOptionalKernel } from '../kernels/run-kernel.js';
import type { ConvGeometry } from './conv-geometry.js';
import {
  composeConv2DFilterGradient,
  composeConv2DInputGradient,
  composeDepthwiseFilterGradient,
  composeDepthwiseInputGradient,
} from './conv2d-gradients.js';

type Shape4D = [number, number, number, number];

/** Gradient of conv2d with respect to x: dy [N,OH,OW,K], filter [kh,kw,C,K] -> [N,H,W,C]. */
export function conv2DInputGradient(
  dy: tf.Tensor4D,
  filter: tf.Tensor4D,
  inputShape: Shape4D,
  geometry: ConvGeometry,
): tf.Tensor4D {
  return (
    runOptionalKernel<tf.Tensor4D>(
      kernelNames.convInputGradient,
      { dy, filter },
      { ...geometry, inputShape },
    ) ?? composeConv2DInputGradient(dy, filter, inputShape, geometry)
  );
}

/** Gradient of conv2d with respect to the filter: x [N,H,W,C], dy [N,OH,OW,K] -> [kh,kw,C,K]. */
export function conv2DFilterGradient(
  x: tf.Tensor4D,
  dy: tf.Tensor4D,
  filterShape: Shape4D,
  geometry: ConvGeometry,
): tf.Tensor4D {
  return (
    runOptionalKernel<tf.Tensor4D>(kernelNames.convFilterGradient, { x, dy }, { ...geometry, filterShape }) ??
    composeConv2DFilterGradient(x, dy, filterShape, geometry)
  );
}

/** Gradient of depthwiseConv2d with respect to x: dy [N,OH,OW,C*M], filter [kh,kw,C,M] -> [N,H,W,C]. */
export function depthwiseInputGradient(
  dy: tf.Tensor4D,
  filter: tf.Tensor4D,
  inputShape: Shape4D,
  geometry: ConvGeometry,
): tf.Tensor4D {
  return (
    runOptionalKernel<tf.Tensor4D>(
      kernelNames.depthwiseInputGradient,
      { dy, filter },
      { ...geometry, inputShape },
    ) ?? composeDepthwiseInputGradient(dy, filter, inputShape, geometry)
  );
}

/** Gradient of depthwiseConv2d with respect to the filter: x [N,H,W,C], dy [N,OH,OW,C*M] -> [kh,kw,C,M]. */
export function depthwiseFilterGradient(
  x: tf.Tensor4D,
  dy: tf.Tensor4D,
  filterShape: Shape4D,
  geometry: ConvGeometry,
): tf.Tensor4D {
  return (
    runOptionalKernel<tf.Tensor4D>(
      kernelNames.depthwiseFilterGradient,
      { x, dy },
      { ...geometry, filterShape },
    ) ?? composeDepthwiseFilterGradient(x, dy, filterShape, geometry)
  );
}
