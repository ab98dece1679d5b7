import type * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

/**
 * Gives the names `layer/weight` of a LayersModel's variables, stable over builds, for checkpoints.
 *
 * TensorFlow.js adds `_1`, `_2`, ... to `variable.name` when the same network is built again in one process, so that a
 * resumed run would look for other names than the killed one wrote. Returns a function for `nameOf` of `createSgd` and
 * `createTrainer`; a variable that is not the model's keeps its own name.
 */
export function layerVariableNames(model: tfl.LayersModel): (variable: tf.Variable) => string {
  const names = new Map<string, string>();
  for (const weight of model.weights) {
    names.set((weight.read() as tf.Variable).name, weight.originalName);
  }
  return (variable) => names.get(variable.name) ?? variable.name;
}
