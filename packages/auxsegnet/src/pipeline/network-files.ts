import { access } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { loadMobileNetV2Weights, loadResNet38Weights } from '@auxseg/backbone';
import type { Weights } from '@auxseg/formats';
import { AuxSegNetError } from '../auxsegnet-error.js';
import { type AuxSegNet, backboneFromConfig, createClassifier, createNetworkFromConfig } from '../network.js';
import type { NetworkConfig } from '../network-config.js';
import type { Branch, Recipe } from '../recipe.js';
import { decodeModel, loadTensors, parseWeightsMetadata, type WeightsMetadata } from '../weights.js';
import type { PipelineContext } from './context.js';
import { readTensorFile, readWeightsFile } from './tensor-file.js';

/** The recipe's network, or a branch's variant of it. */
export function networkConfigOf(recipe: Recipe, branch?: Branch): NetworkConfig {
  return branch?.affinity === undefined
    ? recipe.network
    : { ...recipe.network, affinity: { ...recipe.network.affinity, name: branch.affinity } };
}

/** The stage-0 classifier's network configuration: same backbone, its own output stride. */
export function classifierConfigOf(recipe: Recipe): NetworkConfig {
  return {
    ...recipe.network,
    backbone: {
      ...recipe.network.backbone,
      outputStride: recipe.classifier.outputStride ?? recipe.network.backbone.outputStride,
    },
  };
}

export function weightsMetadata(
  context: PipelineContext,
  network: NetworkConfig,
  kind: WeightsMetadata['kind'],
): WeightsMetadata {
  const { longSidePx } = context.recipe.data;
  return { network, classes: [...context.train.classes], kind, longSidePx };
}

/** A fresh classifier with the backbone's initial weights loaded. The caller disposes its model. */
export async function createInitialClassifier(context: PipelineContext): Promise<AuxSegNet> {
  const config = classifierConfigOf(context.recipe);
  const network = createClassifier({
    backbone: backboneFromConfig(config.backbone, context.recipe.seed),
    numClasses: context.train.classes.length,
    dropout: config.head.dropout,
    seed: context.recipe.seed,
  });
  await loadInitialBackbone(context, network, config);
  return network;
}

/** A fresh AuxSegNet with the backbone's initial weights loaded. The caller disposes its model. */
export async function createInitialNetwork(
  context: PipelineContext,
  config: NetworkConfig,
): Promise<AuxSegNet> {
  const network = createNetworkFromConfig(config, context.train.classes.length, context.recipe.seed);
  await loadInitialBackbone(context, network, config);
  return network;
}

/** The network that stage 1 and the branches beside it begin with, as the recipe's `warmStart` says. */
export async function createStartNetwork(
  context: PipelineContext,
  config: NetworkConfig,
): Promise<AuxSegNet> {
  const network = await createInitialNetwork(context, config);
  if (context.recipe.warmStart === 'classifier') {
    await loadNetworkFile(context, network, 'stage-0/classifier.safetensors', { partial: true });
  }
  return network;
}

/**
 * Loads weights that an earlier step wrote. With `partial`, weights that the network has and the file does not keep
 * their initial values and others are left out: a branch with another affinity module starts from the main run's.
 */
export async function loadNetworkFile(
  context: PipelineContext,
  network: AuxSegNet,
  file: string,
  { partial = false } = {},
): Promise<void> {
  const source = context.directory.path(file);
  const { tensors } = decodeModel(await context.directory.read(file), source);
  loadTensors(network.model, tensors, { strict: !partial, source });
}

/** Full configuration and weights of a file that this project wrote, wherever it is. */
export async function openNetworkFile(
  path: string,
): Promise<{ network: AuxSegNet; metadata: WeightsMetadata }> {
  return networkFromWeights(await readWeightsFile(path), path);
}

/** The same for a file that is read already; `path` is for messages. */
export function networkFromWeights(
  weights: Weights,
  path: string,
): { network: AuxSegNet; metadata: WeightsMetadata } {
  const metadata = parseWeightsMetadata(weights.metadata, path);
  if (metadata === null) {
    throw new AuxSegNetError(
      'BAD_WEIGHTS',
      `Expected ${path} to be written by auxseg (with the network's configuration in its metadata), got plain ${weights.format}; take a model.safetensors of a run, or load the authors' names with loadOfficialStateDict.`,
      { path },
    );
  }
  const network =
    metadata.kind === 'classifier'
      ? createClassifier({
          backbone: backboneFromConfig(metadata.network.backbone),
          numClasses: metadata.classes.length,
          dropout: metadata.network.head.dropout,
        })
      : createNetworkFromConfig(metadata.network, metadata.classes.length);
  loadTensors(network.model, weights.tensors, { source: path });
  return { network, metadata };
}

async function loadInitialBackbone(
  context: PipelineContext,
  network: AuxSegNet,
  config: NetworkConfig,
): Promise<void> {
  const file = config.backbone.weights;
  if (file === undefined) return;
  const path = await findFile(file, context.searchPaths);
  const tensors = await readTensorFile(path);
  switch (config.backbone.name) {
    case 'mobilenetv2':
      loadMobileNetV2Weights(network.model, tensors);
      break;
    case 'resnet38':
      loadResNet38Weights(network.model, tensors);
      break;
    case 'tiny':
      throw new AuxSegNetError(
        'BAD_RECIPE',
        `Expected no network.backbone.weights with the tiny backbone, which trains from nothing, got '${file}'.`,
      );
  }
}

/** First existing place of a file that a recipe names. */
export async function findFile(
  file: string,
  searchPaths: readonly string[],
  setting = 'network.backbone.weights',
): Promise<string> {
  const candidates = isAbsolute(file) ? [file] : searchPaths.map((folder) => join(folder, file));
  for (const candidate of candidates) {
    const found = await access(candidate).then(
      () => true,
      () => false,
    );
    if (found) return candidate;
  }
  throw new AuxSegNetError(
    'MISSING_INPUT',
    `Expected the recipe's file '${file}' in one of: ${candidates.join(', ')}. Put it there, or give its full path with --set ${setting}=PATH.`,
    { file, candidates },
  );
}
