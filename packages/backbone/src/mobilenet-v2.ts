import { conv2d, depthwiseConv2d, layerSeed } from '@auxseg/runtime';
import * as tfl from '@tensorflow/tfjs-layers';
import { BackboneError } from './backbone-error.js';
import { type MobileNetV2Layer, mobileNetV2Layers } from './mobilenet-v2-layers.js';
import type { Backbone } from './types.js';

export interface MobileNetV2Options {
  /** Channel multiplier, > 0; channels are multiples of 8. The published ImageNet weights have 1. */
  width?: number;
  /** 8, 16 or 32 (default 16). */
  outputStride?: 8 | 16 | 32;
  /** First trainable block, e.g. `block_11`; default `Conv1` (all); `none` freezes the backbone. */
  trainableFrom?: string;
  /** Seed of the initial weights. Default 0. */
  seed?: number;
}

/**
 * MobileNetV2 with batch norm folded into its convolutions, as a function on symbolic tensors.
 *
 * Image [N,H,W,3], RGB x / 127.5 - 1 -> `features` [N,ceil(H/s),ceil(W/s),1280] (after `Conv_1`). Named maps: the output
 * of every layer by its Keras name (`block_13_expand`, `block_16_project`, ...) and of every block, shortcut included
 * (`block_1` ... `block_16`). Padding is TensorFlow's 'same', which at stride 2 puts the odd row and column last.
 *
 * @throws BackboneError `bad-option`
 * @see Sandler et al. 2018, "MobileNetV2", table 2; output stride as in Chen et al. 2017, "Rethinking Atrous Convolution"
 */
export function createMobileNetV2(options: MobileNetV2Options = {}): Backbone {
  const { width = 1, outputStride = 16, trainableFrom = 'Conv1', seed = 0 } = options;
  if (!(width > 0)) {
    throw new BackboneError('bad-option', `Expected a width above 0, for example 1 or 0.35; got ${width}.`, {
      width,
    });
  }
  if (outputStride !== 8 && outputStride !== 16 && outputStride !== 32) {
    throw new BackboneError('bad-option', `Expected an output stride of 8, 16 or 32; got ${outputStride}.`, {
      outputStride,
    });
  }
  const layers = mobileNetV2Layers(width, outputStride);
  const blocks = [...new Set(layers.map((layer) => layer.block))];
  const firstTrainable = trainableFrom === 'none' ? blocks.length : blocks.indexOf(trainableFrom);
  if (firstTrainable < 0) {
    throw new BackboneError(
      'bad-option',
      `Expected trainableFrom to be 'none' or a block of MobileNetV2 (${blocks.join(', ')}); got '${trainableFrom}'.`,
      { trainableFrom, blocks },
    );
  }

  return (image) => {
    const named: Record<string, tfl.SymbolicTensor> = {};
    let x = image;
    let blockInput = image;
    // Expected variance of the map between blocks at initialisation; every block adds or resets it.
    let variance = 1;
    layers.forEach((layer, index) => {
      const entersBlock = index === 0 || layers[index - 1]!.block !== layer.block;
      if (entersBlock) blockInput = x;
      const trainable = blocks.indexOf(layer.block) >= firstTrainable;
      const readsSum = entersBlock && layer.block !== 'expanded_conv';
      const gain = readsSum ? 1 / variance : 2;
      x = named[layer.name] = convolution(layer, gain, layerSeed(seed, layer.name), trainable).apply(
        x,
      ) as tfl.SymbolicTensor;
      if (layer.activation === 'linear') {
        variance = layer.residual ? variance + 1 : 1;
        if (layer.residual) {
          x = tfl.layers.add({ name: `${layer.block}_add` }).apply([blockInput, x]) as tfl.SymbolicTensor;
        }
        named[layer.block] = x;
      }
    });
    return { features: x, outputStride, named };
  };
}

function convolution(
  layer: MobileNetV2Layer,
  gain: number,
  seed: number,
  trainable: boolean,
): tfl.layers.Layer {
  // tfjs counts the channels of a depthwise kernel as inputs of each output: undo it.
  const scale = layer.kind === 'depthwise' ? gain * layer.channelsIn : gain;
  const kernelInitializer = tfl.initializers.varianceScaling({
    scale,
    mode: 'fanIn',
    distribution: 'uniform',
    seed,
  });
  const shared = {
    name: layer.name,
    kernelSize: layer.kernelSize,
    strides: layer.stride,
    dilation: layer.dilation,
    padding: 'same' as const,
    useBias: true,
    activation: layer.activation,
    trainable,
  };
  return layer.kind === 'depthwise'
    ? depthwiseConv2d({ ...shared, kernelInitializer })
    : conv2d({ ...shared, filters: layer.channelsOut, kernelInitializer });
}
