import type { Batch } from '@auxseg/datasets';
import { setRandomKey, useBackend } from '@auxseg/runtime';
import type { BatchGradients } from '@auxseg/trainer';
import { createReplicas } from '@auxseg/trainer/node';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { type AuxSegNet, createNetworkFromConfig } from '../network.js';
import { resolveRecipe } from '../recipe.js';
import { type BatchLossOptions, lossOfBatch, splitBatch, type TrainingPart } from './batch-loss.js';

const [count, size, classes] = [5, 24, 3];
const config = resolveRecipe({
  preset: 'tiny',
  network: { backbone: { width: 0.25 }, head: { channels: 8 } },
}).network;
const loss: BatchLossOptions = {
  losses: { classification: 1, saliency: 0.5, segmentation: 2 },
  saliencyTarget: 0.5,
  recompute: false,
};
const whole = { classification: 1, saliency: 1, segmentation: 1 };

/** Labels to ignore and padding are spread unevenly, so that plain averages of the parts would be wrong. */
function batchOf(seed: number): Batch {
  const random = (shape: number[], offset: number) =>
    tf.tidy(
      () =>
        tf
          .randomUniform(shape, 0, 1, 'float32', seed + offset)
          .dataSync()
          .slice() as Float32Array,
    );
  const pixels = size * size;
  return {
    ids: Array.from({ length: count }, (_, i) => `image-${i}`),
    count,
    height: size,
    width: size,
    images: random([count * pixels * 3], 0).map((v) => 4 * v - 2),
    labels: random([count * classes], 1).map((v) => (v > 0.5 ? 1 : 0)),
    segmentation: Uint8Array.from(random([count * pixels], 2), (v, i) =>
      v < Math.floor(i / pixels) / 5 ? 255 : Math.floor(v * 4),
    ),
    saliency: random([count * pixels], 3).map((v, i) => (i < pixels && v < 0.8 ? -1 : v)),
  };
}

let network: AuxSegNet;
beforeAll(async () => {
  await useBackend('onnx', { threads: 1 });
  network = createNetworkFromConfig(config, classes, 1);
});
afterAll(() => {
  network.model.dispose();
});

async function gradientsWith(replicas: number, batches: readonly Batch[]) {
  const variables = network.model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  const source = createReplicas<TrainingPart>({
    replicas,
    model: { variables: () => variables, loss: (part) => lossOfBatch(network, part, loss) },
    random: { setKey: setRandomKey },
    split: ({ batch }, parts) => splitBatch(batch, parts),
    worker: new URL('../../dist/pipeline/replica-worker.js', import.meta.url),
    workerData: {
      ...{ backend: 'onnx', threads: 1, kind: 'auxsegnet', config, numClasses: classes, loss },
      weights: network.model.weights.map((weight) => Float32Array.from(weight.read().dataSync())),
    },
  });
  try {
    const results: { losses: BatchGradients['losses']; gradients: Record<string, number[]> }[] = [];
    const tensors: number[] = [];
    for (const [step, batch] of batches.entries()) {
      const { losses, gradients } = await source.compute(
        { batch, shares: whole },
        { step, microStep: 0, epoch: 0, training: true },
        100 + step,
      );
      results.push({
        losses,
        gradients: Object.fromEntries(Object.entries(gradients).map(([k, g]) => [k, [...g.dataSync()]])),
      });
      tf.dispose(gradients);
      tensors.push(tf.memory().numTensors);
    }
    expect(new Set(tensors).size).toBe(1);
    return results;
  } finally {
    await source.close();
  }
}

test('two and three replicas: the gradients of one up to rounding, the same bits every time', async () => {
  const batches = [batchOf(10), batchOf(20)];
  const [one] = [await gradientsWith(1, batches)];
  for (const replicas of [2, 3]) {
    const several = await gradientsWith(replicas, batches);
    several.forEach(({ losses, gradients }, step) => {
      for (const [name, value] of Object.entries(one[step].losses)) {
        expect(Math.abs(losses[name] - value)).toBeLessThan(1e-5 * Math.max(1, Math.abs(value)));
      }
      expect(Object.keys(gradients)).toEqual(Object.keys(one[step].gradients));
      for (const [name, values] of Object.entries(one[step].gradients)) {
        const largest = Math.max(...values.map(Math.abs));
        values.forEach((value, i) => {
          expect(Math.abs(gradients[name][i] - value)).toBeLessThan(1e-4 * largest + 1e-9);
        });
      }
    });
    if (replicas === 2) expect(await gradientsWith(2, batches)).toEqual(several);
  }
});

test('a replica that fails says so', async () => {
  const variables = network.model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  const source = createReplicas<TrainingPart>({
    replicas: 2,
    model: { variables: () => variables, loss: (part) => lossOfBatch(network, part, loss) },
    random: { setKey: setRandomKey },
    split: ({ batch }, parts) => splitBatch(batch, parts),
    worker: new URL('../../dist/pipeline/replica-worker.js', import.meta.url),
    workerData: { backend: 'nonsense', threads: 1 },
  });
  const context = { step: 0, microStep: 0, epoch: 0, training: true } as const;
  await expect(source.compute({ batch: batchOf(1), shares: whole }, context, 1)).rejects.toThrow(
    /gradients from replica 1.*nonsense/s,
  );
  await source.close();
});
