import * as tf from '@tensorflow/tfjs-core';
import { kernelNames } from '../kernels/kernel-names.js';
import { runOptionalKernel } from '../kernels/run-kernel.js';

/** Which pixel centres coincide in a bilinear resize. */
export interface ResizeOptions {
  alignCorners: boolean;
  halfPixelCenters: boolean;
}

/** For each output position the two input positions that it reads and the weight of the second. */
export interface LinearTaps {
  low: Int32Array;
  high: Int32Array;
  weight: Float32Array;
}

/**
 * Linear interpolation along one axis from `inputSize` to `outputSize`, exactly as tfjs's ResizeBilinear kernels do it:
 * positions are clamped to the axis, so the outermost pixels are repeated.
 */
export function linearTaps(inputSize: number, outputSize: number, options: ResizeOptions): LinearTaps {
  const scale =
    options.alignCorners && outputSize > 1 ? (inputSize - 1) / (outputSize - 1) : inputSize / outputSize;
  const low = new Int32Array(outputSize);
  const high = new Int32Array(outputSize);
  const weight = new Float32Array(outputSize);
  for (let i = 0; i < outputSize; i++) {
    const position = options.halfPixelCenters ? scale * (i + 0.5) - 0.5 : scale * i;
    const floor = Math.floor(position);
    low[i] = Math.max(0, floor);
    high[i] = Math.min(inputSize - 1, Math.ceil(position));
    weight[i] = position - low[i] > 0 ? position - floor : 0;
  }
  return { low, high, weight };
}

/** Interpolation matrix [outputSize, inputSize] of one axis. */
function interpolationMatrix(taps: LinearTaps, inputSize: number): tf.Tensor2D {
  const outputSize = taps.low.length;
  const values = new Float32Array(outputSize * inputSize);
  for (let i = 0; i < outputSize; i++) {
    values[i * inputSize + taps.low[i]] += 1 - taps.weight[i];
    values[i * inputSize + taps.high[i]] += taps.weight[i];
  }
  return tf.tensor2d(values, [outputSize, inputSize]);
}

/**
 * The adjoint of a bilinear resize, exact for every combination of options: two matrix products with the transposed
 * interpolation matrices (or the backend's own kernel).
 *
 * @param dy [N,OH,OW,C]
 * @param inputShape [N,H,W,C]
 */
export function resizeBilinearGradient(
  dy: tf.Tensor4D,
  inputShape: [number, number, number, number],
  options: ResizeOptions,
): tf.Tensor4D {
  const attrs = {
    inputShape,
    alignCorners: options.alignCorners,
    halfPixelCenters: options.halfPixelCenters,
  };
  return (
    runOptionalKernel<tf.Tensor4D>(kernelNames.resizeBilinearGradient, { dy }, attrs) ??
    composeResizeBilinearGradient(dy, inputShape, options)
  );
}

/** The same adjoint as plain tf operations. */
export function composeResizeBilinearGradient(
  dy: tf.Tensor4D,
  [n, h, w, c]: [number, number, number, number],
  options: ResizeOptions,
): tf.Tensor4D {
  return tf.tidy(() => {
    const [, oh, ow] = dy.shape;
    const rows = tf.transpose(interpolationMatrix(linearTaps(h, oh, options), h)); // [h, oh]
    const columns = tf.transpose(interpolationMatrix(linearTaps(w, ow, options), w)); // [w, ow]
    const images = n === 1 ? [dy] : tf.split(dy, n, 0);
    const gradients = images.map((image) => {
      const tall = tf.matMul(rows, tf.reshape(image, [oh, ow * c]) as tf.Tensor2D); // [h, ow*c]
      const turned = tf.reshape(tf.transpose(tf.reshape(tall, [h, ow, c]), [1, 0, 2]), [
        ow,
        h * c,
      ]) as tf.Tensor2D;
      const small = tf.matMul(columns, turned); // [w, h*c]
      return tf.reshape(tf.transpose(tf.reshape(small, [w, h, c]), [1, 0, 2]), [1, h, w, c]);
    });
    return (gradients.length === 1 ? gradients[0] : tf.concat(gradients, 0)) as tf.Tensor4D;
  });
}
