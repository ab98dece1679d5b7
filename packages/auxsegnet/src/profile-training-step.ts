import {
  disposeModel,
  type KernelProfile,
  profileKernels,
  setRandomKey,
  variableGradients,
} from '@auxseg/runtime';
import { createSgd } from '@auxseg/trainer';
import * as tf from '@tensorflow/tfjs-core';
import { auxSegLosses, forwardForTraining } from './aux-seg-loss.js';
import { createNetworkFromConfig } from './network.js';
import type { PresetName } from './presets.js';
import { resolveRecipe } from './recipe.js';

/** What {@link profileTrainingStep} runs. */
export interface TrainingStepOptions {
  preset: PresetName;
  /** Channel multiplier of the backbone; the preset's by default. */
  width?: number;
  /** Side of the square images; the preset's crop by default. */
  sizePx?: number;
  /** The preset's by default. */
  batchSize?: number;
  /** Foreground classes. Default 20. */
  classes?: number;
}

/** The step that was profiled, and where its time went. */
export interface TrainingStepProfile extends KernelProfile {
  backend: string;
  preset: PresetName;
  sizePx: number;
  batchSize: number;
  /** Numbers that are trained. */
  parameters: number;
}

/**
 * Times one training step of a preset's network (forward, five losses, gradients, SGD) on random data by kernel, on the
 * active backend; two steps before it build and pack what the first ones do.
 *
 * @throws AuxSegNetError BAD_RECIPE
 */
export async function profileTrainingStep(options: TrainingStepOptions): Promise<TrainingStepProfile> {
  const { preset, width, classes = 20 } = options;
  const recipe = resolveRecipe({
    preset,
    ...(width === undefined ? {} : { network: { backbone: { width } } }),
  });
  const { cropPx, batchSize: usual, momentum, weightDecay } = recipe.train;
  const { sizePx = cropPx, batchSize = usual } = options;
  const network = createNetworkFromConfig(recipe.network, classes, recipe.seed);
  const variables = network.model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  const sgd = createSgd({ groups: [{ name: 'all', variables, weightDecay }], momentum });
  const images: tf.Tensor4D = tf.randomUniform([batchSize, sizePx, sizePx, 3], -1, 1, 'float32', 1);
  const targets = tf.tidy(() => {
    const bits = (shape: number[], seed: number) =>
      tf.cast(tf.greater(tf.randomUniform(shape, 0, 1, 'float32', seed), 0.5), 'float32');
    const pixels: [number, number, number] = [batchSize, sizePx, sizePx];
    return {
      labels: bits([batchSize, classes], 2) as tf.Tensor2D,
      saliency: bits([...pixels, 1], 3) as tf.Tensor4D,
      segmentation: tf.cast(tf.randomUniform(pixels, 0, classes + 1, 'float32', 4), 'int32') as tf.Tensor3D,
    };
  });
  const weights = { classification: 1, saliency: 1, segmentation: 1 };
  const step = async () => {
    setRandomKey(1);
    const { value, grads } = variableGradients(
      () => auxSegLosses(forwardForTraining(network, images), targets, weights).total,
      variables,
    );
    // Too small a rate to change anything: what is timed is the update.
    sgd.step(grads, 1e-9);
    tf.dispose(grads);
    await value.data();
    value.dispose();
  };
  try {
    for (let i = 0; i < 2; i++) await step();
    const profile = await profileKernels(step);
    const parameters = variables.reduce((sum, { size }) => sum + size, 0);
    return { backend: tf.getBackend(), preset, sizePx, batchSize, parameters, ...profile };
  } finally {
    tf.dispose([images, targets]);
    sgd.dispose();
    disposeModel(network.model);
  }
}
