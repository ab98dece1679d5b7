import * as tf from '@tensorflow/tfjs-core';
import { backpropagate, isRequested, record, tapeEngine } from './backpropagate.js';

interface RecomputeEngine {
  runKernelFunc(call: {
    forwardFunc: (backend: unknown, save: (tensors: tf.Tensor[]) => void) => tf.Tensor[];
    backwardsFunc: (dy: tf.Tensor | tf.Tensor[], saved: tf.Tensor[]) => Record<string, () => tf.Tensor>;
    inputs: Record<string, tf.Tensor>;
    attrs: Record<string, unknown>;
  }): tf.Tensor[];
}

/**
 * Runs a part of a network and keeps only its inputs; the backward pass runs it again for what it needs inside
 * (gradient checkpointing).
 *
 * @param run computes the outputs; called again in the backward pass, so it must give the same result twice
 * @param inputs tensors that `run` reads, kept for the backward pass
 * @param variables what `run` reads besides and has gradients for
 * @returns the outputs, the caller disposes them
 */
export function recompute(
  run: (inputs: tf.Tensor[]) => tf.Tensor[],
  inputs: readonly tf.Tensor[],
  variables: readonly tf.Variable[],
): tf.Tensor[] {
  // A derivative of a gradient needs everything on the tape.
  if (tapeEngine().state.gradientDepth > 1) return run([...inputs]);
  const engine = tf.engine() as unknown as RecomputeEngine;
  const named: Record<string, tf.Tensor> = {};
  inputs.forEach((input, i) => {
    named[`input${i}`] = input;
  });
  variables.forEach((variable, i) => {
    named[`variable${i}`] = variable;
  });
  return tf.tidy('auxseg:recompute', () =>
    engine.runKernelFunc({
      forwardFunc: (_backend, save) => {
        save([...inputs]);
        return run([...inputs]);
      },
      backwardsFunc: (dy, saved) => {
        const dys = Array.isArray(dy) ? dy : [dy];
        const sources: tf.Tensor[] = [...saved, ...variables];
        const names = [...saved.map((_, i) => `input${i}`), ...variables.map((_, i) => `variable${i}`)];
        const wanted = names.flatMap((name, i) => (isRequested(name) ? [i] : []));
        const { result, tape } = record(() => run(saved));
        const seeds = new Map<number, tf.Tensor>();
        result.forEach((output, i) => {
          seeds.set(output.id, dys[i]);
        });
        tf.dispose(result.filter((output) => !saved.includes(output)));
        const gradients = backpropagate(
          tape,
          seeds,
          wanted.map((i) => sources[i]),
        );
        return Object.fromEntries(
          wanted.map((i, k) => [names[i], () => gradients[k] ?? tf.zeros(sources[i].shape)]),
        );
      },
      inputs: named,
      attrs: {},
    }),
  ) as tf.Tensor[];
}
