import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { createDenseCrfPool } from '@auxseg/crf';
import {
  createSyntheticDataset,
  createWorkerPool,
  type Dataset,
  openCocoDataset,
  openFolderDataset,
  openVocDataset,
} from '@auxseg/datasets';
import type { LabelMap } from '@auxseg/formats';
import { AuxSegNetError } from '../auxsegnet-error.js';
import type { Recipe } from '../recipe.js';
import type { PipelineContext, PipelineEvent } from './context.js';
import { openSaliencySource } from './open-saliency-source.js';
import type { RunDirectory } from './run-directory.js';

/** The data sets that a recipe names. */
export interface RecipeData {
  train: Dataset;
  val: Dataset;
  scoreIds: readonly string[];
  scoreTruth: ((id: string) => Promise<LabelMap>) | null;
}

/** Opens the data sets of a recipe; errors name the folder and what was expected in it. */
export async function openRecipeData(recipe: Recipe): Promise<RecipeData> {
  const { data } = recipe;
  if (data.kind === 'synthetic') {
    const { train, val, sizePx, seed } = data.synthetic ?? { train: 320, val: 80, sizePx: 96, seed: 7 };
    const trainSet = createSyntheticDataset({ count: train, size: sizePx, seed, split: 'train' });
    const valSet = createSyntheticDataset({ count: val, size: sizePx, seed, split: 'val' });
    return withTruth(trainSet, trainSet.ids, trainSet, valSet);
  }
  const root = data.root;
  if (root === undefined) {
    throw new AuxSegNetError(
      'MISSING_INPUT',
      `Expected the folder of the ${data.kind} data set: give --data DIR or data.root in the recipe.`,
    );
  }
  const open = (split: string): Promise<Dataset> => {
    switch (data.kind as 'voc' | 'folder' | 'coco') {
      case 'voc':
        return openVocDataset({ root, split, classes: data.classes });
      case 'folder':
        return openFolderDataset({ root, split, classes: data.classes });
      case 'coco':
        // The layout of the download: annotations/instances_train2014.json beside train2014/.
        return openCocoDataset({
          annotations: join(root, 'annotations', `instances_${split}.json`),
          images: join(root, split),
          classes: data.classes,
        });
    }
  };
  const [train, score, val] = [await open(data.train), await open(data.score), await open(data.val)];
  const known = new Set(train.ids);
  return withTruth(
    train,
    score.ids.filter((id) => known.has(id)),
    score,
    val,
  );
}

function withTruth(train: Dataset, scoreIds: readonly string[], score: Dataset, val: Dataset): RecipeData {
  const { truth } = score;
  return {
    train,
    val,
    scoreIds: truth ? scoreIds : [],
    scoreTruth: truth ? (id) => truth.call(score, id) : null,
  };
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
    scoreIds: data.scoreIds,
    scoreTruth: data.scoreTruth,
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
