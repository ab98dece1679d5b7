import * as tf from '@tensorflow/tfjs-core';

/** Saves tensors for the backward pass; a no-op while nothing is being differentiated. */
export type SaveTensors = (tensors: tf.Tensor[]) => void;

interface GradientEngine {
  runKernelFunc(call: {
    forwardFunc: (backend: unknown, save: SaveTensors) => tf.Tensor;
    backwardsFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => Record<string, () => tf.Tensor>;
    inputs: Record<string, tf.Tensor>;
    attrs: Record<string, unknown>;
  }): tf.Tensor;
}

/**
 * Runs a differentiable operation whose gradients are thunks.
 *
 * `tf.customGrad` computes the gradient of every input whether or not anything asks for it; the engine method under it
 * takes one function per input and calls only those on a path to a differentiated variable. That is what makes frozen
 * inputs free, so it is called directly. Nothing inside `forward` is recorded; only what it saves stays alive.
 *
 * @param name scope shown by profilers; `auxseg:` is prepended so that no registered gradient can share it
 * @param inputs tensors that gradients are defined for, in the order in which their thunks run
 */
export function runWithGradient<Name extends string>(
  name: string,
  inputs: Record<Name, tf.Tensor>,
  forward: (save: SaveTensors) => tf.Tensor,
  backward: (dy: tf.Tensor, saved: tf.Tensor[]) => Record<Name, () => tf.Tensor>,
): tf.Tensor {
  const engine = tf.engine() as unknown as GradientEngine;
  return tf.tidy(`auxseg:${name}`, () =>
    engine.runKernelFunc({
      forwardFunc: (_backend, save) => forward(save),
      backwardsFunc: backward,
      inputs,
      attrs: {},
    }),
  );
}
