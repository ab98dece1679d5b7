import * as tf from '@tensorflow/tfjs-core';
import { kernelNames } from '../kernels/kernel-names.js';

/** One variable's part of a step of stochastic gradient descent. */
export interface SgdUpdate {
  variable: tf.Variable;
  /** Not disposed. */
  gradient: tf.Tensor;
  learningRate: number;
  /** Shaped like the variable, zeros at the start; only with momentum. */
  velocity?: tf.Variable;
  /** Default 0. */
  momentum?: number;
  /** L2 decay added to the gradient. Default 0. */
  weightDecay?: number;
}

/**
 * d = gradient + weightDecay w; v = momentum v + d; w = w - learningRate v, as `torch.optim.SGD` does, written as plain
 * operations: the definition, and the reference for `updateBySgd`.
 */
export function composeSgdUpdate(update: SgdUpdate): void {
  const { variable, gradient, learningRate, velocity, momentum = 0, weightDecay = 0 } = update;
  tf.tidy(() => {
    let direction = weightDecay === 0 ? gradient : tf.add(gradient, tf.mul(variable, weightDecay));
    if (velocity !== undefined && momentum !== 0) {
      direction = tf.add(tf.mul(velocity, momentum), direction);
      velocity.assign(direction);
    }
    // A new buffer each time: writing into the old one would leave stale packed copies in the wasm backend.
    variable.assign(tf.sub(variable, tf.mul(direction, learningRate)));
  });
}

/**
 * The same in one pass over variable, velocity and gradient, in their own memory, where the backend has a kernel for it and
 * no other tensor shares that memory; to the bit what `composeSgdUpdate` gives there.
 */
export function updateBySgd(update: SgdUpdate): void {
  const { variable, gradient, learningRate, velocity, momentum = 0, weightDecay = 0 } = update;
  const kernel = tf.getKernel(kernelNames.sgd, tf.getBackend());
  if (kernel != null) {
    const inputs: Record<string, tf.TensorInfo> = { variable, gradient };
    if (velocity !== undefined && momentum !== 0) inputs['velocity'] = velocity;
    // Not through the engine, which knows no kernel that changes its inputs.
    const done = kernel.kernelFunc({
      inputs,
      attrs: { momentum, weightDecay, rate: learningRate },
      backend: tf.backend(),
    });
    if (done != null) return;
  }
  composeSgdUpdate(update);
}
