import type * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { RuntimeError } from '../errors.js';
import { convGeometry, explicitPads } from '../gradients/conv-geometry.js';
import type { Activation } from '../ops/activation.js';
import { convolution } from '../ops/convolution.js';
import {
  type Initializer,
  type InitializerLike,
  resolveInitializer,
  serializeInitializer,
} from './initializers.js';

/** A number for both axes, or [vertical, horizontal]. */
export type Size2D = number | [number, number];

/** Options that both convolution layers share. */
export interface ConvolutionLayerOptions {
  name?: string;
  /** Pixels, odd when padding is symmetric. */
  kernelSize: Size2D;
  /** Default 1. */
  strides?: Size2D;
  /** Default 1. */
  dilation?: Size2D;
  /** `symmetric` pads dilation*(k-1)/2 on every side, as PyTorch does; `same` and `valid` are TensorFlow's. Default `symmetric`. */
  padding?: 'symmetric' | 'same' | 'valid';
  /** Default true. */
  useBias?: boolean;
  /** Default `linear`. */
  activation?: Activation;
  /** Default `heNormal`. */
  kernelInitializer?: InitializerLike;
  /** Default `zeros`. */
  biasInitializer?: InitializerLike;
  /** Default true. */
  trainable?: boolean;
}

/** Options of {@link conv2d}. */
export interface Conv2DOptions extends ConvolutionLayerOptions {
  /** Output channels. */
  filters: number;
}

/** Options of {@link depthwiseConv2d}. */
export interface DepthwiseConv2DOptions extends ConvolutionLayerOptions {
  /** Output channels per input channel. Default 1. */
  depthMultiplier?: number;
}

const toPair = (value: Size2D): [number, number] =>
  typeof value === 'number' ? [value, value] : [value[0], value[1]];

const activations: readonly string[] = ['linear', 'relu', 'relu6'];

/** What conv2d and depthwiseConv2d have in common: geometry, bias, activation, configuration. */
abstract class SymmetricConvolution extends tfl.layers.Layer {
  protected readonly kernelSize: [number, number];
  protected readonly strides: [number, number];
  protected readonly dilation: [number, number];
  protected readonly padding: 'symmetric' | 'same' | 'valid';
  protected readonly useBias: boolean;
  protected readonly activation: Activation;
  protected readonly kernelInitializer: Initializer;
  protected readonly biasInitializer: Initializer;
  protected kernel: tfl.LayerVariable | null = null;
  protected bias: tfl.LayerVariable | null = null;

  protected abstract readonly depthwise: boolean;
  protected abstract readonly kernelName: string;

  constructor(options: ConvolutionLayerOptions) {
    super({ ...options });
    this.kernelSize = toPair(options.kernelSize);
    this.strides = toPair(options.strides ?? 1);
    this.dilation = toPair(options.dilation ?? 1);
    this.padding = options.padding ?? 'symmetric';
    this.useBias = options.useBias ?? true;
    this.activation = options.activation ?? 'linear';
    this.kernelInitializer = resolveInitializer(options.kernelInitializer ?? 'heNormal');
    this.biasInitializer = resolveInitializer(options.biasInitializer ?? 'zeros');
    this.checkOptions();
  }

  private checkOptions(): void {
    const where = `layer "${this.name}"`;
    const positive = { kernelSize: this.kernelSize, strides: this.strides, dilation: this.dilation };
    for (const [option, value] of Object.entries(positive)) {
      if (!value.every((size) => Number.isInteger(size) && size > 0)) {
        throw new RuntimeError(
          'bad-layer-option',
          `Expected ${option} of ${where} to be positive integers, got ${JSON.stringify(value)}.`,
          { layer: this.name, option, value },
        );
      }
    }
    if (!['symmetric', 'same', 'valid'].includes(this.padding)) {
      throw new RuntimeError(
        'bad-layer-option',
        `Expected padding of ${where} to be symmetric, same or valid, got ${JSON.stringify(this.padding)}.`,
        { layer: this.name, option: 'padding', value: this.padding },
      );
    }
    if (!activations.includes(this.activation)) {
      throw new RuntimeError(
        'bad-layer-option',
        `Expected activation of ${where} to be one of ${activations.join(', ')}, got ${JSON.stringify(this.activation)}; ` +
          'apply any other activation as a layer of its own.',
        { layer: this.name, option: 'activation', value: this.activation },
      );
    }
    if (
      this.padding === 'symmetric' &&
      this.kernelSize.some((size, i) => ((size - 1) * this.dilation[i]) % 2 !== 0)
    ) {
      throw new RuntimeError(
        'bad-layer-option',
        `Symmetric padding needs dilation*(kernelSize-1) to be even, got kernelSize ${JSON.stringify(this.kernelSize)} ` +
          `and dilation ${JSON.stringify(this.dilation)} in ${where}; use an odd kernel, or padding "same" or "valid".`,
        { layer: this.name, kernelSize: this.kernelSize, dilation: this.dilation },
      );
    }
  }

  /** Padding in a form that tfjs's shape arithmetic reads. */
  private pad() {
    if (this.padding !== 'symmetric') return this.padding;
    const [v, h] = this.kernelSize.map((size, i) => (this.dilation[i] * (size - 1)) / 2);
    return explicitPads([v, v, h, h]);
  }

  protected buildWeights(kernelShape: number[], channels: number): void {
    this.kernel = this.addWeight(this.kernelName, kernelShape, 'float32', this.kernelInitializer);
    if (this.useBias) this.bias = this.addWeight('bias', [channels], 'float32', this.biasInitializer);
    // A layer built frozen has frozen variables too, so that tf.variableGrads without a list leaves them out.
    for (const weight of [this.kernel, this.bias]) {
      if (weight != null) (weight as unknown as { trainable: boolean }).trainable = this.trainable;
    }
    this.built = true;
  }

  protected inputChannels(inputShape: tfl.Shape | tfl.Shape[]): number {
    const shape = (Array.isArray(inputShape[0]) ? inputShape[0] : inputShape) as tfl.Shape;
    const channels = shape[3];
    if (shape.length !== 4 || channels == null) {
      throw new RuntimeError(
        'bad-layer-input',
        `Expected the input of layer "${this.name}" to be [N,H,W,C] with a known C, got [${shape.join(',')}].`,
        { layer: this.name, shape },
      );
    }
    return channels;
  }

  protected outputSize(size: number | null, axis: 0 | 1): number | null {
    if (size == null) return null;
    const reach = this.dilation[axis] * (this.kernelSize[axis] - 1);
    if (this.padding === 'same') return Math.ceil(size / this.strides[axis]);
    const padded = this.padding === 'symmetric' ? size + reach : size;
    return Math.floor((padded - reach - 1) / this.strides[axis]) + 1;
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const x = (Array.isArray(inputs) ? inputs[0] : inputs) as tf.Tensor4D;
    const filter = this.kernel!.read() as tf.Tensor4D;
    const geometry = convGeometry(
      x.shape,
      filter.shape,
      { strides: this.strides, pad: this.pad(), dilations: this.dilation },
      this.depthwise,
    );
    return convolution({
      ...geometry,
      x,
      filter,
      bias: this.bias == null ? null : (this.bias.read() as tf.Tensor1D),
      activation: this.activation,
      depthwise: this.depthwise,
      // A model that is frozen as a whole freezes the variables and leaves its layers' own flag as it is.
      trainable: this.trainable && (this.kernel as unknown as { trainable: boolean }).trainable,
    });
  }

  override getConfig(): tf.serialization.ConfigDict {
    return {
      ...super.getConfig(),
      kernelSize: this.kernelSize,
      strides: this.strides,
      dilation: this.dilation,
      padding: this.padding,
      useBias: this.useBias,
      activation: this.activation,
      kernelInitializer: serializeInitializer(this.kernelInitializer),
      biasInitializer: serializeInitializer(this.biasInitializer),
    };
  }
}

/** Layer behind {@link conv2d}; exported for `instanceof` and serialisation. */
export class SymmetricConv2D extends SymmetricConvolution {
  /** @nocollapse */
  static className = 'AuxConv2D';
  protected override readonly depthwise = false;
  protected override readonly kernelName = 'kernel';
  private readonly filters: number;

  constructor(options: Conv2DOptions) {
    super(options);
    this.filters = options.filters;
    if (!Number.isInteger(this.filters) || this.filters <= 0) {
      throw new RuntimeError(
        'bad-layer-option',
        `Expected filters of layer "${this.name}" to be a positive integer, got ${JSON.stringify(options.filters)}.`,
        { layer: this.name, option: 'filters', value: options.filters },
      );
    }
  }

  override build(inputShape: tfl.Shape | tfl.Shape[]): void {
    this.buildWeights([...this.kernelSize, this.inputChannels(inputShape), this.filters], this.filters);
  }

  override computeOutputShape(inputShape: tfl.Shape | tfl.Shape[]): tfl.Shape {
    const shape = inputShape as tfl.Shape;
    return [shape[0], this.outputSize(shape[1], 0), this.outputSize(shape[2], 1), this.filters];
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), filters: this.filters };
  }
}

/** Layer behind {@link depthwiseConv2d}; exported for `instanceof` and serialisation. */
export class SymmetricDepthwiseConv2D extends SymmetricConvolution {
  /** @nocollapse */
  static className = 'AuxDepthwiseConv2D';
  protected override readonly depthwise = true;
  protected override readonly kernelName = 'depthwise_kernel';
  private readonly depthMultiplier: number;

  constructor(options: DepthwiseConv2DOptions) {
    super(options);
    this.depthMultiplier = options.depthMultiplier ?? 1;
  }

  override build(inputShape: tfl.Shape | tfl.Shape[]): void {
    const channels = this.inputChannels(inputShape);
    this.buildWeights([...this.kernelSize, channels, this.depthMultiplier], channels * this.depthMultiplier);
  }

  override computeOutputShape(inputShape: tfl.Shape | tfl.Shape[]): tfl.Shape {
    const shape = inputShape as tfl.Shape;
    const channels = this.inputChannels(shape) * this.depthMultiplier;
    return [shape[0], this.outputSize(shape[1], 0), this.outputSize(shape[2], 1), channels];
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), depthMultiplier: this.depthMultiplier };
  }
}

/**
 * Convolution with PyTorch's symmetric padding by default, bias and activation fused, trainable at any stride and dilation.
 *
 * [N,H,W,C] -> [N,OH,OW,filters]; weights `kernel` [kh,kw,C,filters] and `bias` [filters].
 * Throws RuntimeError `bad-layer-option` for options outside their domain.
 */
export function conv2d(options: Conv2DOptions): SymmetricConv2D {
  return new SymmetricConv2D(options);
}

/**
 * Depthwise convolution with PyTorch's symmetric padding by default, bias and activation fused.
 *
 * [N,H,W,C] -> [N,OH,OW,C*depthMultiplier]; weights `depthwise_kernel` [kh,kw,C,depthMultiplier] and `bias`.
 * Throws RuntimeError `bad-layer-option` for options outside their domain.
 */
export function depthwiseConv2d(options: DepthwiseConv2DOptions): SymmetricDepthwiseConv2D {
  return new SymmetricDepthwiseConv2D(options);
}
