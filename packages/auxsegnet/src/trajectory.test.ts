import { readFileSync } from 'node:fs';
import { readNpz, readPyTorchCheckpoint } from '@auxseg/formats';
import { setRandomKey, useBackend } from '@auxseg/runtime';
import { createSgd, layerVariableNames, polySchedule } from '@auxseg/trainer';
import { beforeAll, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { auxSegLosses, forwardForTraining, type LossName } from './aux-seg-loss.js';
import { createNetworkFromConfig } from './network.js';
import { loadOfficialStateDict } from './official-state-dict.js';
import { isHeadParameter } from './pipeline/train-network.js';
import { resolveRecipe } from './recipe.js';

const fixture = (name: string) => readFileSync(new URL(`../fixtures/official-w32/${name}`, import.meta.url));
const recorded = readNpz(fixture('trajectory.npz'));
const weights = readPyTorchCheckpoint(fixture('weights.pth')).tensors;
const array = (name: string) => recorded.get(name)!;
const order: LossName[] = [
  'classification',
  'saliencyInitial',
  'saliencyRefined',
  'segmentationInitial',
  'segmentationRefined',
];

beforeAll(async () => {
  await useBackend('onnx');
});

/** 30 steps of preset `official` on PyTorch's batches: [30,5] losses before each update (tools/reference/auxsegnet/make_trajectory.py). */
function train(dropout: boolean): number[][] {
  const recipe = resolveRecipe({ preset: 'official' });
  const config = recipe.network;
  const network = createNetworkFromConfig(
    {
      ...config,
      backbone: { ...config.backbone, width: weights.get('conv1a.weight')!.shape[0] / 64, dropout },
      head: {
        ...config.head,
        channels: weights.get('seg_conv1.weight')!.shape[0],
        dropout: dropout ? config.head.dropout : 0,
      },
    },
    weights.get('fc8.weight')!.shape[0],
  );
  loadOfficialStateDict(network.model, weights);
  const nameOf = layerVariableNames(network.model);
  const variables = network.model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  const group = (heads: boolean) =>
    variables.filter((variable) => isHeadParameter(nameOf(variable)) === heads);
  const { lr, power, momentum, weightDecay, headLrScale } = recipe.train;
  const optimizer = createSgd({
    groups: [
      { name: 'backbone', variables: group(false), weightDecay },
      { name: 'heads', variables: group(true), lrScale: headLrScale, weightDecay },
    ],
    momentum,
    nameOf,
  });
  const steps = array('losses').shape[0];
  const schedule = polySchedule({ baseLr: lr, totalSteps: steps, power });
  const [batches, n, , height, width] = array('x').shape;
  const slice = (name: string, batch: number) => {
    const { data, shape } = array(name);
    const size = shape.slice(1).reduce((a, b) => a * b, 1);
    return Float32Array.from((data as Float32Array).subarray(batch * size, (batch + 1) * size));
  };
  const history: number[][] = [];
  for (let step = 0; step < steps; step++) {
    const batch = step % batches;
    setRandomKey(step);
    tf.tidy(() => {
      const images = tf.transpose(
        tf.tensor4d(slice('x', batch), [n, 3, height, width]),
        [0, 2, 3, 1],
      ) as tf.Tensor4D;
      const targets = {
        labels: tf.tensor2d(slice('labels', batch), [n, network.numClasses]),
        saliency: tf.tensor4d(
          slice('salTarget', batch).map((p) => (p >= 0.5 ? 1 : 0)),
          [n, height, width, 1],
        ),
        segmentation: tf.tensor3d(Int32Array.from(slice('segTarget', batch)), [n, height, width], 'int32'),
      };
      const { grads } = tf.variableGrads(() => {
        const { total, parts } = auxSegLosses(
          forwardForTraining(network, images),
          targets,
          recipe.train.losses,
        );
        history.push(order.map((name) => parts[name].dataSync()[0]));
        return total;
      }, variables);
      optimizer.step(grads, schedule(step));
    });
  }
  optimizer.dispose();
  network.model.dispose();
  return history;
}

test.each([
  ['without dropout', false, 'losses'],
  ['with the masks of the random key', true, 'lossesDropout'],
])('30 steps of preset official follow PyTorch %s: losses within 1e-3', (_, dropout, name) => {
  const ours = train(dropout);
  const theirs = array(name).data as Float32Array;
  const errors = ours.flatMap((row, step) =>
    row.map((loss, i) => Math.abs(loss - theirs[step * 5 + i]) / theirs[step * 5 + i]),
  );
  expect(errors).toHaveLength(150);
  expect(Math.max(...errors)).toBeLessThan(1e-3);
  // The losses moved by much more than ours and theirs differ, so following them means something.
  expect(Math.abs(ours[29][3] - ours[2][3]) / ours[2][3]).toBeGreaterThan(10 * Math.max(...errors));
});
