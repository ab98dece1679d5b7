import { resizeBilinear, runModel } from '@auxseg/runtime';
import {
  binaryCrossEntropyWithLogits,
  multiLabelSoftMarginLoss,
  softmaxCrossEntropyWithIgnore,
} from '@auxseg/trainer';
import * as tf from '@tensorflow/tfjs-core';
import type { AuxSegNet, OutputName } from './network.js';
import type { LossWeights } from './recipe.js';

/** Names of the five losses of method facts, section 3, as they stand in logs. */
export const lossNames = [
  'classification',
  'saliencyInitial',
  'saliencyRefined',
  'segmentationInitial',
  'segmentationRefined',
] as const;
export type LossName = (typeof lossNames)[number];

/** What the losses are computed against; [N,...] as the loader batches it. */
export interface LossTargets {
  labels: tf.Tensor2D; // [N,K] multi-hot
  /** [N,H,W,1] in {0,1}; negative values mark pixels that a crop added and that no loss counts. */
  saliency?: tf.Tensor4D;
  /** [N,H,W] int32, 0..K, 255 = ignore. */
  segmentation?: tf.Tensor3D;
}

/**
 * The losses of AuxSegNet (method facts, section 3) for one batch: multi-label soft margin on the classification,
 * binary cross-entropy on both saliency maps, cross-entropy with ignore on both segmentations, logits upsampled to the
 * target's size first. Without an affinity map refined equals initial and is not counted again.
 * Losses of weight 0 are not computed. Runs inside the caller's tidy.
 *
 * @param shares factors on the parts themselves, for a part of a batch whose losses are to add up to the batch's
 */
export function auxSegLosses(
  outputs: Partial<Record<OutputName, tf.Tensor>>,
  targets: LossTargets,
  weights: LossWeights,
  shares: LossWeights = { classification: 1, saliency: 1, segmentation: 1 },
): { total: tf.Scalar; parts: Record<string, tf.Scalar> } {
  const parts: Partial<Record<LossName, tf.Scalar>> = {};
  const refinedToo = outputs.affinity !== undefined;
  if (weights.classification > 0 && outputs.classification) {
    parts.classification = multiLabelSoftMarginLoss(outputs.classification as tf.Tensor2D, targets.labels);
  }
  if (weights.saliency > 0 && targets.saliency && outputs.initialSaliency) {
    const target = targets.saliency;
    const loss = (logits: tf.Tensor) =>
      saliencyLoss(upsample(logits, target.shape[1], target.shape[2]), target);
    parts.saliencyInitial = loss(outputs.initialSaliency);
    if (refinedToo) parts.saliencyRefined = loss(outputs.refinedSaliency!);
  }
  if (weights.segmentation > 0 && targets.segmentation && outputs.initialSegmentation) {
    const target = targets.segmentation;
    const loss = (logits: tf.Tensor) =>
      softmaxCrossEntropyWithIgnore(upsample(logits, target.shape[1], target.shape[2]), target);
    parts.segmentationInitial = loss(outputs.initialSegmentation);
    if (refinedToo) parts.segmentationRefined = loss(outputs.refinedSegmentation!);
  }
  const taskOf = (name: string) =>
    name === 'classification' ? 'classification' : name.startsWith('sal') ? 'saliency' : 'segmentation';
  for (const [name, value] of Object.entries(parts)) {
    const factor = shares[taskOf(name)];
    if (factor !== 1) parts[name as LossName] = tf.mul(value as tf.Scalar, factor);
  }
  const weighted = Object.entries(parts).map(([name, value]) => {
    const weight = weights[taskOf(name)];
    return weight === 1 ? (value as tf.Tensor) : tf.mul(value as tf.Tensor, weight);
  });
  return { total: tf.addN(weighted) as tf.Scalar, parts: parts as Record<string, tf.Scalar> };
}

/** Mean over the pixels that the image covers: padding is no evidence of "not salient". */
function saliencyLoss(logits: tf.Tensor4D, target: tf.Tensor4D): tf.Scalar {
  return binaryCrossEntropyWithLogits(logits, target, { ignoreNegative: true });
}

function upsample(logits: tf.Tensor, height: number, width: number): tf.Tensor4D {
  return resizeBilinear(logits as tf.Tensor4D, [height, width]);
}

/**
 * Runs the network in training mode and names its outputs.
 *
 * @param recomputeBetween layers whose outputs are kept, `network.blockEnds` for example; what lies between them is computed
 *   again in the backward pass: a third more time, a fraction of the memory, the same gradients
 */
export function forwardForTraining(
  network: AuxSegNet,
  images: tf.Tensor4D,
  recomputeBetween: readonly string[] = [],
): Partial<Record<OutputName, tf.Tensor>> {
  const outputs = runModel(network.model, images, { training: true, recomputeBetween });
  return Object.fromEntries(network.outputs.map((name, index) => [name, outputs[index]]));
}
