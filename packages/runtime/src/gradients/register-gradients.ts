import * as tf from '@tensorflow/tfjs-core';
import { type AvgPoolAttrs, avgPoolGradient } from './avg-pool-gradient.js';
import { biasGradientFor } from './bias-gradient.js';
import {
  conv2DFilterGradient,
  conv2DInputGradient,
  depthwiseFilterGradient,
  depthwiseInputGradient,
} from './conv-dispatch.js';
import { type ConvAttrs, convGeometry } from './conv-geometry.js';
import { fusedAttributesOf } from './fused-attributes.js';
import { type ResizeOptions, resizeBilinearGradient } from './resize-gradient.js';
import { type StridedSliceAttrs, stridedSliceGradient } from './strided-slice-gradient.js';

type Gradients = Record<string, () => tf.Tensor>;
type GradientFunction = (dy: tf.Tensor, saved: tf.Tensor[], attrs: Record<string, unknown>) => Gradients;

const toChannelLast = (x: tf.Tensor4D): tf.Tensor4D => tf.transpose(x, [0, 2, 3, 1]);
const toChannelFirst = (x: tf.Tensor4D): tf.Tensor4D => tf.transpose(x, [0, 3, 1, 2]);

/** Explicit padding of a channel-first convolution, reordered. */
function channelLastAttrs(attrs: ConvAttrs): ConvAttrs {
  const { pad } = attrs;
  if (typeof pad !== 'object') return { ...attrs, dataFormat: 'NHWC' };
  return { ...attrs, pad: [[0, 0], pad[2], pad[3], [0, 0]], dataFormat: 'NHWC' };
}

const conv2DGradients: GradientFunction = (dy, saved, rawAttrs) => {
  const attrs = rawAttrs as unknown as ConvAttrs;
  const [x, filter] = saved as tf.Tensor4D[];
  if (attrs.dataFormat === 'NCHW') {
    return {
      x: () => {
        const [n, c, h, w] = x.shape;
        const geometry = convGeometry([n, h, w, c], filter.shape, channelLastAttrs(attrs));
        return toChannelFirst(
          conv2DInputGradient(toChannelLast(dy as tf.Tensor4D), filter, [n, h, w, c], geometry),
        );
      },
      filter: () => {
        const [n, c, h, w] = x.shape;
        const geometry = convGeometry([n, h, w, c], filter.shape, channelLastAttrs(attrs));
        return conv2DFilterGradient(
          toChannelLast(x),
          toChannelLast(dy as tf.Tensor4D),
          filter.shape,
          geometry,
        );
      },
    };
  }
  const geometry = convGeometry(x.shape, filter.shape, attrs);
  return {
    x: () => conv2DInputGradient(dy as tf.Tensor4D, filter, x.shape, geometry),
    filter: () => conv2DFilterGradient(x, dy as tf.Tensor4D, filter.shape, geometry),
  };
};

const depthwiseGradients: GradientFunction = (dy, saved, attrs) => {
  const [x, filter] = saved as tf.Tensor4D[];
  const geometry = convGeometry(x.shape, filter.shape, attrs as unknown as ConvAttrs, true);
  return {
    x: () => depthwiseInputGradient(dy as tf.Tensor4D, filter, x.shape, geometry),
    filter: () => depthwiseFilterGradient(x, dy as tf.Tensor4D, filter.shape, geometry),
  };
};

/** Gradient of tf.conv2dTranspose, whose kernel is the input gradient of a convolution. */
const conv2DBackpropInputGradients: GradientFunction = (ddx, saved, rawAttrs) => {
  const attrs = rawAttrs as unknown as ConvAttrs & { inputShape: [number, number, number, number] };
  const [dy, filter] = saved as tf.Tensor4D[];
  const geometry = convGeometry(ddx.shape, filter.shape, attrs);
  return {
    dy: () =>
      tf.conv2d(
        ddx as tf.Tensor4D,
        filter,
        attrs.strides,
        attrs.pad as 'same',
        'NHWC',
        1,
        attrs.dimRoundingMode,
      ),
    filter: () => conv2DFilterGradient(ddx as tf.Tensor4D, dy, filter.shape, geometry),
  };
};

/**
 * Gradient of tf.fused.conv2d and tf.fused.depthwiseConv2d.
 *
 * The operation's own gradient refuses dilation and computes everything eagerly, and it is a closure out of reach. But
 * while it is recorded, the engine looks for a gradient registered under the name of the operation's scope first; this
 * is registered there. The recorded call carries no attributes, so they come from `fusedAttributesOf`.
 */
const fusedGradients =
  (depthwise: boolean): GradientFunction =>
  (dy, saved) => {
    const [filter, x, y, bias] = saved as tf.Tensor4D[];
    const attrs = fusedAttributesOf(y);
    const geometry = convGeometry(x.shape, filter.shape, attrs, depthwise);
    // tfjs fuses only linear convolutions while differentiating, but a direct kernel call may carry a ReLU.
    const masked = (attrs.activation === 'relu' ? tf.mul(dy, tf.step(y)) : dy) as tf.Tensor4D;
    const gradients: Gradients = {
      0: () =>
        depthwise
          ? depthwiseInputGradient(masked, filter, x.shape, geometry)
          : conv2DInputGradient(masked, filter, x.shape, geometry),
      1: () =>
        depthwise
          ? depthwiseFilterGradient(x, masked, filter.shape, geometry)
          : conv2DFilterGradient(x, masked, filter.shape, geometry),
    };
    if (bias != null) gradients['2'] = () => biasGradientFor(bias, masked);
    return gradients;
  };

/** Sum and mean: dy for every element that went into it. tfjs fills the ones element by element, and divides all of them. */
const reductionGradients =
  (mean: boolean): GradientFunction =>
  (dy, [x], attrs) => {
    const axes = tf.util.parseAxisParam(attrs['axis'] as number[], x.shape);
    const kept = x.shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
    return {
      x: () => {
        const each = mean
          ? tf.div(
              dy,
              axes.reduce((count, axis) => count * x.shape[axis], 1),
            )
          : dy;
        return tf.mul(tf.reshape(each, kept), tf.fill(x.shape, 1));
      },
    };
  };

/** Comparisons are flat almost everywhere. */
const zeroGradients: GradientFunction = (_dy, saved) => {
  const [a, b] = saved;
  return { a: () => tf.zeros(a.shape), b: () => tf.zeros(b.shape) };
};

function replaceGradient(
  kernelName: string,
  inputsToSave: string[],
  gradFunc: GradientFunction,
  outputsToSave?: boolean[],
): void {
  if (tf.getGradient(kernelName) != null) tf.unregisterGradient(kernelName);
  tf.registerGradient({
    kernelName,
    inputsToSave,
    outputsToSave,
    gradFunc: gradFunc as unknown as tf.GradFunc,
  });
}

/**
 * Registers the gradients that tfjs lacks or has wrong; part of prepareRuntime().
 *
 * Every entry is a thunk, so the gradient of an input that leads to nothing trainable is never computed.
 */
export function registerGradients(): void {
  replaceGradient('Conv2D', ['x', 'filter'], conv2DGradients);
  replaceGradient('DepthwiseConv2dNative', ['x', 'filter'], depthwiseGradients);
  replaceGradient('Conv2DBackpropInput', ['dy', 'filter'], conv2DBackpropInputGradients);
  replaceGradient('fusedConv2d__op', [], fusedGradients(false));
  replaceGradient('fusedDepthwiseConv2d__op', [], fusedGradients(true));
  replaceGradient('ResizeBilinear', ['images'], (dy, [images], attrs) => ({
    images: () =>
      resizeBilinearGradient(
        dy as tf.Tensor4D,
        images.shape as [number, number, number, number],
        attrs as unknown as ResizeOptions,
      ),
  }));
  replaceGradient('AvgPool', ['x'], (dy, [x], attrs) => ({
    x: () => avgPoolGradient(dy as tf.Tensor4D, x as tf.Tensor4D, attrs as unknown as AvgPoolAttrs),
  }));
  replaceGradient('StridedSlice', ['x'], (dy, [x], attrs) => ({
    x: () => stridedSliceGradient(dy, x.shape, attrs as unknown as StridedSliceAttrs),
  }));
  replaceGradient('Sum', ['x'], reductionGradients(false));
  replaceGradient('Mean', ['x'], reductionGradients(true));
  for (const comparison of ['Greater', 'GreaterEqual', 'Less', 'LessEqual', 'Equal', 'NotEqual']) {
    replaceGradient(comparison, ['a', 'b'], zeroGradients);
  }
}
