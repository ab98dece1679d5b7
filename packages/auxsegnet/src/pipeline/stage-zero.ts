import { calibrateTinyResNet } from '@auxseg/backbone';
import { extractCams } from '@auxseg/cam';
import { type NamedTensor, readNpz, resizeBilinear, writeNpz } from '@auxseg/formats';
import { createSaliencyMeasures, meanAveragePrecision } from '@auxseg/metrics';
import { fuseCamAndSaliency, openLabelStore } from '@auxseg/pseudo-label';
import { disposeModel } from '@auxseg/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { imageToTensor, workingSize } from '../inference.js';
import { type AuxSegNet, runNetwork } from '../network.js';
import { loadClassifierStateDict } from '../official-state-dict.js';
import { encodeModel } from '../weights.js';
import { forEachImage, type PipelineContext } from './context.js';
import { scorePseudoLabels } from './evaluate.js';
import {
  classifierConfigOf,
  createInitialClassifier,
  findFile,
  loadNetworkFile,
  weightsMetadata,
} from './network-files.js';
import type { ScoredImages } from './scored-images.js';
import { readTensorFile } from './tensor-file.js';
import { trainNetwork } from './train-network.js';

export const labelFolder = (stage: number) => `stage-${stage}/labels`;

/** Off-the-shelf saliency of every training image, kept as 8-bit grey PNG: the P_t of every later update. */
export async function makeSaliency(context: PipelineContext, step: string): Promise<void> {
  const store = openLabelStore(context.directory.path(labelFolder(0)));
  await forEachImage(
    context,
    step,
    context.train.ids,
    (id) => store.has(id, 'saliency'),
    async (id) => {
      const { image } = await context.train.sample(id);
      await store.writeSaliency(id, await context.saliency.map({ id, image }));
    },
    // More than cores, so that reading and writing files hides behind detection.
    4,
  );
}

/** The single-task classifier whose CAMs start everything. */
export async function trainClassifier(context: PipelineContext): Promise<string> {
  const network = await createInitialClassifier(context);
  try {
    if (context.recipe.classifier.weights !== undefined) return await takeClassifier(context, network);
    if (context.recipe.network.backbone.name === 'tiny') await calibrate(context, network);
    const losses = await trainNetwork(context, {
      phase: 'classifier',
      network,
      schedule: context.recipe.classifier,
      losses: { classification: 1, saliency: 0, segmentation: 0 },
      saliencyTarget: 0.5,
      metadata: weightsMetadata(context, classifierConfigOf(context.recipe), 'classifier'),
      output: 'stage-0/classifier.safetensors',
      checkpoint: 'stage-0/trainer-state.safetensors',
      seedOffset: 0,
    });
    const mAP = await scoreClassifier(context, network);
    const loss = losses['total'] === undefined ? '' : `loss ${losses['total'].toFixed(3)}, `;
    return `${loss}validation mAP ${percent(mAP)}`;
  } finally {
    disposeModel(network.model);
  }
}

/** Puts a classifier that others trained where the trained one would be. */
async function takeClassifier(context: PipelineContext, network: AuxSegNet): Promise<string> {
  const { recipe, directory, searchPaths } = context;
  const path = await findFile(recipe.classifier.weights!, searchPaths, 'classifier.weights');
  const { unexpected } = loadClassifierStateDict(network.model, await readTensorFile(path), { source: path });
  const metadata = weightsMetadata(context, classifierConfigOf(recipe), 'classifier');
  await directory.write('stage-0/classifier.safetensors', encodeModel(network.model, metadata));
  const mAP = await scoreClassifier(context, network);
  const rest = unexpected.length > 0 ? `, without ${unexpected.join(', ')}` : '';
  return `${path}${rest}; validation mAP ${percent(mAP)}`;
}

/** Images that the backbone without pretrained weights is calibrated on. */
const CALIBRATION_IMAGES = 48;

async function calibrate(context: PipelineContext, network: AuxSegNet): Promise<void> {
  const { recipe, train } = context;
  const images: tf.Tensor4D[] = [];
  for (const id of train.ids.slice(0, CALIBRATION_IMAGES)) {
    const { image } = await train.sample(id);
    // One size, whatever the images have: this is about statistics.
    const side = recipe.classifier.cropPx || image.width;
    images.push(imageToTensor(image, { width: side, height: side }, recipe.network.normalization));
  }
  const batch = tf.concat(images, 0);
  calibrateTinyResNet(network.model, batch);
  tf.dispose([batch, ...images]);
}

/** Mean average precision of the image labels on the validation images, kept in stage-0/metrics.json. */
async function scoreClassifier(context: PipelineContext, network: AuxSegNet): Promise<number> {
  const { recipe, directory, val } = context;
  const scores: Float32Array[] = [];
  const labels: Uint8Array[] = [];
  for (const id of val.ids) {
    const sample = await val.sample(id);
    const logits = tf.tidy(() => {
      const size = workingSize(sample.image, recipe.data.longSidePx);
      const input = imageToTensor(sample.image, size, recipe.network.normalization);
      return runNetwork(network, input, ['classification']).classification.dataSync() as Float32Array;
    });
    scores.push(Float32Array.from(logits));
    labels.push(sample.labels);
  }
  const mAP = meanAveragePrecision(scores, labels);
  const file = 'stage-0/metrics.json';
  const before = (await directory.has(file)) ? await directory.readJson<object>(file) : {};
  await directory.writeJson(file, { ...before, classification: { meanAveragePrecision: mAP } });
  return mAP;
}

/** Multi-scale CAMs of the present classes: cams/<id>.npz with `classes` int32 [n] (0-based) and `cams` [n,h,w]. */
export async function makeCams(context: PipelineContext, step: string): Promise<void> {
  const { recipe, directory, train } = context;
  const network = await createInitialClassifier(context);
  try {
    await loadNetworkFile(context, network, 'stage-0/classifier.safetensors');
    await forEachImage(
      context,
      step,
      train.ids,
      (id) => directory.has('stage-0/cams', `${id}.npz`),
      async (id) => {
        const { image, labels } = await train.sample(id);
        const size = workingSize(image, recipe.data.longSidePx);
        const cams = await extractCams({
          model: network.model,
          image: (scale: number) =>
            imageToTensor(
              image,
              workingSize(image, recipe.data.longSidePx, scale),
              recipe.network.normalization,
            ),
          scales: recipe.cam.scales,
          flip: recipe.cam.flip,
          // A quarter of the working size: finer than any of the maps, small on disk.
          size: { width: Math.ceil(size.width / 4), height: Math.ceil(size.height / 4) },
        });
        const present = [...labels.keys()].filter((k) => labels[k] > 0);
        const pixels = cams.width * cams.height;
        const data = new Float32Array(present.length * pixels);
        present.forEach((k, i) => {
          data.set(cams.data.subarray(k * pixels, (k + 1) * pixels), i * pixels);
        });
        await directory.write(
          `stage-0/cams/${id}.npz`,
          writeNpz(
            new Map<string, NamedTensor>([
              ['classes', { dtype: 'int32', shape: [present.length], data: Int32Array.from(present) }],
              ['cams', { dtype: 'float32', shape: [present.length, cams.height, cams.width], data }],
            ]),
          ),
        );
      },
      // The next image is decoded meanwhile.
      2,
    );
  } finally {
    disposeModel(network.model);
  }
}

/** Reads one image's stage-0 CAMs, upsampled to the image: [K,H,W], zero for absent classes. */
export async function readCams(
  context: PipelineContext,
  id: string,
  size: { width: number; height: number },
): Promise<Float32Array> {
  const arrays = readNpz(await context.directory.read(`stage-0/cams/${id}.npz`));
  const classes = arrays.get('classes')!.data as Int32Array;
  const cams = arrays.get('cams')!;
  const [, height, width] = cams.shape;
  const pixels = size.width * size.height;
  const result = new Float32Array(context.train.classes.length * pixels);
  classes.forEach((k, i) => {
    const plane = (cams.data as Float32Array).subarray(i * width * height, (i + 1) * width * height);
    result.set(resizeBilinear(plane, { width, height }, size), k * pixels);
  });
  return result;
}

/** Thresholds of the fusion at a stage: the recipe's, else what the saliency source states. */
export function fusionOptions(context: PipelineContext, stage: number) {
  const own = context.recipe.pseudoLabel;
  const { updated } = own;
  const pick = <T>(later: T | undefined, first: T) => (stage > 0 && later !== undefined ? later : first);
  const saliencyThreshold = pick(updated.saliencyThreshold, own.saliencyThreshold);
  const saliencyBackground = pick(updated.saliencyBackground, own.saliencyBackground);
  const stated = context.saliency.thresholds;
  const foreground = saliencyThreshold ?? stated.single ?? stated.foreground;
  return {
    camThreshold: pick(updated.camThreshold, own.camThreshold),
    saliencyThreshold: foreground,
    saliencyBackground: saliencyBackground ?? foreground,
  };
}

/** Stage-0 pseudo labels by the fusion rule. */
export async function makeInitialLabels(context: PipelineContext, step: string): Promise<string> {
  const store = openLabelStore(context.directory.path(labelFolder(0)));
  const options = fusionOptions(context, 0);
  await forEachImage(
    context,
    step,
    context.train.ids,
    (id) => store.has(id, 'segmentation'),
    async (id) => {
      const saliency = await store.saliency(id);
      const map = fuseCamAndSaliency({
        cam: await readCams(context, id, saliency),
        width: saliency.width,
        height: saliency.height,
        labels: context.train.imageLabels(id),
        saliency: saliency.data,
        id,
        ...options,
      });
      await store.writeSegmentation(id, map);
    },
  );
  return scoreLabels(context, 0);
}

/** Scores a stage's labels on the images that have masks and writes stage-k/metrics.json. */
export async function scoreLabels(context: PipelineContext, stage: number): Promise<string> {
  const { directory, scoredTrain } = context;
  if (scoredTrain === null) return 'not scored: no masks of training images in data.score';
  const pseudoLabels = await scorePseudoLabels({
    predictions: directory.path(labelFolder(stage), 'seg'),
    ...scoredTrain,
    numClasses: context.train.classes.length + 1,
  });
  const saliency = await scoreSaliency(context, scoredTrain, stage);
  const file = `stage-${stage}/metrics.json`;
  const before = (await directory.has(file)) ? await directory.readJson<object>(file) : {};
  await directory.writeJson(file, { ...before, pseudoLabels, saliency });
  return `pseudo labels: precision ${percent(pseudoLabels.precision)}, recall ${percent(pseudoLabels.recall)}, mIoU ${percent(pseudoLabels.meanIoU)}`;
}

async function scoreSaliency(context: PipelineContext, { ids, truth }: ScoredImages, stage: number) {
  const measures = createSaliencyMeasures();
  const store = openLabelStore(context.directory.path(labelFolder(stage)));
  for (const id of ids) {
    const map = await store.saliency(id);
    const { width, height, data } = await truth(id);
    // A mask that says nothing, of an image that nobody has annotated yet, is no reason to end a run.
    if (data.every((label) => label === 255)) continue;
    measures.update({ prediction: map.data, truth: data, width, height });
  }
  const { mae, maxF, sMeasure } = measures.result();
  return { mae, maxFBeta: maxF, sMeasure };
}

export const percent = (fraction: number | null) => (fraction === null ? '-' : (100 * fraction).toFixed(1));
