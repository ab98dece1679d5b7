import type * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { RuntimeError } from '../errors.js';
import { applyAffinityTo, pairwiseAffinityOf } from '../ops/affinity.js';
import { fuseAffinityMaps } from '../ops/fuse-affinities.js';
import {
  type Initializer,
  type InitializerLike,
  resolveInitializer,
  serializeInitializer,
} from './initializers.js';

type LayerArgs = ConstructorParameters<typeof tfl.layers.Layer>[0];

const product = (a: number | null, b: number | null): number | null =>
  a == null || b == null ? null : a * b;

function expectInputs(layer: tfl.layers.Layer, inputs: unknown, what: string): void {
  if (!Array.isArray(inputs) || inputs.length !== 2) {
    const got = Array.isArray(inputs) ? `${inputs.length} inputs` : 'one input';
    throw new RuntimeError(
      'bad-layer-input',
      `Expected layer "${layer.name}" to be applied to ${what}, got ${got}.`,
      {
        layer: layer.name,
      },
    );
  }
}

/** Layer behind {@link pairwiseAffinity}; exported for `instanceof` and serialisation. */
export class PairwiseAffinity extends tfl.layers.Layer {
  /** @nocollapse */
  static className = 'AuxPairwiseAffinity';

  override computeOutputShape(inputShape: tfl.Shape | tfl.Shape[]): tfl.Shape {
    expectInputs(this, inputShape, '[theta, phi]');
    const [theta, phi] = inputShape as tfl.Shape[];
    return [theta[0], product(theta[1], theta[2]), product(phi[1], phi[2])];
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const [theta, phi] = inputs as tf.Tensor4D[];
    return pairwiseAffinityOf(theta, phi);
  }
}

/** Layer behind {@link applyAffinity}; exported for `instanceof` and serialisation. */
export class ApplyAffinity extends tfl.layers.Layer {
  /** @nocollapse */
  static className = 'AuxApplyAffinity';

  override computeOutputShape(inputShape: tfl.Shape | tfl.Shape[]): tfl.Shape {
    expectInputs(this, inputShape, '[affinity, x]');
    return (inputShape as tfl.Shape[])[1];
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const [affinity, x] = inputs as [tf.Tensor3D, tf.Tensor4D];
    return applyAffinityTo(affinity, x);
  }
}

/** Options of {@link fuseAffinities}. */
export interface FuseAffinitiesOptions {
  name?: string;
  /** Default `heNormal`. */
  conv1Initializer?: InitializerLike;
  /** Default `heNormal`. */
  conv2Initializer?: InitializerLike;
  /** Default `zeros`. */
  biasInitializer?: InitializerLike;
  /** Default true. */
  trainable?: boolean;
}

/** Layer behind {@link fuseAffinities}; exported for `instanceof` and serialisation. */
export class FuseAffinities extends tfl.layers.Layer {
  /** @nocollapse */
  static className = 'AuxFuseAffinities';
  private readonly conv1Initializer: Initializer;
  private readonly conv2Initializer: Initializer;
  private readonly biasInitializer: Initializer;
  private variables: tfl.LayerVariable[] = [];

  constructor(options: FuseAffinitiesOptions = {}) {
    super({ ...options } as LayerArgs);
    this.conv1Initializer = resolveInitializer(options.conv1Initializer ?? 'heNormal');
    this.conv2Initializer = resolveInitializer(options.conv2Initializer ?? 'heNormal');
    this.biasInitializer = resolveInitializer(options.biasInitializer ?? 'zeros');
  }

  override build(): void {
    this.variables = [
      this.addWeight('conv1_kernel', [3, 3, 2, 2], 'float32', this.conv1Initializer),
      this.addWeight('conv2_kernel', [1, 1, 2, 2], 'float32', this.conv2Initializer),
      this.addWeight('conv2_bias', [2], 'float32', this.biasInitializer),
    ];
    for (const weight of this.variables)
      (weight as unknown as { trainable: boolean }).trainable = this.trainable;
    this.built = true;
  }

  override computeOutputShape(inputShape: tfl.Shape | tfl.Shape[]): tfl.Shape {
    expectInputs(this, inputShape, '[A_seg, A_sal]');
    return (inputShape as tfl.Shape[])[0];
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const [seg, sal] = inputs as tf.Tensor3D[];
    const [conv1, conv2, bias] = this.variables.map((variable) => variable.read());
    return fuseAffinityMaps(seg, sal, {
      conv1: conv1 as tf.Tensor4D,
      conv2: conv2 as tf.Tensor4D,
      bias: bias as tf.Tensor1D,
    });
  }

  override getConfig(): tf.serialization.ConfigDict {
    return {
      ...super.getConfig(),
      conv1Initializer: serializeInitializer(this.conv1Initializer),
      conv2Initializer: serializeInitializer(this.conv2Initializer),
      biasInitializer: serializeInitializer(this.biasInitializer),
    };
  }
}

/**
 * A = softmax over rows of theta phi^T, not scaled (method.md 2.3).
 *
 * Inputs [theta [N,h,w,C], phi [N,h,w,C]] -> [N,hw,hw], each row summing to one.
 */
export function pairwiseAffinity(options: { name?: string } = {}): PairwiseAffinity {
  return new PairwiseAffinity({ ...options } as LayerArgs);
}

/** A X at every position. Inputs [A [N,L,L], X [N,h,w,C] with hw = L] -> [N,h,w,C]. */
export function applyAffinity(options: { name?: string } = {}): ApplyAffinity {
  return new ApplyAffinity({ ...options } as LayerArgs);
}

/**
 * The cross-task fusion A_CT = A_seg * w_seg + A_sal * w_sal (method.md 2.3).
 *
 * Inputs [A_seg [N,L,L], A_sal [N,L,L]] -> [N,L,L]; weights `conv1_kernel` [3,3,2,2], `conv2_kernel` [1,1,2,2] and
 * `conv2_bias` [2], the authors' cross_att.0 and cross_att.2 with axes in TensorFlow's order.
 */
export function fuseAffinities(options: FuseAffinitiesOptions = {}): FuseAffinities {
  return new FuseAffinities(options);
}
