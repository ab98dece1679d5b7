// A few lines with several of the packages together, as a program that has installed them from npm would have them.

import { createMeanAffinity } from '@auxseg/affinity';
import { createAuxSegNet, runNetwork } from '@auxseg/auxsegnet';
import { createTinyResNet } from '@auxseg/backbone';
import { createDenseCrf } from '@auxseg/crf';
import { createLoader, createSyntheticDataset } from '@auxseg/datasets';
import { readIndexedPng, writeIndexedPng } from '@auxseg/formats';
import { createConfusionMatrix } from '@auxseg/metrics';
import { useBackend } from '@auxseg/runtime';
import { detectSaliency } from '@auxseg/saliency';
import * as tf from '@tensorflow/tfjs-core';

// Worker threads find their file inside the installed package, too.
const dataset = createSyntheticDataset({ count: 4, size: 48, seed: 1 });
const loader = createLoader({ dataset, transform: { flip: true }, batchSize: 2, seed: 1, workers: 1 });
let images = 0;
for await (const batch of loader.epoch(0)) images += batch.count;
await loader.close();
console.log(`${images} images through a worker`);

const [id] = dataset.ids;
const { image } = await dataset.sample(id);
const truth = await dataset.truth(id);
const copy = readIndexedPng(writeIndexedPng(truth));
const matrix = createConfusionMatrix(dataset.classes.length + 1);
matrix.update(copy.data, truth.data);
console.log(`mIoU of a PNG with itself: ${matrix.meanIoU()}`);

const crf = await createDenseCrf();
const foreground = detectSaliency(image).data;
const probabilities = Float32Array.from([...foreground.map((p) => 1 - p), ...foreground]);
const problem = { width: image.width, height: image.height, labels: 2, probabilities, image: image.data };
const q = crf.infer({ ...problem, bilateral: { sxy: 20, srgb: 10, compat: 3 }, iterations: 2 });
console.log(`CRF (${crf.implementation}): ${q.every(Number.isFinite) ? 'finite' : 'NOT FINITE'}`);
crf.dispose();

const { name } = await useBackend('auto');
const network = createAuxSegNet({
  backbone: createTinyResNet({ width: 0.25 }),
  affinity: createMeanAffinity(),
  numClasses: dataset.classes.length,
  head: { channels: 8, dilations: [1, 2, 4] },
});
const { refinedSegmentation } = runNetwork(network, tf.zeros([1, 32, 32, 3]), ['refinedSegmentation']);
console.log(`network on ${name}: [${refinedSegmentation.shape}]`);
