import { setRandomKey, useBackend, variableGradients } from '@auxseg/runtime';
import { createSgd } from '@auxseg/trainer';
import { describe, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { auxSegLosses, forwardForTraining } from './aux-seg-loss.js';
import { type AuxSegNet, createNetworkFromConfig } from './network.js';
import { resolveRecipe } from './recipe.js';

const [size, classes] = [41, 3];
const weights = { classification: 1, saliency: 1, segmentation: 1 };

function networkOf(preset: string, width: number): AuxSegNet {
  const { network } = resolveRecipe({ preset, network: { backbone: { width }, head: { channels: 8 } } });
  return createNetworkFromConfig(network, classes, 1);
}

/** One training step's gradients, as arrays by variable. */
function gradientsOf(network: AuxSegNet, blockEnds: readonly string[]) {
  const variables = network.model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  setRandomKey(5);
  const { value, grads } = variableGradients(() => {
    const images: tf.Tensor4D = tf.randomUniform([2, size, size, 3], -1, 1, 'float32', 1);
    const targets = {
      labels: tf.tensor2d([1, 0, 1, 0, 1, 0], [2, classes]),
      saliency: tf.cast(
        tf.greater(tf.randomUniform([2, size, size, 1], 0, 1, 'float32', 2), 0.5),
        'float32',
      ) as tf.Tensor4D,
      segmentation: tf.cast(
        tf.randomUniform([2, size, size], 0, classes + 1, 'float32', 3),
        'int32',
      ) as tf.Tensor3D,
    };
    return auxSegLosses(forwardForTraining(network, images, blockEnds), targets, weights).total;
  }, variables);
  return { variables, value, grads };
}

describe.each([
  ['official', 1 / 32, 17],
  ['mobilenet', 0.35, 16],
  ['tiny', 0.25, 4],
])('preset %s', (preset, width, blocks) => {
  test('recompute gives the same bits of loss and gradients, dropout included', async () => {
    await useBackend('onnx');
    const network = networkOf(preset, width);
    expect(network.blockEnds).toHaveLength(blocks);
    const [kept, again] = [[], network.blockEnds].map((ends) => {
      const { value, grads } = gradientsOf(network, ends);
      const result = {
        loss: value.dataSync()[0],
        grads: Object.fromEntries(Object.entries(grads).map(([name, g]) => [name, g.dataSync().slice()])),
      };
      tf.dispose([value, grads]);
      return result;
    });
    expect(Object.keys(kept.grads).length).toBeGreaterThan(20);
    expect(again).toEqual(kept);
    network.model.dispose();
  });
});

test.each(['onnx', 'wasm', 'cpu'] as const)(
  'tf.memory() is the same after every training step on %s',
  async (backend) => {
    await useBackend(backend);
    const network = networkOf('tiny', 0.25);
    const variables = network.model.trainableWeights.map((weight) => weight.read() as tf.Variable);
    const sgd = createSgd({ groups: [{ name: 'all', variables, weightDecay: 1e-4 }], momentum: 0.9 });
    const seen = [false, true, false, true].map((recompute) => {
      const { value, grads } = gradientsOf(network, recompute ? network.blockEnds : []);
      sgd.step(grads, 0.01);
      tf.dispose([value, grads]);
      const { numTensors, numDataBuffers, numBytes } = tf.memory();
      return { numTensors, numDataBuffers, numBytes };
    });
    // The first step makes the optimiser's velocities; from then on nothing changes.
    for (const after of seen) expect(after).toEqual(seen[0]);
    sgd.dispose();
    network.model.dispose();
  },
);
