import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type LabelMap, readIndexedPng } from '@auxseg/formats';
import {
  type ConfusionMatrix,
  createConfusionMatrix,
  createPseudoLabelScore,
  MetricsError,
  type PseudoLabelScore,
} from '@auxseg/metrics';
import { AuxSegNetError } from '../auxsegnet-error.js';

/** Where predictions are and what they are held against. */
export interface EvaluationInput {
  /** Folder of <id>.png, indexed. */
  predictions: string;
  ids: readonly string[];
  truth(id: string): Promise<LabelMap>;
  /** K + 1. */
  numClasses: number;
}

/** One confusion matrix per image, in the order of `ids`; summed they are the data set's. */
export async function confusionByImage(input: EvaluationInput): Promise<ConfusionMatrix[]> {
  if (input.ids.length === 0) {
    throw new AuxSegNetError('MISSING_INPUT', 'Expected at least one image to evaluate, got an empty list.');
  }
  const matrices: ConfusionMatrix[] = [];
  for (const id of input.ids) {
    const matrix = createConfusionMatrix(input.numClasses, { ignoreLabel: 255 });
    await addImage(matrix, input, id);
    matrices.push(matrix);
  }
  return matrices;
}

/** Sum of matrices. */
export function sumConfusion(matrices: readonly ConfusionMatrix[], numClasses: number): ConfusionMatrix {
  const total = createConfusionMatrix(numClasses, { ignoreLabel: 255 });
  for (const matrix of matrices) total.merge(matrix);
  return total;
}

/** One pseudo-label score per image, in the order of `ids`. */
export async function labelScoreByImage(input: EvaluationInput): Promise<PseudoLabelScore[]> {
  const scores: PseudoLabelScore[] = [];
  for (const id of input.ids) {
    const score = createPseudoLabelScore(input.numClasses);
    await addImage(score, input, id);
    scores.push(score);
  }
  return scores;
}

/** Precision, recall and mIoU of pseudo labels; pixels labelled 255 count as missed, not as wrong precision. */
export async function scorePseudoLabels(input: EvaluationInput) {
  const score = createPseudoLabelScore(input.numClasses);
  for (const id of input.ids) await addImage(score, input, id);
  return {
    precision: score.precision(),
    recall: score.recall(),
    meanIoU: score.meanIoU(),
    ignoredFraction: score.ignoredFraction(),
    perClassIoU: score.perClassIoU(),
  };
}

/** Adds one image; an error over its labels says which image. */
async function addImage(
  score: Pick<ConfusionMatrix, 'update'>,
  input: EvaluationInput,
  id: string,
): Promise<void> {
  const [prediction, truth] = await readPair(input, id);
  try {
    score.update(prediction.data, truth.data);
  } catch (cause) {
    if (!(cause instanceof MetricsError)) throw cause;
    throw new AuxSegNetError(
      'MISSING_INPUT',
      `Image ${id}, prediction ${predictionPath(input, id)}: ${cause.message}`,
      { id, ...cause.details },
    );
  }
}

const predictionPath = ({ predictions }: EvaluationInput, id: string) => join(predictions, `${id}.png`);

async function readPair(input: EvaluationInput, id: string): Promise<[LabelMap, LabelMap]> {
  const path = predictionPath(input, id);
  const bytes = await readFile(path).catch((cause) => {
    throw new AuxSegNetError(
      'MISSING_INPUT',
      `Expected a prediction for image ${id} at ${path}, got ${(cause as NodeJS.ErrnoException).code}; predict the whole list first.`,
      { id, path },
    );
  });
  let prediction: LabelMap;
  try {
    prediction = readIndexedPng(bytes);
  } catch (cause) {
    throw new AuxSegNetError(
      'MISSING_INPUT',
      `Expected an indexed PNG of the prediction at ${path}: ${(cause as Error).message}`,
      { id, path },
    );
  }
  const truth = await input.truth(id);
  if (prediction.width !== truth.width || prediction.height !== truth.height) {
    throw new AuxSegNetError(
      'MISSING_INPUT',
      `Expected the prediction of image ${id} to be ${truth.width}x${truth.height} like its mask, got ${prediction.width}x${prediction.height} in ${path}; predictions are scored at the image's own size.`,
      { id, path },
    );
  }
  return [prediction, truth];
}
