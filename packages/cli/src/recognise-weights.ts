import {
  createNetworkFromConfig,
  type NetworkConfig,
  parseWeightsMetadata,
  presetOfBackbone,
  resolveRecipe,
} from '@auxseg/auxsegnet';
import { createResNet38, pyTorchNameOfMxnet, pyTorchPlace } from '@auxseg/backbone';
import type { TensorMap } from '@auxseg/formats';
import * as tfl from '@tensorflow/tfjs-layers';
import { describeOfficialTensors } from './official-weights.js';

/** Which network a weight file is of, and how its names compare with that network's. */
export interface RecognisedWeights {
  fits: string | null;
  /** Names that the network has and the file does not; empty when it fits none. */
  missing: string[];
  unexpected: string[];
}

/** Parameters that the authors' checkpoints carry and no forward pass uses, and counters of the batch normalisation. */
const carried = /^((seg|sal)_att\.(g|W_z\.\d+)\.|.*num_batches_tracked$)/;

/** Recognises a weight file by its names and shapes; loads nothing, but needs a backend to be set. */
export function recogniseWeights(
  tensors: TensorMap,
  metadata: Record<string, string>,
  source: string,
): RecognisedWeights {
  const nothing = { missing: [], unexpected: [] };
  const names = [...tensors.keys()].map((name) => name.replace(/^module\./, ''));
  const held = new Set(names);
  const own = parseWeightsMetadata(metadata, source);
  if (own !== null) {
    const preset = presetOfBackbone[own.network.backbone.name];
    const fits = `preset ${preset} (${own.kind} written by auxseg, ${own.classes.length} classes)`;
    return { fits, ...nothing };
  }
  if (tensors.has('Conv1/kernel'))
    return { fits: 'preset mobilenet (MobileNetV2, batch norm folded)', ...nothing };
  const official = resolveRecipe({ preset: 'official' }).network;
  const telling = ['fc8.weight', 'conv1a.weight', 'seg_conv1.weight'];
  const isConvolution = (name: string) =>
    (tensors.get(name) ?? tensors.get(`module.${name}`))?.shape.length === 4;
  if (telling.every((name) => held.has(name))) {
    if (!telling.every(isConvolution)) return { fits: null, ...nothing };
    const { numClasses, config } = describeOfficialTensors(tensors, official, source);
    const { width } = config.backbone;
    const affinity = config.affinity.name === 'cross-task' ? '' : `, affinity ${config.affinity.name}`;
    const expected = namesOf(createNetworkFromConfig(narrow(config), numClasses).model);
    return {
      fits: `preset official (ResNet-38, width ${width}, ${numClasses} classes${affinity})`,
      missing: expected.filter((name) => !held.has(name)),
      unexpected: names.filter((name) => !expected.includes(name) && !carried.test(name)),
    };
  }
  const translated = names.map((name) => pyTorchNameOfMxnet(name) ?? name);
  const stem = [...tensors].find(([name]) => /^(module\.)?conv1a[._]weight$|^arg:conv1a_weight$/.test(name));
  if (stem === undefined || !translated.some((name) => name === 'b2.conv_branch2a.weight')) {
    return { fits: null, ...nothing };
  }
  const width = stem[1].shape[0] / 64;
  const image = tfl.input({ shape: [null, null, 3] });
  const expected = namesOf(
    tfl.model({ inputs: image, outputs: createResNet38({ width: NARROW })(image).features }),
  );
  const fc8 = tensors.get('fc8.weight') ?? tensors.get('module.fc8.weight');
  const mxnet = translated.some((name, index) => name !== names[index]);
  const kind = fc8
    ? `a ResNet-38 classifier (width ${width}, ${fc8.shape[0]} outputs): classifier.weights of a recipe`
    : `initial weights of preset official (${mxnet ? 'MXNet ' : ''}ResNet-38, width ${width}): network.backbone.weights of a recipe`;
  return {
    fits: kind,
    missing: expected.filter((name) => !translated.includes(name)),
    unexpected: translated.filter(
      (name) =>
        !expected.includes(name) &&
        name !== 'fc8.weight' &&
        !carried.test(name) &&
        !name.startsWith('linear1000'),
    ),
  };
}

/** Names do not depend on the width, and a narrow network takes no memory. */
const NARROW = 1 / 64;

function narrow(config: NetworkConfig): NetworkConfig {
  return {
    ...config,
    backbone: { ...config.backbone, width: NARROW },
    head: { ...config.head, channels: 1 },
  };
}

function namesOf(model: tfl.LayersModel): string[] {
  const names = model.weights.map(
    (weight) => pyTorchPlace(weight.originalName, weight.shape as number[])?.name ?? weight.originalName,
  );
  model.dispose();
  return names;
}
