// The whole method in one file, composed from the packages' functions: classifier -> CAM -> pseudo labels -> stages of
// AuxSegNet with label updates between them -> prediction -> mIoU. `auxseg demo` does the same in resumable steps, larger,
// with files for everything; here all of it stays in memory, so that you can read it from top to bottom and change any line.

import { createCrossTaskAffinity } from '@auxseg/affinity';
import {
  argmaxLabels,
  auxSegLosses,
  createAuxSegNet,
  createClassifier,
  forwardForTraining,
  imageToTensor,
  loadTensors,
  modelToTensors,
  predictSegmentation,
  runNetwork,
} from '@auxseg/auxsegnet';
import { calibrateTinyResNet, createTinyResNet } from '@auxseg/backbone';
import { extractCams, normalizeCam, propagateCam } from '@auxseg/cam';
import { createDenseCrf } from '@auxseg/crf';
import { createLoader, createSyntheticDataset } from '@auxseg/datasets';
import { resizeBilinear } from '@auxseg/formats';
import { createConfusionMatrix, createPseudoLabelScore } from '@auxseg/metrics';
import { fuseCamAndSaliency, updateSaliency } from '@auxseg/pseudo-label';
import { setRandomKey, useBackend } from '@auxseg/runtime';
import { createSgd, createTrainer, layerVariableNames, polySchedule } from '@auxseg/trainer';
import * as tf from '@tensorflow/tfjs-core';

// ------------------------------------------------------------------------------------------------------------ settings

const settings = {
  seed: 1,
  // Data. Objects are plain bodies with a small patterned part that tells the class; saliency is coarse and noisy.
  // Little clutter and one tone a class (colorCue) make it easy enough for a minute; the defaults are harder.
  data: { size: 64, classes: 3, clutter: 0.2, colorCue: 1, train: 96, val: 40 }, // size in pixels
  // Networks. Output stride 4, so 64 pixels give maps of 16x16 cells and an affinity of 256x256.
  backboneWidth: 0.25, // channel multiplier: features of 24 channels
  head: { channels: 16, dilations: [1, 2, 4], dropout: 0 },
  // Training: lr falls as (1 - step / steps)^0.9 after a warm-up; momentum 0.9.
  batchSize: 4,
  weightDecay: 1e-4,
  // headLrScale multiplies the rate of the heads: where the evidence is small, average pooling hands back small gradients.
  classifier: { epochs: 10, lr: 0.012, headLrScale: 5, warmupSteps: 20 },
  stage: { epochs: 4, lr: 0.006, headLrScale: 5, warmupSteps: 20 },
  stages: 2, // the paper runs 4
  // Pseudo labels: a CAM, or a saliency, above this belongs to an object. Updated maps are sharpened by the CRF: nearly
  // binary, and their zeros are what is sure.
  firstLabels: { camThreshold: 0.2, saliencyThreshold: 0.35 },
  updatedLabels: { camThreshold: 0.1, saliencyThreshold: 0.02 },
  // Dense CRF of the saliency update and of the final prediction; sxy in pixels, srgb in 8-bit colour units.
  saliencyCrf: {
    gaussian: { sxy: 2, compat: 3 },
    bilateral: { sxy: 20, srgb: 10, compat: 5 },
    iterations: 1,
  },
  predictionCrf: {
    gaussian: { sxy: 2, compat: 3 },
    bilateral: { sxy: 20, srgb: 10, compat: 3 },
    iterations: 5,
  },
};
const normalization = 'imagenet';

// --------------------------------------------------------------------------------------------------------------- set-up

const { name: backend } = await useBackend('auto'); // or 'wasm', 'cpu', ...
const { train: trainCount, val: valCount, ...scenes } = settings.data;
const { size, classes } = scenes;
const train = createSyntheticDataset({ ...scenes, count: trainCount, seed: settings.seed, split: 'train' });
const val = createSyntheticDataset({ ...scenes, count: valCount, seed: settings.seed, split: 'val' });
const crf = await createDenseCrf();
console.log(`backend ${backend}; ${train.ids.length} + ${val.ids.length} images of ${size}x${size}`);
console.log(`classes ${train.classes.join(', ')}`);

// ----------------------------------------------------------------------------------------------- training, for both uses

/**
 * Trains a network in place. `targets` are the pixel labels of the loader; without them only the classification loss counts.
 * Returns the mean total loss of the first and of the last epoch.
 */
async function trainNetwork(
  network,
  { epochs, lr, headLrScale, warmupSteps },
  { targets, saliencyTarget = 0.5, seed },
) {
  const loader = createLoader({
    dataset: train,
    targets,
    transform: { flip: true, normalization },
    batchSize: settings.batchSize,
    seed,
    workers: 0, // drawing 64 x 64 pixels is cheaper than a thread; photographs want 1 or more
    dropLast: true,
  });
  const totalSteps = epochs * loader.batchesPerEpoch;
  const variables = network.model.trainableWeights.map((weight) => weight.read());
  const nameOf = layerVariableNames(network.model);
  const isHead = (variable) => /^(fc8|seg_|sal_)/.test(nameOf(variable)); // layers carry the authors' names
  const { weightDecay } = settings;
  const optimizer = createSgd({
    groups: [
      { name: 'backbone', variables: variables.filter((v) => !isHead(v)), lrScale: 1, weightDecay },
      { name: 'heads', variables: variables.filter(isHead), lrScale: headLrScale, weightDecay },
    ],
    momentum: 0.9,
    nameOf,
  });
  const trainer = createTrainer({
    model: {
      variables: () => variables,
      loss: (batch) => lossOf(network, batch, { pixels: targets !== undefined, saliencyTarget }),
    },
    data: loader,
    optimizer,
    schedule: polySchedule({ baseLr: lr, totalSteps, power: 0.9, warmupSteps }),
    totalSteps,
    seed,
    random: { setKey: setRandomKey }, // keys dropout by (seed, step), so that a run can be repeated
    nameOf,
  });
  const { losses } = await trainer.run();
  optimizer.dispose();
  await loader.close();
  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
  return {
    steps: totalSteps,
    first: mean(losses.total.slice(0, loader.batchesPerEpoch)),
    last: mean(losses.total.slice(-loader.batchesPerEpoch)),
  };
}

/** The five losses of the method: classification, initial and refined saliency, initial and refined segmentation. */
function lossOf(network, batch, { pixels, saliencyTarget }) {
  const { count, height, width } = batch;
  const outputs = forwardForTraining(network, tf.tensor4d(batch.images, [count, height, width, 3]));
  const targets = { labels: tf.tensor2d(batch.labels, [count, network.numClasses]) };
  if (pixels) {
    const salient = batch.saliency.map((value) => (value > saliencyTarget ? 1 : 0));
    targets.saliency = tf.tensor4d(salient, [count, height, width, 1]);
    targets.segmentation = tf.tensor3d(Int32Array.from(batch.segmentation), [count, height, width], 'int32');
  }
  const weight = pixels ? 1 : 0;
  return auxSegLosses(outputs, targets, { classification: 1, saliency: weight, segmentation: weight });
}

// -------------------------------------------------------------------------------------- stage 0: classifier, CAM, labels

const classifier = createClassifier({
  backbone: createTinyResNet({ width: settings.backboneWidth, seed: settings.seed }),
  numClasses: classes,
  dropout: settings.head.dropout,
  seed: settings.seed,
});
// Nothing here is pretrained; this brings the features of random weights to a common scale, which learning needs.
const someImages = [];
for (const id of train.ids.slice(0, 48)) {
  const { image } = await train.sample(id);
  someImages.push(imageToTensor(image, image, normalization));
}
tf.tidy(() => calibrateTinyResNet(classifier.model, tf.concat(someImages)));
tf.dispose(someImages);
const training = await trainNetwork(classifier, settings.classifier, { seed: settings.seed });
console.log(
  `classifier: ${training.steps} steps, loss ${training.first.toFixed(2)} -> ${training.last.toFixed(2)}`,
);

/** Where CAM and saliency agree there is an object, where neither fires background, else 255 = nothing is said: [H,W]. */
const fuse = (id, cam, saliency, thresholds) =>
  fuseCamAndSaliency({
    cam, // [K,H,W], 0..1
    width: size,
    height: size,
    labels: train.imageLabels(id),
    saliency, // [H,W], 0..1
    ...thresholds,
    id,
  });

const originalSaliency = new Map(); // id -> [H,W], what every later update averages with
let labels = new Map(); // id -> { segmentation, saliency }: what the next stage learns from
for (const id of train.ids) {
  const { image, labels: present } = await train.sample(id);
  const input = imageToTensor(image, image, normalization);
  const cams = await extractCams({ model: classifier.model, image: input, flip: true, labels: present });
  input.dispose();
  const saliency = await train.saliency(id);
  originalSaliency.set(id, saliency.data);
  labels.set(id, { saliency, segmentation: fuse(id, cams.data, saliency.data, settings.firstLabels) });
}
await printLabelScore(0);

// ------------------------------------------------------------------------------------------------------ stages 1, 2, ...

const network = createAuxSegNet({
  backbone: createTinyResNet({ width: settings.backboneWidth, seed: settings.seed }),
  affinity: createCrossTaskAffinity({ zeroInit: true, seed: settings.seed }), // ../swap-affinity puts its own here
  numClasses: classes,
  head: settings.head,
  seed: settings.seed,
});
// A network this small has no ImageNet weights to start from; the classifier's take their place.
loadTensors(network.model, modelToTensors(classifier.model), { strict: false });
classifier.model.dispose();
for (let stage = 1; stage <= settings.stages; stage++) {
  // The network keeps its weights from the stage before: a warm start.
  const { steps, first, last } = await trainNetwork(network, settings.stage, {
    targets: {
      segmentation: async (id) => labels.get(id).segmentation,
      saliency: async (id) => labels.get(id).saliency,
    },
    saliencyTarget: stage === 1 ? settings.firstLabels.saliencyThreshold : 0.5,
    seed: settings.seed + stage,
  });
  console.log(`stage ${stage}: ${steps} steps, loss ${first.toFixed(2)} -> ${last.toFixed(2)}`);

  const updated = new Map();
  for (const id of train.ids) updated.set(id, await updateLabels(id));
  labels = updated;
  await printLabelScore(stage);
  await printValidation(stage);
}

/** New labels of one image: CAMs propagated by the affinity; saliency averaged with the original map, then the CRF. */
async function updateLabels(id) {
  const { image } = await train.sample(id);
  const { cam, refined, cells } = tf.tidy(() => {
    const out = runNetwork(network, imageToTensor(image, image, normalization), [
      'cam',
      'refinedSaliency',
      'affinity',
    ]);
    const propagated = propagateCam(out.affinity, normalizeCam(out.cam)); // [1,h,w,K]
    return {
      cam: tf.transpose(tf.squeeze(propagated, [0]), [2, 0, 1]).dataSync(), // [K,h,w]
      refined: tf.sigmoid(out.refinedSaliency).dataSync(), // [h,w]
      cells: { width: propagated.shape[2], height: propagated.shape[1] },
    };
  });
  const plane = cells.width * cells.height;
  const camAtImage = new Float32Array(classes * size * size);
  for (let k = 0; k < classes; k++) {
    const large = resizeBilinear(cam.subarray(k * plane, (k + 1) * plane), cells, image);
    camAtImage.set(large, k * size * size);
  }
  const saliency = await updateSaliency({
    refined: resizeBilinear(refined, cells, image),
    original: originalSaliency.get(id),
    image,
    crf,
    parameters: settings.saliencyCrf,
    id,
  });
  return { saliency, segmentation: fuse(id, camAtImage, saliency.data, settings.updatedLabels) };
}

// --------------------------------------------------------------------------------------------------------------- scoring

/** Truth is read here and below only: it is never trained on. */
async function printLabelScore(stage) {
  const score = createPseudoLabelScore(classes + 1);
  for (const id of train.ids) score.update(labels.get(id).segmentation.data, (await train.truth(id)).data);
  const numbers = { precision: score.precision(), recall: score.recall(), mIoU: score.meanIoU() };
  console.log(`labels ${stage}: ${percents(numbers)}`);
}

/** One confusion matrix over the validation set for each head, and for the refined one after the CRF. */
async function printValidation(stage) {
  const matrices = {
    initial: createConfusionMatrix(classes + 1),
    refined: createConfusionMatrix(classes + 1),
    CRF: createConfusionMatrix(classes + 1),
  };
  for (const id of val.ids) {
    const { image } = await val.sample(id);
    const truth = (await val.truth(id)).data;
    for (const head of ['initial', 'refined']) {
      const scores = predictSegmentation(network, image, { normalization, head });
      matrices[head].update(argmaxLabels(scores).data, truth);
      if (head === 'initial') continue;
      const { width, height, channels, data } = scores; // data [K+1,H,W]
      const problem = { width, height, labels: channels, probabilities: data, image: image.data };
      matrices.CRF.update(crf.inferMap({ ...problem, ...settings.predictionCrf }), truth);
    }
  }
  const numbers = Object.entries(matrices).map(([name, matrix]) => [name, matrix.meanIoU()]);
  console.log(`validation ${stage}: mIoU ${percents(Object.fromEntries(numbers))}`);
}

function percents(numbers) {
  return Object.entries(numbers)
    .map(([name, fraction]) => `${name} ${(100 * fraction).toFixed(1)}`)
    .join(', ');
}

network.model.dispose();
crf.dispose();
