import { channelDropout, conv2d, frozenBatchNorm, layerSeed } from '@auxseg/runtime';
import * as tfl from '@tensorflow/tfjs-layers';
import { BackboneError } from './backbone-error.js';
import { type BasicBlock, type BottleneckBlock, resNet38Blocks } from './resnet38-blocks.js';
import type { Backbone } from './types.js';

export interface ResNet38Options {
  /** Channel multiplier, > 0; channels are rounded, never below 1. 1 is the published network (105 M weights). */
  width?: number;
  /** Channel dropout inside b6 (0.3) and b7 (0.5), active in training only. Default true. */
  dropout?: boolean;
  /** First trainable block, e.g. `b3`; `conv1a` and batch norm are never trained. Default `b2`; `none` freezes all. */
  trainableFrom?: string;
  /** Seed of the initial weights. Default 0. */
  seed?: number;
}

/**
 * ResNet-38 at output stride 8, as a function on symbolic tensors.
 *
 * Image [N,H,W,3], RGB / 255 normalised by ImageNet mean and deviation -> `features` [N,ceil(H/8),ceil(W/8),4096*width].
 * Named maps: `conv4` (pre-activation inside b5, 512*width channels), `conv5` (inside b6, 1024*width), `conv6`
 * (= features), and the output of every block (`b2` ... `b7`). Layers carry the authors' PyTorch module paths.
 *
 * The initial weights keep the variance of each block's output near 1 without batch statistics, since batch norm is
 * frozen and starts as the identity; load ImageNet weights for anything but small experiments.
 *
 * @throws BackboneError `bad-option`
 * @see method.md 2.1 (Xu et al. 2021; Wu et al. 2016, "Wider or Deeper")
 */
export function createResNet38(options: ResNet38Options = {}): Backbone {
  const { width = 1, dropout = true, trainableFrom = 'b2', seed = 0 } = options;
  if (!(width > 0)) {
    throw new BackboneError('bad-option', `Expected a width above 0, for example 1 or 1/16; got ${width}.`, {
      width,
    });
  }
  const blockNames = resNet38Blocks.map((block) => block.name);
  const firstTrainable = trainableFrom === 'none' ? blockNames.length : blockNames.indexOf(trainableFrom);
  if (firstTrainable < 0) {
    throw new BackboneError(
      'bad-option',
      `Expected trainableFrom to be 'none' or a block of ResNet-38 (${blockNames.join(', ')}); got '${trainableFrom}'.`,
      { trainableFrom, blocks: blockNames },
    );
  }

  return (image) => {
    const context: Context = {
      channels: (count) => Math.max(1, Math.round(count * width)),
      dropout,
      seed,
      trainable: false,
    };
    const named: Record<string, tfl.SymbolicTensor> = {};
    let x = convolution(context, image, {
      name: 'conv1a',
      filters: 64,
      kernelSize: 3,
      inputVariance: 1,
      rectified: false,
    });
    let variance = 1;
    resNet38Blocks.forEach((block, index) => {
      context.trainable = index >= firstTrainable;
      const result =
        block.kind === 'basic'
          ? basicBlock(context, x, block, variance)
          : bottleneck(context, x, block, variance);
      if (block.name === 'b5') named['conv4'] = result.preActivation;
      if (block.name === 'b6') named['conv5'] = result.preActivation;
      x = named[block.name] = result.output;
      variance = result.variance;
    });
    const features = normalized(x, 'bn7');
    named['conv6'] = features;
    return { features, outputStride: 8, named };
  };
}

interface Context {
  channels: (atWidthOne: number) => number;
  dropout: boolean;
  seed: number;
  trainable: boolean;
}

interface BlockResult {
  output: tfl.SymbolicTensor;
  /** relu(bn_branch2a(input)), what both branches read. */
  preActivation: tfl.SymbolicTensor;
  /** Expected variance of `output` at initialisation, for the next block's initial weights. */
  variance: number;
}

function basicBlock(
  context: Context,
  input: tfl.SymbolicTensor,
  block: BasicBlock,
  variance: number,
): BlockResult {
  const { name, channelsMid, channelsOut, stride, dilations } = block;
  const preActivation = normalized(input, `${name}.bn_branch2a`);
  const entering = { inputVariance: variance, rectified: true, strides: stride };
  let branch = convolution(context, preActivation, {
    ...entering,
    name: `${name}.conv_branch2a`,
    filters: channelsMid,
    kernelSize: 3,
    dilation: dilations[0],
  });
  branch = normalized(branch, `${name}.bn_branch2b1`);
  branch = convolution(context, branch, {
    name: `${name}.conv_branch2b1`,
    filters: channelsOut,
    kernelSize: 3,
    dilation: dilations[1],
    inputVariance: 1,
    rectified: true,
  });
  const sameShape = block.channelsIn === channelsOut && stride === 1;
  const shortcut = sameShape
    ? input
    : convolution(context, preActivation, {
        ...entering,
        name: `${name}.conv_branch1`,
        filters: channelsOut,
        kernelSize: 1,
      });
  return { output: sum(name, shortcut, branch), preActivation, variance: (sameShape ? variance : 1) + 1 };
}

function bottleneck(
  context: Context,
  input: tfl.SymbolicTensor,
  block: BottleneckBlock,
  variance: number,
): BlockResult {
  const { name, channelsOut, dilation, dropoutRate } = block;
  const drop = (x: tfl.SymbolicTensor, unit: string) =>
    context.dropout
      ? (channelDropout({ name: `${name}.${unit}`, rate: dropoutRate }).apply(x) as tfl.SymbolicTensor)
      : x;
  const preActivation = normalized(input, `${name}.bn_branch2a`);
  const entering = { inputVariance: variance, rectified: true, kernelSize: 1 };
  let branch = convolution(context, preActivation, {
    ...entering,
    name: `${name}.conv_branch2a`,
    filters: channelsOut / 4,
  });
  branch = drop(normalized(branch, `${name}.bn_branch2b1`), 'dropout_2b1');
  branch = convolution(context, branch, {
    name: `${name}.conv_branch2b1`,
    filters: channelsOut / 2,
    kernelSize: 3,
    dilation,
    inputVariance: 1,
    rectified: true,
  });
  branch = drop(normalized(branch, `${name}.bn_branch2b2`), 'dropout_2b2');
  branch = convolution(context, branch, {
    name: `${name}.conv_branch2b2`,
    filters: channelsOut,
    kernelSize: 1,
    inputVariance: 1,
    rectified: true,
  });
  const shortcut = convolution(context, preActivation, {
    ...entering,
    name: `${name}.conv_branch1`,
    filters: channelsOut,
  });
  return { output: sum(name, shortcut, branch), preActivation, variance: 2 };
}

interface Convolution {
  name: string;
  /** Channels at width 1. */
  filters: number;
  kernelSize: number;
  strides?: number;
  dilation?: number;
  /** Variance that the input, or what it was before its ReLU, has at initialisation. */
  inputVariance: number;
  /** The input has been through a ReLU, which halves its mean square. */
  rectified: boolean;
}

function convolution(
  context: Context,
  input: tfl.SymbolicTensor,
  { name, filters, inputVariance, rectified, ...geometry }: Convolution,
): tfl.SymbolicTensor {
  return conv2d({
    ...geometry,
    name,
    filters: context.channels(filters),
    padding: 'symmetric',
    useBias: false,
    kernelInitializer: tfl.initializers.varianceScaling({
      scale: (rectified ? 2 : 1) / inputVariance,
      mode: 'fanIn',
      distribution: 'uniform',
      seed: layerSeed(context.seed, name),
    }),
    trainable: context.trainable,
  }).apply(input) as tfl.SymbolicTensor;
}

function normalized(x: tfl.SymbolicTensor, name: string): tfl.SymbolicTensor {
  return frozenBatchNorm({ name, activation: 'relu' }).apply(x) as tfl.SymbolicTensor;
}

function sum(name: string, shortcut: tfl.SymbolicTensor, branch: tfl.SymbolicTensor): tfl.SymbolicTensor {
  return tfl.layers.add({ name: `${name}.add` }).apply([shortcut, branch]) as tfl.SymbolicTensor;
}
