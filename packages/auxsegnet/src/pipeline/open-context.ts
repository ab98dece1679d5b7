import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { createDenseCrfPool } from '@auxseg/crf';
import {
  createSyntheticDataset,
  createWorkerPool,
  type Dataset,
  locateCocoSplit,
  openCocoDataset,
  openFolderDataset,
  openVocDataset,
} from '@auxseg/datasets';
import { AuxSegNetError } from '../auxsegnet-error.js';
import type { Recipe } from '../recipe.js';
import type { PipelineContext, PipelineEvent } from './context.js';
import { openSaliencySource } from './open-saliency-source.js';
import type { RunDirectory } from './run-directory.js';
import { type ScoredImages, scoredImages } from './scored-images.js';

/** The data sets that a recipe names. */
export interface RecipeData {
  train: Dataset;
  val: Dataset;
  /** Training images on which pseudo labels are scored. */
  scoredTrain: ScoredImages | null;
  scoredVal: ScoredImages | null;
}

/** Opens the data sets of a recipe; errors name the folder and what was expected in it. */
export async function openRecipeData(recipe: Recipe): Promise<RecipeData> {
  const { data } = recipe;
  if (data.kind === 'synthetic') {
    const { train, val, sizePx, seed } = data.synthetic ?? { train: 320, val: 80, sizePx: 96, seed: 7 };
    const trainSet = createSyntheticDataset({ count: train, size: sizePx, seed, split: 'train' });
    const valSet = createSyntheticDataset({ count: val, size: sizePx, seed, split: 'val' });
    return {
      train: trainSet,
      val: valSet,
      scoredTrain: scoredImages(trainSet),
      scoredVal: scoredImages(valSet),
    };
  }
  const root = data.root;
  if (root === undefined) {
    throw new AuxSegNetError(
      'MISSING_INPUT',
      `Expected the folder of the ${data.kind} data set: give --data DIR or data.root in the recipe.`,
    );
  }
  const open = async (split: string): Promise<Dataset> => {
    switch (data.kind as 'voc' | 'folder' | 'coco') {
      case 'voc':
        return openVocDataset({ root, split, classes: data.classes });
      case 'folder':
        return openFolderDataset({ root, split, classes: data.classes });
      case 'coco':
        return openCocoDataset({
          ...(await locateCocoSplit(root, split)),
          classes: data.classes,
          include: data.include,
        });
    }
  };
  const [train, score, val] = [await open(data.train), await open(data.score), await open(data.val)];
  const known = new Set(train.ids);
  const scoredTrain = scoredImages(
    score,
    score.ids.filter((id) => known.has(id)),
  );
  return { train, val, scoredTrain, scoredVal: scoredImages(val) };
}

/** The network feeds the CRF; it keeps no more workers busy, and each holds the scores of an image. */
const MOST_CRF_WORKERS = 8;

function crfWorkers(threads: number): number {
  return threads > 0 ? threads : Math.min(availableParallelism(), MOST_CRF_WORKERS);
}

/** Puts a run's context together. `close` frees what it holds. */
export function createContext(input: {
  recipe: Recipe;
  data: RecipeData;
  directory: RunDirectory;
  backend: string;
  /** The recipe's file, whose folder is searched for weights. */
  recipePath?: string;
  emit(event: PipelineEvent): void;
  signal?: AbortSignal;
}): PipelineContext & { close(): Promise<void> } {
  const { recipe, data } = input;
  const crf = createDenseCrfPool({ workers: crfWorkers(recipe.threads) });
  const dataWorkers = recipe.data.workers > 0 ? createWorkerPool(recipe.data.workers) : 0;
  const root = recipe.data.root;
  const searchPaths = [
    ...(input.recipePath ? [dirname(input.recipePath)] : []),
    ...(root
      ? [root, join(root, 'weights'), join(root, '..', 'weights'), join(root, '..', '..', 'weights')]
      : []),
    'weights',
    '.',
  ];
  const told = new Set<string>();
  const saliency = openSaliencySource(recipe.saliency, {
    dataset: data.train,
    root,
    searchPaths,
    longSidePx: recipe.data.longSidePx,
    onNotice: ({ kind, message }) => {
      // One line for each kind: a folder of a thousand small maps is one fact.
      if (!told.has(kind)) input.emit({ type: 'note', text: `${message} (said once)` });
      told.add(kind);
    },
  });
  return {
    recipe,
    directory: input.directory,
    backend: input.backend,
    searchPaths,
    train: data.train,
    val: data.val,
    scoredTrain: data.scoredTrain,
    scoredVal: data.scoredVal,
    saliency,
    crf,
    dataWorkers,
    emit: input.emit,
    signal: input.signal,
    async close() {
      await saliency.close?.();
      await crf.dispose();
      if (dataWorkers) await dataWorkers.close();
    },
  };
}
