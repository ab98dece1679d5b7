import * as tf from '@tensorflow/tfjs-core';
import { RuntimeError } from '../errors.js';
import { biasGradientFor } from '../gradients/bias-gradient.js';
import {
  conv2DFilterGradient,
  conv2DInputGradient,
  depthwiseFilterGradient,
  depthwiseInputGradient,
} from '../gradients/conv-dispatch.js';
import { type ConvGeometry, explicitPads } from '../gradients/conv-geometry.js';
import { runWithGradient } from '../gradients/run-with-gradient.js';
import { type Activation, activationGradient, applyActivation } from './activation.js';

/** One convolution with everything that can be fused into it. */
export interface ConvolutionOptions extends ConvGeometry {
  /** [N,H,W,C] */
  x: tf.Tensor4D;
  /** [kh,kw,C,K], or [kh,kw,C,M] when depthwise */
  filter: tf.Tensor4D;
  /** [K] or [C*M] */
  bias?: tf.Tensor1D | null;
  activation?: Activation;
  depthwise?: boolean;
  /** False for frozen weights: then the input is not kept for the backward pass. Default true. */
  trainable?: boolean;
}

type Shape4D = [number, number, number, number];

/** The forward pass on the backend's fused kernel, or on plain operations where it has none. */
function forwardConvolution(options: ConvolutionOptions): tf.Tensor4D {
  const { x, filter, bias, strides, pads, dilations, activation = 'linear', depthwise = false } = options;
  if (depthwise && Math.max(...strides) > 1 && Math.max(...dilations) > 1) {
    // tfjs's depthwise kernels take a stride or a dilation, not both: compute every position and keep some.
    return tf.tidy(() =>
      tf.stridedSlice(
        forwardConvolution({ ...options, strides: [1, 1] }),
        [0, 0, 0, 0],
        [0, 0, 0, 0],
        [1, ...strides, 1],
        0b1111,
        0b1111,
      ),
    ) as tf.Tensor4D;
  }
  const attrs = { strides, pad: explicitPads(pads), dataFormat: 'NHWC', dilations, activation };
  const kernel = depthwise ? 'FusedDepthwiseConv2D' : 'FusedConv2D';
  if (tf.getKernel(kernel, tf.getBackend()) != null) {
    const inputs: Record<string, tf.Tensor> = { x, filter };
    if (bias != null) inputs['bias'] = bias;
    return tf.engine().runKernel(kernel, inputs, attrs as never) as tf.Tensor4D;
  }
  const convolved = tf
    .engine()
    .runKernel(depthwise ? 'DepthwiseConv2dNative' : 'Conv2D', { x, filter }, attrs as never) as tf.Tensor4D;
  return applyActivation(bias == null ? convolved : tf.add(convolved, bias), activation);
}

/**
 * Convolution, bias and activation as one differentiable operation.
 *
 * Keeps the input only if the filter is trainable, and the output only if an activation has to be undone. Any stride,
 * dilation and padding; the gradients are the ones of `conv2DInputGradient` and its siblings.
 *
 * @returns [N,OH,OW,K], the caller disposes it
 */
export function convolution(options: ConvolutionOptions): tf.Tensor4D {
  const { x, filter, bias, strides, pads, dilations, activation = 'linear', depthwise = false } = options;
  const trainable = options.trainable ?? true;
  const geometry: ConvGeometry = { strides, pads, dilations };
  const inputShape = x.shape;
  const filterShape = filter.shape;
  const inputs: Record<string, tf.Tensor> = { x, filter };
  if (bias != null) inputs['bias'] = bias;
  // The last thunk that will run frees the masked dy, which they share.
  const last = !trainable ? 'x' : bias != null ? 'bias' : 'filter';
  return runWithGradient(
    depthwise ? 'depthwiseConv2d' : 'conv2d',
    inputs,
    (save) => {
      const y = forwardConvolution(options);
      save([filter, ...(trainable ? [x] : []), ...(activation === 'linear' ? [] : [y])]);
      return y;
    },
    (dy, saved) => {
      const savedFilter = saved[0] as tf.Tensor4D;
      const y = activation === 'linear' ? undefined : saved[trainable ? 2 : 1];
      const masked = activationGradient(dy, y, activation) as tf.Tensor4D;
      const releaseAfter = (name: string, gradient: () => tf.Tensor) => () => {
        const result = gradient();
        if (name === last && masked !== dy) masked.dispose();
        return result;
      };
      const savedInput = (): tf.Tensor4D => {
        if (trainable) return saved[1] as tf.Tensor4D;
        throw new RuntimeError(
          'frozen-filter',
          `Expected no gradient of the frozen filter [${filterShape}] to be asked for: its input was not kept. Make the ` +
            'layer trainable, or leave its weights out of the gradient.',
          { filterShape },
        );
      };
      const gradients: Record<string, () => tf.Tensor> = {
        x: releaseAfter('x', () =>
          depthwise
            ? depthwiseInputGradient(masked, savedFilter, inputShape, geometry)
            : conv2DInputGradient(masked, savedFilter, inputShape, geometry),
        ),
        filter: releaseAfter('filter', () =>
          depthwise
            ? depthwiseFilterGradient(savedInput(), masked, filterShape as Shape4D, geometry)
            : conv2DFilterGradient(savedInput(), masked, filterShape as Shape4D, geometry),
        ),
      };
      if (bias != null) {
        gradients['bias'] = releaseAfter('bias', () => biasGradientFor(bias, masked));
      }
      return gradients;
    },
  ) as tf.Tensor4D;
}
