import * as tf from '@tensorflow/tfjs-core';
import { RuntimeError } from '../errors.js';
import { backpropagate, record, tapeEngine } from './backpropagate.js';

/** A scalar and its gradients. */
export interface VariableGradients {
  value: tf.Scalar;
  /** By variable name; variables that the scalar does not depend on are left out. */
  grads: Record<string, tf.Tensor>;
}

/**
 * `tf.variableGrads` that frees activations and intermediate gradients as the backward pass goes.
 *
 * The same numbers, in the same order, at about half the memory. The caller disposes `value` and `grads`.
 *
 * @param f computes a scalar
 * @param variables default: all trainable variables
 * @throws RuntimeError `no-gradient` when the scalar depends on none of them
 */
export function variableGradients(f: () => tf.Scalar, variables?: readonly tf.Variable[]): VariableGradients {
  const engine = tf.engine() as unknown as { registeredVariables: Record<string, tf.Variable> };
  const candidates = variables ?? Object.values(engine.registeredVariables);
  const trainable = candidates.filter((variable) => variable.trainable);
  if (tapeEngine().state.gradientDepth > 0) {
    // A derivative of this gradient is wanted: everything must stay.
    const { value, grads } = tf.variableGrads(f, [...trainable]);
    return {
      value,
      grads: Object.fromEntries(Object.entries(grads).filter(([, gradient]) => gradient != null)),
    };
  }
  return tf.tidy(() => {
    const { result: value, tape } = record(f);
    if (value.size !== 1) {
      throw new RuntimeError(
        'not-a-scalar',
        `Expected f to return a scalar, got a tensor of shape [${value.shape}].`,
        {
          shape: value.shape,
        },
      );
    }
    const seed = tf.ones(value.shape);
    const gradients = backpropagate(tape, new Map([[value.id, seed]]), trainable);
    const grads: Record<string, tf.Tensor> = {};
    trainable.forEach((variable, i) => {
      const gradient = gradients[i];
      if (gradient != null) grads[variable.name] = gradient;
    });
    if (Object.keys(grads).length === 0) {
      throw new RuntimeError(
        'no-gradient',
        `Expected the scalar to depend on at least one of ${trainable.length} trainable variables, but it depends on none; ` +
          'compute it inside f, from the variables themselves.',
        { variables: trainable.map((variable) => variable.name) },
      );
    }
    return { value, grads } as unknown as tf.TensorContainer;
  }) as unknown as VariableGradients;
}
