import type { Batch } from '@auxseg/datasets';
import * as tf from '@tensorflow/tfjs-core';
import { auxSegLosses, forwardForTraining } from '../aux-seg-loss.js';
import type { AuxSegNet } from '../network.js';
import type { LossWeights } from '../recipe.js';

/** A loader's batch, or a part of one. */
export interface TrainingPart {
  batch: Batch;
  /** For each task, which part of the whole batch's mean these samples contribute; 1 for a whole batch. */
  shares: LossWeights;
}

/** What the loss of a batch needs besides network and batch. */
export interface BatchLossOptions {
  losses: LossWeights;
  /** Saliency of at least this is a positive of the saliency loss. */
  saliencyTarget: number;
  recompute: boolean;
}

/** The losses of a batch or of a part of it, in training mode. */
export function lossOfBatch(
  network: AuxSegNet,
  { batch, shares }: TrainingPart,
  { losses, saliencyTarget, recompute }: BatchLossOptions,
) {
  const { count, height, width } = batch;
  const images = tf.tensor4d(batch.images, [count, height, width, 3]);
  const labels = tf.tensor2d(batch.labels, [count, network.numClasses]);
  const outputs = forwardForTraining(network, images, recompute ? network.blockEnds : []);
  return auxSegLosses(
    outputs,
    {
      labels,
      saliency: batch.saliency
        ? tf.tensor4d(binarise(batch.saliency, saliencyTarget), [count, height, width, 1])
        : undefined,
      segmentation: batch.segmentation
        ? tf.tensor3d(Int32Array.from(batch.segmentation), [count, height, width], 'int32')
        : undefined,
    },
    losses,
    shares,
  );
}

/** Targets 0 and 1; the negative values of padding stay. */
function binarise(saliency: Float32Array, threshold: number): Float32Array {
  return saliency.map((value) => (value < 0 ? value : value >= threshold ? 1 : 0));
}

const IGNORE = 255;

function counted(values: ArrayLike<number> | undefined, counts: (value: number) => boolean): number {
  let count = 0;
  for (let i = 0; values !== undefined && i < values.length; i++) if (counts(values[i])) count++;
  return count;
}

const labelled = (batch: Batch) => counted(batch.segmentation, (label) => label !== IGNORE);
const covered = (batch: Batch) => counted(batch.saliency, (value) => value >= 0);
const share = (part: number, whole: number) => (whole > 0 ? part / whole : 0);

/**
 * Cuts a batch into at most `parts` runs of samples, equal or one sample longer, with the share that each has in the batch's
 * means: over samples for the classification, over the pixels that count for saliency and segmentation.
 */
export function splitBatch(batch: Batch, parts: number): { batch: TrainingPart; firstSample: number }[] {
  const { count, height, width } = batch;
  const pieces = Math.min(parts, count);
  const pixels = height * width;
  const [allLabelled, allCovered] = [labelled(batch), covered(batch)];
  return Array.from({ length: pieces }, (_, index) => {
    const [first, end] = [index, index + 1].map((i) => Math.floor((i * count) / pieces));
    // Copies: a view would take the whole batch along to another thread.
    const cut = <A extends Float32Array | Uint8Array>(values: A, size: number) =>
      values.slice(first * size, end * size) as A;
    const part: Batch = {
      ...batch,
      ids: batch.ids.slice(first, end),
      count: end - first,
      images: cut(batch.images, 3 * pixels),
      labels: cut(batch.labels, batch.labels.length / count),
      ...(batch.segmentation ? { segmentation: cut(batch.segmentation, pixels) } : {}),
      ...(batch.saliency ? { saliency: cut(batch.saliency, pixels) } : {}),
    };
    const shares = {
      classification: share(end - first, count),
      saliency: share(covered(part), allCovered),
      segmentation: share(labelled(part), allLabelled),
    };
    return { batch: { batch: part, shares }, firstSample: first };
  });
}
