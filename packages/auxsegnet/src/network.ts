import { type AffinityModule, affinityModules } from '@auxseg/affinity';
import { type Backbone, createMobileNetV2, createResNet38, createTinyResNet } from '@auxseg/backbone';
import { createClassificationHead, createPixelHead } from '@auxseg/heads';
import { applyAffinity } from '@auxseg/runtime';
import type * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { AuxSegNetError } from './auxsegnet-error.js';
import type { NetworkConfig } from './network-config.js';

/** Names of the model's outputs, in order. `affinity` is absent when the affinity module makes none. */
export const outputNames = [
  'classification',
  'cam',
  'initialSaliency',
  'refinedSaliency',
  'initialSegmentation',
  'refinedSegmentation',
  'affinity',
] as const;
export type OutputName = (typeof outputNames)[number];

export interface AuxSegNetOptions {
  backbone: Backbone;
  affinity: AffinityModule;
  /** Foreground classes K; the segmentation has K + 1 channels with background first. */
  numClasses: number;
  head?: Partial<NetworkConfig['head']>;
  /** Seed of the heads' initial weights. */
  seed?: number;
}

/** The assembled network; the caller owns `model` and disposes it. */
export interface AuxSegNet {
  model: tfl.LayersModel;
  numClasses: number;
  outputStride: number;
  /** Which of the outputs this network has. */
  outputs: readonly OutputName[];
  /** Layers that end the backbone's blocks: between them activations may be recomputed, see `forwardForTraining`. */
  blockEnds: readonly string[];
}

/** How our backbones name their blocks among their maps: b4_2, block_13, t3. */
const BLOCK_NAME = /^(b|t|block_)\d+(_\d+)?$/;

/** The last layers of a backbone's blocks; of all its named maps where none is named like a block. */
function blockEndsOf({ named }: ReturnType<Backbone>): string[] {
  const names = Object.keys(named);
  const blocks = names.filter((name) => BLOCK_NAME.test(name));
  const chosen = blocks.length > 0 ? blocks : names;
  return [...new Set(chosen.map((name) => named[name].sourceLayer.name))];
}

const linear = (name: string) => tfl.layers.activation({ activation: 'linear', name });

/**
 * Assembles AuxSegNet (method of Xu et al., ICCV 2021, section 3): backbone, three heads, affinity, refinement.
 *
 * Input [N,H,W,3], normalised; any H and W. Outputs, at h = ceil(H / outputStride): `classification` [N,K] logits,
 * `cam` [N,h,w,K] (fc8 applied to the feature map, not yet rectified), `initialSaliency`, `refinedSaliency` [N,h,w,1]
 * logits, `initialSegmentation`, `refinedSegmentation` [N,h,w,K+1] logits, `affinity` [N,hw,hw].
 */
export function createAuxSegNet({
  backbone,
  affinity,
  numClasses,
  head = {},
  seed = 0,
}: AuxSegNetOptions): AuxSegNet {
  if (!Number.isInteger(numClasses) || numClasses < 1) {
    throw new AuxSegNetError(
      'UNKNOWN_NAME',
      `Expected numClasses to be a whole number >= 1, got ${numClasses}.`,
      {
        numClasses,
      },
    );
  }
  const image = tfl.input({ shape: [null, null, 3], name: 'image' });
  const maps = backbone(image);
  const headFeatures = pickFeatures(maps, head.features ?? '');
  const pixelOptions = {
    channels: head.channels ?? 128,
    dilations: head.dilations ?? ([6, 12, 18] as [number, number, number]),
    seed,
  };

  const { logits, cam } = createClassificationHead({ numClasses, dropout: head.dropout ?? 0.5, seed })(
    maps.features,
  );
  const segHead = createPixelHead({ task: 'seg', outputs: numClasses + 1, ...pixelOptions });
  const salHead = createPixelHead({ task: 'sal', outputs: 1, ...pixelOptions });
  const enhanced = affinity({ seg: segHead.before(headFeatures), sal: salHead.before(headFeatures) });
  const initialSeg = segHead.after(enhanced.seg);
  const initialSal = salHead.after(enhanced.sal);
  // Refinement acts on logits and the affinity is not transposed (method facts, 2.3).
  const refine = (name: string, x: tfl.SymbolicTensor) =>
    enhanced.affinity === null
      ? x
      : (applyAffinity({ name }).apply([enhanced.affinity, x]) as tfl.SymbolicTensor);

  const named: Partial<Record<OutputName, tfl.SymbolicTensor>> = {
    classification: logits,
    cam,
    initialSaliency: initialSal,
    refinedSaliency: refine('refine_sal', initialSal),
    initialSegmentation: initialSeg,
    refinedSegmentation: refine('refine_seg', initialSeg),
    ...(enhanced.affinity === null ? {} : { affinity: enhanced.affinity }),
  };
  const outputs = outputNames.filter((name) => named[name] !== undefined);
  const model = tfl.model({
    name: 'auxsegnet',
    inputs: image,
    outputs: outputs.map((name) => linear(name).apply(named[name]!) as tfl.SymbolicTensor),
  });
  return { model, numClasses, outputStride: maps.outputStride, outputs, blockEnds: blockEndsOf(maps) };
}

/** The single-task classifier of stage 0: outputs `classification` [N,K] and `cam` [N,h,w,K]. */
export function createClassifier(options: {
  backbone: Backbone;
  numClasses: number;
  dropout?: number;
  seed?: number;
}): AuxSegNet {
  const image = tfl.input({ shape: [null, null, 3], name: 'image' });
  const maps = options.backbone(image);
  const { logits, cam } = createClassificationHead({
    numClasses: options.numClasses,
    dropout: options.dropout ?? 0.5,
    seed: options.seed ?? 0,
  })(maps.features);
  const model = tfl.model({
    name: 'classifier',
    inputs: image,
    outputs: [linear('classification').apply(logits), linear('cam').apply(cam)] as tfl.SymbolicTensor[],
  });
  return {
    model,
    numClasses: options.numClasses,
    outputStride: maps.outputStride,
    outputs: ['classification', 'cam'],
    blockEnds: blockEndsOf(maps),
  };
}

/**
 * Backbone by its recipe entry.
 *
 * @throws AuxSegNetError BAD_RECIPE for an output stride, or a first trainable group, that the backbone does not offer
 */
export function backboneFromConfig(config: NetworkConfig['backbone'], seed = 0): Backbone {
  const { name, width, outputStride, trainableFrom, dropout } = config;
  const refuse = (setting: string, offered: string, got: unknown): never => {
    throw new AuxSegNetError(
      'BAD_RECIPE',
      `Expected ${setting} of the ${name} backbone to be ${offered}, got ${got}; correct network.backbone.${setting} or leave it out.`,
      { name, [setting]: got },
    );
  };
  switch (name) {
    case 'resnet38':
      if ((outputStride ?? 8) !== 8) refuse('outputStride', '8', outputStride);
      return createResNet38({ width, dropout, trainableFrom, seed });
    case 'mobilenetv2':
      return createMobileNetV2({
        width,
        outputStride: (outputStride ?? 8) as 8 | 16 | 32,
        trainableFrom,
        seed,
      });
    case 'tiny':
      if ((outputStride ?? 4) !== 4) refuse('outputStride', '4', outputStride);
      if (trainableFrom !== undefined)
        refuse('trainableFrom', 'left out: all of it is trained', trainableFrom);
      return createTinyResNet({ width, seed });
  }
}

/** Affinity module by its recipe entry. */
export function affinityFromConfig(config: NetworkConfig['affinity'], seed = 0): AffinityModule {
  const create = affinityModules[config.name];
  return create({ zeroInit: config.zeroInit, scale: config.scaled ? 'sqrt' : 'none', seed });
}

/** The whole network from its recipe section. */
export function createNetworkFromConfig(config: NetworkConfig, numClasses: number, seed = 0): AuxSegNet {
  return createAuxSegNet({
    backbone: backboneFromConfig(config.backbone, seed),
    affinity: affinityFromConfig(config.affinity, seed),
    numClasses,
    head: config.head,
    seed,
  });
}

/** Runs the network in inference mode; returns the asked outputs by name. The caller disposes them. */
export function runNetwork<N extends OutputName>(
  network: AuxSegNet,
  images: tf.Tensor4D,
  names: readonly N[],
): Record<N, tf.Tensor> {
  const outputs = network.model.predict(images) as tf.Tensor | tf.Tensor[];
  const list = Array.isArray(outputs) ? outputs : [outputs];
  const result = {} as Record<N, tf.Tensor>;
  network.outputs.forEach((name, index) => {
    if ((names as readonly string[]).includes(name)) result[name as N] = list[index];
    else list[index].dispose();
  });
  return result;
}

function pickFeatures(
  maps: { features: tfl.SymbolicTensor; named: Record<string, tfl.SymbolicTensor> },
  name: string,
): tfl.SymbolicTensor {
  if (name === '') return maps.features;
  const found = maps.named[name];
  if (found === undefined) {
    throw new AuxSegNetError(
      'UNKNOWN_NAME',
      `Expected head.features to be one of the backbone's named maps (${Object.keys(maps.named).join(', ')}), got '${name}'.`,
      { name },
    );
  }
  return found;
}
