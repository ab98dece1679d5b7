import { conv2d, layerSeed } from '@auxseg/runtime';
import * as tfl from '@tensorflow/tfjs-layers';
import { BackboneError } from './backbone-error.js';
import type { Backbone } from './types.js';

export interface TinyResNetOptions {
  /** Channel multiplier, > 0. Default 1: features of 96 channels, 0.3 M weights. */
  width?: number;
  /** Seed of the initial weights. Default 0. */
  seed?: number;
}

/** Residual blocks: name, channels at width 1, stride, dilation of both convolutions. */
export const tinyResNetBlocks = [
  { name: 't2', channels: 32, stride: 2, dilation: 1 },
  { name: 't3', channels: 64, stride: 1, dilation: 1 },
  { name: 't4', channels: 64, stride: 1, dilation: 2 },
  { name: 't5', channels: 96, stride: 1, dilation: 4 },
] as const;

/** Share of a residual branch in its block's output at initialisation; small, since nothing normalises the sum. */
const branchVariance = 0.25;

/**
 * A residual network of nine 3x3 convolutions at output stride 4, small enough to train from nothing in minutes: the
 * demo's backbone, not a published one.
 *
 * Image [N,H,W,3], ImageNet-normalised -> `features` [N,ceil(H/4),ceil(W/4),96*width]; every cell sees 67x67 pixels and
 * more. Named maps: every block's output. No batch norm; initial weights keep variances near 1 instead.
 *
 * @throws BackboneError `bad-option`
 */
export function createTinyResNet(options: TinyResNetOptions = {}): Backbone {
  const { width = 1, seed = 0 } = options;
  if (!(width > 0)) {
    throw new BackboneError('bad-option', `Expected a width above 0, for example 1 or 0.5; got ${width}.`, {
      width,
    });
  }
  const convolve = (x: tfl.SymbolicTensor, name: string, settings: Settings) => {
    const { filters, kernelSize, strides = 1, dilation = 1, gain, activation = 'linear' } = settings;
    return conv2d({
      name,
      filters: Math.max(1, Math.round(filters * width)),
      kernelSize,
      strides,
      dilation,
      activation,
      kernelInitializer: tfl.initializers.varianceScaling({
        scale: gain,
        mode: 'fanIn',
        distribution: 'uniform',
        seed: layerSeed(seed, name),
      }),
    }).apply(x) as tfl.SymbolicTensor;
  };
  return (image) => {
    const named: Record<string, tfl.SymbolicTensor> = {};
    let x = convolve(image, 't1', { filters: 16, kernelSize: 3, strides: 2, gain: 2, activation: 'relu' });
    let meanSquare = 1;
    for (const { name, channels, stride, dilation } of tinyResNetBlocks) {
      const shape = { filters: channels, kernelSize: 3 as const, dilation };
      const hidden = convolve(x, `${name}.a`, {
        ...shape,
        strides: stride,
        gain: 2 / meanSquare,
        activation: 'relu',
      });
      const branch = convolve(hidden, `${name}.b`, { ...shape, gain: branchVariance });
      const reshapes = stride !== 1 || x.shape[3] !== branch.shape[3];
      const shortcut = reshapes
        ? convolve(x, `${name}.shortcut`, {
            filters: channels,
            kernelSize: 1,
            strides: stride,
            gain: 1 / meanSquare,
          })
        : x;
      const sum = tfl.layers.add({ name: `${name}.add` }).apply([shortcut, branch]);
      x = named[name] = tfl.layers.activation({ name, activation: 'relu' }).apply(sum) as tfl.SymbolicTensor;
      meanSquare = reshapes ? (1 + branchVariance) / 2 : meanSquare + branchVariance;
    }
    return { features: x, outputStride: 4, named };
  };
}

interface Settings {
  filters: number;
  kernelSize: 1 | 3;
  strides?: number;
  dilation?: number;
  /** Variance of the output when the input's mean square is 1. */
  gain: number;
  activation?: 'linear' | 'relu';
}
