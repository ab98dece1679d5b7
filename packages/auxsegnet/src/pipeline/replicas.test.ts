import type { Batch } from '@auxseg/datasets';
import { setRandomKey, useBackend } from '@auxseg/runtime';
import type { BatchGradients } from '@auxseg/trainer';
import { createReplicas, type Replicas, type ReplicasOptions } from '@auxseg/trainer/node';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
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

const opened: Replicas<TrainingPart>[] = [];
// Also when a test fails: a thread left over keeps the process alive.
afterEach(async () => {
  for (const source of opened.splice(0)) await source.close();
});

function sourceOf(replicas: number, changes: Partial<ReplicasOptions<TrainingPart>> = {}) {
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
    ...changes,
  });
  opened.push(source);
  return source;
}

async function gradientsWith(replicas: number, batches: readonly Batch[]) {
  const source = sourceOf(replicas);
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

const first = { step: 0, microStep: 0, epoch: 0, training: true } as const;

test.each([
  ['a thread that cannot build its network', { workerData: { backend: 'nonsense', threads: 1 } }, /nonsense/],
  ['a worker that is not there', { worker: new URL('none.js', import.meta.url) }, /none\.js/],
])('%s fails the step, and closes', async (_, changes, reason) => {
  const source = sourceOf(2, changes);
  const step = source.compute({ batch: batchOf(1), shares: whole }, first, 1);
  await expect(step).rejects.toMatchObject({
    code: 'REPLICA_FAILED',
    message: expect.stringMatching(reason),
  });
  await source.close();
});

test("a replica's error tells where its samples begin in the batch", async () => {
  const batch = batchOf(1);
  batch.segmentation!.fill(99, 2 * size * size, 3 * size * size);
  const source = sourceOf(2);
  const tensors = tf.memory().numTensors;
  await expect(source.compute({ batch, shares: whole }, first, 1)).rejects.toThrow(
    /replica 1.*came 99 at x=0, y=0 of image 0 of the batch.*from sample 2 of the whole batch/s,
  );
  expect(tf.memory().numTensors).toBe(tensors);
});

test('a step whose loss throws here leaves nothing to the next one', async () => {
  let failing = false;
  const source = sourceOf(2, {
    model: {
      variables: () => network.model.trainableWeights.map((weight) => weight.read() as tf.Variable),
      loss: (part) => {
        if (failing) throw new Error('this part fails');
        return lossOfBatch(network, part, loss);
      },
    },
  });
  const lossOf = async (seed: number) => {
    const { losses, gradients } = await source.compute({ batch: batchOf(seed), shares: whole }, first, 1);
    tf.dispose(gradients);
    return losses;
  };
  const expected = await lossOf(2);
  failing = true;
  await expect(lossOf(1)).rejects.toThrow('this part fails');
  failing = false;
  expect(await lossOf(2)).toEqual(expected);
});

test('closing lets the step in work end; after it, and without samples, a step is refused', async () => {
  const source = sourceOf(2);
  const batch = batchOf(1);
  const step = source.compute({ batch, shares: whole }, first, 1);
  await source.close();
  tf.dispose((await step).gradients);
  await expect(source.compute({ batch, shares: whole }, first, 1)).rejects.toThrow(/they were closed/);
  const empty = sourceOf(2);
  await expect(
    empty.compute({ batch: { ...batch, count: 0, ids: [] }, shares: whole }, first, 1),
  ).rejects.toThrow(/came 0; is the batch empty/);
});
