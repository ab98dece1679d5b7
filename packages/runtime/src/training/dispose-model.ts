import type * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

/**
 * Disposes a model and all its weights, those of layers applied more than once included.
 *
 * tfjs-layers counts every application of a layer and `model.dispose()` takes one back, so that alone it leaves them. Not for
 * a model that shares layers with another one still in use.
 */
export function disposeModel(model: tfl.LayersModel): void {
  const weights = model.weights.map((weight) => weight.read() as tf.Variable);
  model.dispose();
  for (const weight of weights) if (!weight.isDisposed) weight.dispose();
}
