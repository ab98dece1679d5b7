import * as tf from '@tensorflow/tfjs-core';
import { kernelNames } from '../kernels/kernel-names.js';
import { activationGradient } from '../ops/activation.js';
import {
  conv2DFilterGradient,
  conv2DInputGradient,
  depthwiseFilterGradient,
  depthwiseInputGradient,
} from './conv-dispatch.js';
import { type ConvGeometry, explicitPads } from './conv-geometry.js';
import type { ResizeOptions } from './resize-gradient.js';

type Gradients = Record<string, () => tf.Tensor>;
type GradientFunction = (
  upstream: tf.Tensor,
  saved: tf.Tensor[],
  attrs: Record<string, unknown>,
) => Gradients;

function register(kernelName: string, inputsToSave: string[], gradFunc: GradientFunction): void {
  tf.registerGradient({ kernelName, inputsToSave, gradFunc: gradFunc as unknown as tf.GradFunc });
}

const geometryOf = (attrs: Record<string, unknown>) => attrs as unknown as ConvGeometry;

function forward(
  x: tf.Tensor4D,
  filter: tf.Tensor4D,
  geometry: ConvGeometry,
  depthwise: boolean,
): tf.Tensor4D {
  const { strides, pads, dilations } = geometry;
  const kernel = depthwise ? 'DepthwiseConv2dNative' : 'Conv2D';
  const attrs = { strides, pad: explicitPads(pads), dataFormat: 'NHWC', dilations };
  return tf.engine().runKernel(kernel, { x, filter }, attrs as never) as tf.Tensor4D;
}

/**
 * Gradients of our own gradient kernels, so that second derivatives exist on every backend; part of prepareRuntime().
 *
 * Each of these kernels is linear in the upstream gradient, so its adjoint is the operation it came from.
 */
export function registerSecondOrderGradients(): void {
  for (const depthwise of [false, true]) {
    const inputGradient = depthwise ? depthwiseInputGradient : conv2DInputGradient;
    const filterGradient = depthwise ? depthwiseFilterGradient : conv2DFilterGradient;
    const [inputKernel, filterKernel] = depthwise
      ? [kernelNames.depthwiseInputGradient, kernelNames.depthwiseFilterGradient]
      : [kernelNames.convInputGradient, kernelNames.convFilterGradient];
    register(inputKernel, ['dy', 'filter'], (upstream, saved, attrs) => {
      const [dy, filter] = saved as tf.Tensor4D[];
      const ddx = upstream as tf.Tensor4D;
      return {
        dy: () => forward(ddx, filter, geometryOf(attrs), depthwise),
        filter: () => filterGradient(ddx, dy, filter.shape, geometryOf(attrs)),
      };
    });
    register(filterKernel, ['x', 'dy'], (upstream, saved, attrs) => {
      const [x, dy] = saved as tf.Tensor4D[];
      const ddFilter = upstream as tf.Tensor4D;
      return {
        x: () => inputGradient(dy, ddFilter, x.shape, geometryOf(attrs)),
        dy: () => forward(x, ddFilter, geometryOf(attrs), depthwise),
      };
    });
  }
  register(kernelNames.activationGradient, ['y'], (upstream, [y], attrs) => ({
    dy: () => activationGradient(upstream, y, attrs['activation'] as 'relu'),
    y: () => tf.zerosLike(y),
  }));
  register(kernelNames.columnSums, ['x'], (upstream, [x]) => ({
    x: () => tf.broadcastTo(upstream, x.shape as [number]),
  }));
  register(kernelNames.resizeBilinearGradient, ['dy'], (upstream, [dy], attrs) => ({
    dy: () => {
      const { alignCorners, halfPixelCenters } = attrs as unknown as ResizeOptions;
      const size: [number, number] = [dy.shape[1]!, dy.shape[2]!];
      return tf.image.resizeBilinear(upstream as tf.Tensor4D, size, alignCorners, halfPixelCenters);
    },
  }));
}
