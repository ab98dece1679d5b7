import { variableGradients } from '@auxseg/runtime';
import * as tf from '@tensorflow/tfjs-core';
import type { BatchGradients, LossContext, TrainableModel } from './types.js';

/** Losses and gradients of one batch on this thread; variables that the loss does not depend on have none. */
export async function computeGradients<B extends object>(
  model: TrainableModel<B>,
  variables: readonly tf.Variable[],
  batch: B,
  context: LossContext,
): Promise<BatchGradients> {
  let names: string[] = [];
  let values: tf.Tensor | undefined;
  const { value, grads } = variableGradients(() => {
    const { total, parts } = model.loss(batch, context);
    names = ['total', ...Object.keys(parts).filter((name) => name !== 'total')];
    values = tf.keep(tf.stack(names.map((name) => (name === 'total' ? total : parts[name]))));
    return total;
  }, variables);
  value.dispose();
  const numbers = await values!.data();
  values!.dispose();
  return { losses: Object.fromEntries(names.map((name, index) => [name, numbers[index]])), gradients: grads };
}
