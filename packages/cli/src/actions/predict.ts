import { access, mkdir, readdir, readFile } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import {
  type AuxSegNet,
  argmaxLabels,
  type NetworkConfig,
  type PresetName,
  predictSegmentation,
  presetOfBackbone,
  type Recipe,
  resolveRecipe,
} from '@auxseg/auxsegnet';
import { networkFromWeights, readWeightsFile, refineWithCrf, storageError } from '@auxseg/auxsegnet/pipeline';
import { createDenseCrfPool } from '@auxseg/crf';
import { isImageName, mapConcurrently, parseList, readImage } from '@auxseg/datasets';
import { writeIndexedPng } from '@auxseg/formats';
import { useBackend } from '@auxseg/runtime';
import { CliUsageError } from '../cli-error.js';
import { describeLoadReport, networkFromOfficialTensors } from '../official-weights.js';
import { createTerminal } from '../terminal.js';
import { writeOutput } from '../write-output.js';

/** Options of `auxseg predict`. */
export interface PredictCommandOptions {
  weights: string;
  images: string;
  out: string;
  list?: string;
  preset: PresetName;
  scales: string;
  flip?: boolean;
  crf?: boolean;
  longSide?: number;
  head: 'initial' | 'refined';
  strict: boolean;
  backend?: string;
  json?: boolean;
}

/** Predicts a folder of images. */
export async function predict(options: PredictCommandOptions, signal: AbortSignal): Promise<void> {
  const terminal = createTerminal({ json: options.json === true });
  const scales = options.scales.split(',').map(Number);
  if (scales.length === 0 || scales.some((scale) => !(scale > 0))) {
    throw new CliUsageError(
      `Expected --scales to be positive numbers such as 0.5,1,1.5, got '${options.scales}'.`,
    );
  }
  const files = await listImages(options.images, options.list);
  const backend = await useBackend((options.backend ?? 'auto') as 'auto');
  terminal.note(`backend ${backend.name}: ${backend.reason}`);
  const { network, config, recipe, trainedLongSidePx, leftOut } = await openWeights(options);
  if (leftOut) terminal.note(leftOut);
  const longSidePx = options.longSide ?? trainedLongSidePx ?? recipe.data.longSidePx;
  await mkdir(options.out, { recursive: true }).catch((cause) => {
    throw storageError(options.out, cause);
  });
  const crf = options.crf ? createDenseCrfPool() : null;
  const started = performance.now();
  let done = 0;
  let skipped = 0;
  try {
    // The network looks at one image while the CRF's workers have others.
    await mapConcurrently(files, 1 + (crf?.workers ?? 1), async (file) => {
      signal.throwIfAborted();
      const id = basename(file, extname(file));
      const target = join(options.out, `${id}.png`);
      if (await exists(target)) skipped++;
      else {
        const image = await readImage(file);
        const scores = predictSegmentation(network, image, {
          normalization: config.normalization,
          longSidePx,
          scales,
          flip: options.flip,
          head: options.head,
        });
        const map = crf ? await refineWithCrf(crf, scores, image, recipe) : argmaxLabels(scores);
        await writeOutput(target, writeIndexedPng(map), { syncFolder: false });
        done++;
      }
      const rate = (performance.now() - started) / 1000 / Math.max(1, done);
      terminal.progress('predict', done + skipped, files.length, rate * (files.length - done - skipped));
    });
  } finally {
    await crf?.dispose();
  }
  const seconds = (performance.now() - started) / 1000;
  terminal.printJson({ images: files.length, predicted: done, skipped, seconds, out: options.out });
  terminal.print(
    `${done} predictions in ${options.out}${skipped ? ` (${skipped} were there)` : ''}, ${(seconds / Math.max(1, done)).toFixed(2)} s an image`,
  );
}

/** Our own files say what they are, whatever their name; others take the preset. */
async function openWeights({ weights: path, preset, strict }: PredictCommandOptions): Promise<{
  network: AuxSegNet;
  config: NetworkConfig;
  recipe: Recipe;
  trainedLongSidePx?: number;
  leftOut?: string | null;
}> {
  const weights = await readWeightsFile(path);
  if (weights.metadata['format'] === 'auxseg') {
    const { network, metadata } = networkFromWeights(weights, path);
    return {
      network,
      config: metadata.network,
      recipe: resolveRecipe({ preset: presetOfBackbone[metadata.network.backbone.name] }),
      trainedLongSidePx: metadata.longSidePx,
    };
  }
  const recipe = resolveRecipe({ preset });
  const backbone = recipe.network.backbone.name;
  if (backbone !== 'resnet38') {
    throw new CliUsageError(
      `Expected --preset official or paper for ${path}, which does not say what network it is of and is read as the authors' ResNet-38; got --preset ${preset}, whose backbone is ${backbone}.`,
    );
  }
  const made = networkFromOfficialTensors(weights.tensors, recipe.network, { source: path, strict });
  return { ...made, recipe, leftOut: describeLoadReport(made.report) };
}

async function listImages(folder: string, list?: string): Promise<string[]> {
  const names = await readdir(folder).catch((cause) => {
    throw new CliUsageError(
      `Expected a folder of images at ${folder}, got ${(cause as NodeJS.ErrnoException).code}.`,
    );
  });
  const images = names.filter(isImageName).sort();
  const byId = new Map<string, string>();
  for (const name of images) {
    const id = basename(name, extname(name));
    const other = byId.get(id);
    if (other !== undefined)
      throw new CliUsageError(
        `Expected one image of each name in ${folder}, got ${basename(other)} and ${name}: both predictions would be ${id}.png. Rename one of them or take it away.`,
      );
    byId.set(id, join(folder, name));
  }
  if (list === undefined) {
    if (images.length === 0)
      throw new CliUsageError(`Expected .jpg, .png or .webp files in ${folder}, found none.`);
    return [...byId.values()];
  }
  const text = await readFile(list, 'utf8').catch((cause) => {
    throw new CliUsageError(
      `Expected a list of ids at ${list}, got ${(cause as NodeJS.ErrnoException).code}.`,
    );
  });
  return parseList(text, list).map(({ id }) => {
    const found = byId.get(id);
    if (!found)
      throw new CliUsageError(`Expected an image of '${id}' (from ${list}) in ${folder}, found none.`);
    return found;
  });
}

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );
