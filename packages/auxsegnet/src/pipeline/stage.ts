import { normalizeCam, propagateCam } from '@auxseg/cam';
import { presets as crfPresets, type DenseCrf, type DenseCrfPool } from '@auxseg/crf';
import { type LabelMap, type RgbImage, resizeBilinear } from '@auxseg/formats';
import { fuseCamAndSaliency, openLabelStore, updateSaliency } from '@auxseg/pseudo-label';
import { disposeModel } from '@auxseg/runtime';
import * as tf from '@tensorflow/tfjs-core';
import {
  argmaxLabels,
  imageToTensor,
  predictHeads,
  type SegmentationScores,
  workingSize,
} from '../inference.js';
import { type AuxSegNet, runNetwork } from '../network.js';
import type { Recipe } from '../recipe.js';
import { forEachImage, type PipelineContext } from './context.js';
import {
  createInitialNetwork,
  createStartNetwork,
  loadNetworkFile,
  networkConfigOf,
  weightsMetadata,
} from './network-files.js';
import { writePrediction } from './predictions.js';
import { fusionOptions, labelFolder, scoreLabels } from './stage-zero.js';
import { trainNetwork } from './train-network.js';

/** Trains the network of stage `stage` (1-based) on the labels of the stage before, warm-started from its weights. */
export async function trainStage(context: PipelineContext, stage: number): Promise<string> {
  const config = networkConfigOf(context.recipe);
  const network = await createStartNetwork(context, config);
  try {
    if (stage > 1) await loadNetworkFile(context, network, `stage-${stage - 1}/model.safetensors`);
    const losses = await trainNetwork(context, {
      phase: `stage-${stage}`,
      network,
      schedule: context.recipe.train,
      losses: context.recipe.train.losses,
      targets: labelTargets(context, stage - 1),
      saliencyTarget: saliencyTarget(context, stage - 1),
      metadata: weightsMetadata(context, config, 'auxsegnet'),
      output: `stage-${stage}/model.safetensors`,
      checkpoint: `stage-${stage}/trainer-state.safetensors`,
      seedOffset: stage,
    });
    return `loss ${losses['total']?.toFixed(4) ?? 'from checkpoint'}`;
  } finally {
    disposeModel(network.model);
  }
}

/** The two label files of an image at a stage, as the loader's workers read them. */
export function labelTargets(context: PipelineContext, stage: number) {
  const folder = context.directory.path(labelFolder(stage));
  return {
    segmentation: { file: (id: string) => `${folder}/seg/${id}.png` },
    saliency: { file: (id: string) => `${folder}/sal/${id}.png` },
  };
}

/** Off-the-shelf maps are binarised where their source says foreground begins; updated maps at 0.5 or the recipe's value. */
export function saliencyTarget(context: PipelineContext, stage: number): number {
  if (stage > 0) return context.recipe.pseudoLabel.updated.saliencyTarget ?? 0.5;
  const { single, foreground } = context.saliency.thresholds;
  return context.recipe.pseudoLabel.saliencyTarget ?? single ?? foreground;
}

/** Everything that one image's label update is made of; maps are at the image's size. */
export interface LabelUpdate {
  /** Normalised CAMs after propagation, [K,H,W]; absent classes are 0. */
  camAfter: Float32Array;
  /** The same before propagation, made when asked for: only pictures need it. */
  camBefore(): Float32Array;
  /** Refined saliency as a probability [H,W]. */
  refinedSaliency: Float32Array;
  /** After averaging with the original map and the CRF. */
  saliency: { width: number; height: number; data: Float32Array };
  segmentation: LabelMap;
}

/** What an update needs to know of an image, besides the network's outputs. */
export interface LabelUpdateInput {
  recipe: Recipe;
  image: RgbImage;
  labels: Uint8Array;
  /** The off-the-shelf saliency, 0..1, at the image's size. */
  original: Float32Array;
  fusion: ReturnType<typeof fusionOptions>;
  crf: DenseCrf | DenseCrfPool;
  id: string;
}

/** Outputs of the network for one image, as it gave them. */
export interface LabelUpdateOutputs {
  cam: tf.Tensor4D; // [1,h,w,K]
  refinedSaliency: tf.Tensor4D; // [1,h,w,1] logits
  affinity?: tf.Tensor3D; // [1,hw,hw]
}

/** The update of method facts, section 4, for one image. */
export async function updateLabels(input: LabelUpdateInput & { network: AuxSegNet }): Promise<LabelUpdate> {
  const { recipe, network, image } = input;
  const outputs = tf.tidy(() => {
    const size = workingSize(image, recipe.data.longSidePx);
    const x = imageToTensor(image, size, recipe.network.normalization);
    const names = ['cam', 'refinedSaliency', 'affinity'] as const;
    return runNetwork(
      network,
      x,
      names.filter((name) => network.outputs.includes(name)),
    );
  }) as unknown as LabelUpdateOutputs;
  try {
    return await labelsFromOutputs(outputs, input);
  } finally {
    tf.dispose({ ...outputs });
  }
}

/** The part of the update that follows the network; the outputs are not disposed. */
export async function labelsFromOutputs(
  outputs: LabelUpdateOutputs,
  input: LabelUpdateInput,
): Promise<LabelUpdate> {
  const { recipe, image, labels, fusion } = input;
  const { width, height } = image;
  const { camBefore, camAfter, refined, mapSize } = tf.tidy(() => {
    const cam = normalizeCam(outputs.cam);
    const after =
      outputs.affinity && recipe.pseudoLabel.propagate ? propagateCam(outputs.affinity, cam) : cam;
    const planar = (t: tf.Tensor) => tf.transpose(tf.squeeze(t, [0]), [2, 0, 1]).dataSync() as Float32Array;
    return {
      camBefore: planar(cam),
      camAfter: planar(after),
      refined: tf.sigmoid(outputs.refinedSaliency).dataSync() as Float32Array,
      mapSize: { width: cam.shape[2], height: cam.shape[1] },
    };
  });
  const upsample = (plane: Float32Array) => resizeBilinear(plane, mapSize, { width, height });
  const upsamplePresent = (cams: Float32Array) => {
    const result = new Float32Array(labels.length * width * height);
    const cells = mapSize.width * mapSize.height;
    for (let k = 0; k < labels.length; k++) {
      if (labels[k]) result.set(upsample(cams.subarray(k * cells, (k + 1) * cells)), k * width * height);
    }
    return result;
  };
  const refinedSaliency = upsample(refined);
  // Interpolation may leave 0..1 by rounding.
  for (let i = 0; i < refinedSaliency.length; i++) {
    refinedSaliency[i] = Math.min(1, Math.max(0, refinedSaliency[i]));
  }
  const saliency = await updateSaliency({
    refined: refinedSaliency,
    original: input.original,
    image,
    crf: input.crf,
    parameters: recipe.crf.saliency as never,
    id: input.id,
  });
  const cam = upsamplePresent(camAfter);
  const segmentation = fuseCamAndSaliency({
    cam,
    width,
    height,
    labels,
    saliency: saliency.data,
    id: input.id,
    ...fusion,
  });
  return {
    camAfter: cam,
    camBefore: () => upsamplePresent(camBefore),
    refinedSaliency,
    saliency,
    segmentation,
  };
}

/** New pseudo labels of every training image with the network of a stage; see `updateLabels`. */
export async function updateStageLabels(
  context: PipelineContext,
  stage: number,
  step: string,
): Promise<string> {
  const { recipe, directory, train } = context;
  const network = await createInitialNetwork(context, networkConfigOf(recipe));
  const original = openLabelStore(directory.path(labelFolder(0)));
  const store = openLabelStore(directory.path(labelFolder(stage)));
  const { crf } = context;
  const fusion = fusionOptions(context, stage);
  try {
    await loadNetworkFile(context, network, `stage-${stage}/model.safetensors`);
    await forEachImage(
      context,
      step,
      train.ids,
      (id) => store.has(id),
      async (id) => {
        const { image, labels } = await train.sample(id);
        const update = await updateLabels({
          recipe,
          network,
          image,
          labels,
          original: (await original.saliency(id)).data,
          fusion,
          crf,
          id,
        });
        await store.writeSaliency(id, update.saliency);
        await store.writeSegmentation(id, update.segmentation);
      },
      lanesOf(crf),
    );
  } finally {
    disposeModel(network.model);
  }
  return scoreLabels(context, stage);
}

/** Images in work at once: one for each worker, and one that the network looks at meanwhile. */
export function lanesOf(crf: DenseCrfPool): number {
  return crf.workers + 1;
}

/** Kernels of the segmentation CRF with the recipe's values. */
export async function refineWithCrf(
  crf: DenseCrf | DenseCrfPool,
  scores: SegmentationScores,
  image: RgbImage,
  recipe: Recipe,
): Promise<LabelMap> {
  const { gaussian, bilateral, iterations } = recipe.crf.segmentation;
  const { width, height, channels } = scores;
  const data = await crf.inferMap({
    ...crfPresets.auxsegSegmentation,
    width,
    height,
    labels: channels,
    probabilities: normalised(scores),
    image: image.data,
    gaussian,
    bilateral: bilateral as { sxy: number; srgb: number; compat: number },
    iterations,
  });
  return { width, height, data };
}

/** Max fusion leaves scores that do not sum to 1. */
function normalised({ width, height, channels, data }: SegmentationScores): Float32Array {
  const pixels = width * height;
  const result = Float32Array.from(data);
  for (let i = 0; i < pixels; i++) {
    let sum = 0;
    for (let c = 0; c < channels; c++) sum += data[c * pixels + i];
    for (let c = 0; c < channels; c++) result[c * pixels + i] = Math.min(1, data[c * pixels + i] / sum);
  }
  return result;
}

/** Validation predictions of a network: both heads single-scale, and the refined one after the CRF. */
export async function predictValidation(
  context: PipelineContext,
  step: string,
  network: AuxSegNet,
  folder: string,
): Promise<void> {
  const { recipe, directory, val } = context;
  const heads: ('initial' | 'refined')[] = network.outputs.includes('affinity')
    ? ['initial', 'refined']
    : ['initial'];
  const last = heads[heads.length - 1];
  const done = recipe.evaluation.crf ? `${last}-crf` : last;
  await forEachImage(
    context,
    step,
    val.ids,
    (id) => directory.has(folder, done, `${id}.png`),
    async (id) => {
      const { image } = await val.sample(id);
      const scores = predictHeads(
        network,
        image,
        { normalization: recipe.network.normalization, longSidePx: recipe.data.longSidePx },
        heads,
      );
      for (const head of heads) {
        await writePrediction(directory, `${folder}/${head}/${id}.png`, argmaxLabels(scores[head]));
        if (recipe.evaluation.crf && head === last) {
          const map = await refineWithCrf(context.crf, scores[head], image, recipe);
          await writePrediction(directory, `${folder}/${head}-crf/${id}.png`, map);
        }
      }
    },
    lanesOf(context.crf),
  );
}
