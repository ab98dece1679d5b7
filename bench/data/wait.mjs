/**
 * How long the trainer waits for data: trains a preset twice for some steps on a backend, with labels read from files and one pool of decoding
 * threads for both trainings, as in a run, and prints the share of the time that went into waiting, with and without the first batch (for which nothing
 * can be ahead, and in the first training the threads start).
 *
 * node bench/data/wait.mjs [--data DIR (VOC layout; else the synthetic set)] [--presets tiny,mobilenet] [--backends onnx,wasm] [--steps 30] [--workers 1]
 *
 * The network starts from random weights, which changes no time. Truth masks stand in for the pseudo labels: same files, same decoding.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { auxSegLosses, createNetworkFromConfig, forwardForTraining, resolveRecipe } from '@auxseg/auxsegnet';
import {
  createLoader,
  createSyntheticDataset,
  createWorkerPool,
  openVocDataset,
  synthesizeDataset,
  VOC_CLASSES,
} from '@auxseg/datasets';
import { setRandomKey, useBackend } from '@auxseg/runtime';
import { createSgd, createTrainer, polySchedule } from '@auxseg/trainer';
import * as tf from '@tensorflow/tfjs-core';

const { values: o } = parseArgs({
  options: {
    data: { type: 'string' },
    presets: { type: 'string', default: 'tiny,mobilenet' },
    backends: { type: 'string', default: 'onnx,wasm' },
    steps: { type: 'string', default: '30' },
    workers: { type: 'string', default: '1' },
  },
});
const steps = Number(o.steps);
const folder = mkdtempSync(join(tmpdir(), 'auxseg-wait-'));

/** Images, and the files that the loader's workers read as labels. */
async function openData(preset) {
  if (preset !== 'tiny' && o.data) {
    const voc = await openVocDataset({ root: o.data, split: 'train', labelsFrom: 'none' });
    const dataset = {
      ...voc,
      classes: VOC_CLASSES,
      imageLabels: () => new Uint8Array(VOC_CLASSES.length).fill(1, 0, 2),
    };
    return { dataset, segmentation: { file: voc.maskFile }, saliency: { file: voc.maskFile } };
  }
  const set = { size: preset === 'tiny' ? 80 : 256, seed: 7 };
  const count = preset === 'tiny' ? 168 : 64;
  const out = join(folder, preset);
  await synthesizeDataset({ ...set, out, counts: { train: count } });
  const dataset = createSyntheticDataset({ ...set, count });
  for (const id of dataset.ids) dataset.imageLabels(id); // an earlier step of a run has drawn them
  return {
    dataset,
    segmentation: { file: (id) => join(out, 'SegmentationClass', `${id}.png`) },
    saliency: { file: (id) => join(out, 'saliency', `${id}.png`) },
  };
}

async function measure(preset, backend, { dataset, ...targets }, workers, training) {
  const { name } = await useBackend(backend);
  const recipe = resolveRecipe({ preset });
  const { train } = recipe;
  const loader = createLoader({
    dataset,
    targets,
    transform: {
      ...(recipe.data.longSidePx > 0 ? { resize: { longer: recipe.data.longSidePx } } : {}),
      flip: true,
      scale: { min: train.scale[0], max: train.scale[1] },
      crop: train.cropPx,
      jitter: {
        brightness: train.colourJitter,
        contrast: train.colourJitter,
        saturation: train.colourJitter,
      },
      normalization: recipe.network.normalization,
    },
    batchSize: train.batchSize,
    seed: 1,
    workers,
    dropLast: true,
    aheadOfEpoch: true,
  });
  const waits = [];
  const data = {
    batchesPerEpoch: loader.batchesPerEpoch,
    async *epoch(index, start) {
      let asked = performance.now();
      for await (const batch of loader.epoch(index, start)) {
        waits.push(performance.now() - asked);
        yield batch;
        asked = performance.now();
      }
    },
  };
  const network = createNetworkFromConfig(recipe.network, dataset.classes.length, 1);
  const variables = network.model.trainableWeights.map((weight) => weight.read());
  const optimizer = createSgd({
    groups: [{ name: 'all', variables, lrScale: 1, weightDecay: 0 }],
    momentum: 0.9,
  });
  const ends = [];
  const result = await createTrainer({
    model: {
      variables: () => variables,
      loss({ count, height, width, images, labels, saliency, segmentation }) {
        const outputs = forwardForTraining(network, tf.tensor4d(images, [count, height, width, 3]));
        return auxSegLosses(
          outputs,
          {
            labels: tf.tensor2d(labels, [count, dataset.classes.length]),
            saliency: tf.tensor4d(
              saliency.map((v) => (v > 0.3 ? 1 : 0)),
              [count, height, width, 1],
            ),
            segmentation: tf.tensor3d(Int32Array.from(segmentation), [count, height, width], 'int32'),
          },
          train.losses,
        );
      },
    },
    data,
    optimizer,
    schedule: polySchedule({ baseLr: 1e-5, totalSteps: steps, power: 0.9 }),
    totalSteps: steps,
    seed: 1,
    random: { setKey: setRandomKey },
    onStep: () => ends.push(performance.now()),
  }).run();
  optimizer.dispose();
  network.model.dispose();
  await loader.close();
  const later = waits.slice(1).reduce((a, b) => a + b, 0);
  const line = {
    preset,
    backend: name,
    training,
    steps,
    msAStep: +((ends[steps - 1] - ends[0]) / (steps - 1)).toFixed(0),
    waitFraction: +result.dataWaitFraction.toFixed(4),
    firstBatchMs: +waits[0].toFixed(0),
    waitFractionAfterFirst: +(later / (ends[steps - 1] - ends[0])).toFixed(4),
    load: +loadavg()[0].toFixed(1),
  };
  console.log(JSON.stringify(line));
}

try {
  for (const preset of o.presets.split(','))
    for (const backend of o.backends.split(',')) {
      const data = await openData(preset);
      const workers = createWorkerPool(Number(o.workers));
      for (const training of ['first', 'second']) await measure(preset, backend, data, workers, training);
      await workers.close();
    }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
