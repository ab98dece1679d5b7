import { type LabelMap, writeIndexedPng } from '@auxseg/formats';
import type { PipelineContext } from './context.js';
import { confusionByImage, sumConfusion } from './evaluate.js';
import type { RunDirectory } from './run-directory.js';

/** Writes a label map as an indexed PNG of 256 VOC colours. */
export async function writePrediction(directory: RunDirectory, file: string, map: LabelMap): Promise<void> {
  await directory.write(file, writeIndexedPng(map));
}

/** mIoU and IoU by class of one folder of validation predictions; null when the set has no masks. */
export async function scoreValidation(context: PipelineContext, folder: string) {
  const { val, scoredVal, directory } = context;
  if (scoredVal === null || !(await directory.has(folder))) return null;
  const numClasses = val.classes.length + 1;
  const matrices = await confusionByImage({
    predictions: directory.path(folder),
    ...scoredVal,
    numClasses,
  });
  const total = sumConfusion(matrices, numClasses);
  return { meanIoU: total.meanIoU(), perClassIoU: total.perClassIoU(), pixelAccuracy: total.pixelAccuracy() };
}

/** Scores of a stage or branch: `initial`, `refined`, and the last of them after the CRF. */
export async function scoreNetwork(context: PipelineContext, folder: string) {
  const scores: Record<string, Awaited<ReturnType<typeof scoreValidation>>> = {};
  for (const [key, name] of [
    ['initial', 'initial'],
    ['refined', 'refined'],
    ['initialCrf', 'initial-crf'],
    ['refinedCrf', 'refined-crf'],
  ]) {
    const score = await scoreValidation(context, `${folder}/${name}`);
    if (score) scores[key] = score;
  }
  return scores;
}
