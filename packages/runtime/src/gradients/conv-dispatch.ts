import * as tf from '@tensorflow/tfjs-core';
import type { ConvGeometry } from './conv-geometry.js';
import {
  composeConv2DFilterGradient,
  composeConv2DInputGradient,
  composeDepthwiseFilterGradient,
  composeDepthwiseInputGradient,
} from './conv2d-gradients.js';

type Shape4D = [number, number, number, number];

/**
 * Kernels through which a backend may offer its own convolution gradients.
 *
 * Attributes: `strides` [sh,sw], `pads` [top,bottom,left,right], `dilations` [dh,dw] and `inputShape` or
 * `filterShape`; inputs `{dy, filter}` or `{x, dy}`. A backend without one gets a composition of tf operations.
 */
export const gradientKernels = {
  convInput: 'AuxConv2DGradInput',
  convFilter: 'AuxConv2DGradFilter',
  depthwiseInput: 'AuxDepthwiseGradInput',
  depthwiseFilter: 'AuxDepthwiseGradFilter',
} as const;

function runIfPresent(
  kernel: string,
  inputs: Record<string, tf.Tensor>,
  attrs: Record<string, unknown>,
): tf.Tensor4D | null {
  if (tf.getKernel(kernel, tf.getBackend()) == null) return null;
  return tf.engine().runKernel(kernel, inputs, attrs as never) as tf.Tensor4D;
}

/** Gradient of conv2d with respect to x: dy [N,OH,OW,K], filter [kh,kw,C,K] -> [N,H,W,C]. */
export function conv2DInputGradient(
  dy: tf.Tensor4D,
  filter: tf.Tensor4D,
  inputShape: Shape4D,
  geometry: ConvGeometry,
): tf.Tensor4D {
  return (
    runIfPresent(gradientKernels.convInput, { dy, filter }, { ...geometry, inputShape }) ??
    composeConv2DInputGradient(dy, filter, inputShape, geometry)
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
    runIfPresent(gradientKernels.convFilter, { x, dy }, { ...geometry, filterShape }) ??
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
    runIfPresent(gradientKernels.depthwiseInput, { dy, filter }, { ...geometry, inputShape }) ??
    composeDepthwiseInputGradient(dy, filter, inputShape, geometry)
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
    runIfPresent(gradientKernels.depthwiseFilter, { x, dy }, { ...geometry, filterShape }) ??
    composeDepthwiseFilterGradient(x, dy, filterShape, geometry)
  );
}
