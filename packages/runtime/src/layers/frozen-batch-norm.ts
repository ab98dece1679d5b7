import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { Activation } from '../ops/activation.js';
import { frozenScaleShift } from '../ops/scale-shift.js';

/** Options of {@link frozenBatchNorm}. */
export interface FrozenBatchNormOptions {
  name?: string;
  /** Added to the variance. Default 1e-5 (PyTorch's). */
  epsilon?: number;
  /** Default `linear`. */
  activation?: Activation;
}

/** Layer behind {@link frozenBatchNorm}; exported for `instanceof` and serialisation. */
export class FrozenBatchNorm extends tfl.layers.Layer {
  /** @nocollapse */
  static className = 'AuxFrozenBatchNorm';
  private readonly epsilon: number;
  private readonly activation: Activation;
  private variables: tfl.LayerVariable[] = [];

  constructor(options: FrozenBatchNormOptions) {
    super({ ...options, trainable: false } as ConstructorParameters<typeof tfl.layers.Layer>[0]);
    this.epsilon = options.epsilon ?? 1e-5;
    this.activation = options.activation ?? 'linear';
  }

  override build(inputShape: tfl.Shape | tfl.Shape[]): void {
    const channels = (inputShape as number[])[inputShape.length - 1];
    const zeros = tfl.initializers.zeros();
    const ones = tfl.initializers.ones();
    this.variables = [
      this.addWeight('gamma', [channels], 'float32', ones, undefined, false),
      this.addWeight('beta', [channels], 'float32', zeros, undefined, false),
      this.addWeight('moving_mean', [channels], 'float32', zeros, undefined, false),
      this.addWeight('moving_variance', [channels], 'float32', ones, undefined, false),
    ];
    this.built = true;
  }

  override computeOutputShape(inputShape: tfl.Shape | tfl.Shape[]): tfl.Shape {
    return inputShape as tfl.Shape;
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const x = (Array.isArray(inputs) ? inputs[0] : inputs) as tf.Tensor4D;
    return tf.tidy(() => {
      const [gamma, beta, mean, variance] = this.variables.map((variable) => variable.read() as tf.Tensor1D);
      const scale: tf.Tensor1D = tf.mul(gamma, tf.rsqrt(tf.add(variance, this.epsilon)));
      const shift: tf.Tensor1D = tf.sub(beta, tf.mul(mean, scale));
      return frozenScaleShift(x, scale, shift, this.activation);
    });
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), epsilon: this.epsilon, activation: this.activation };
  }
}

/**
 * Batch normalisation on its running statistics in training too, its scale and shift not trained (method.md 2.1), with
 * an optional activation in the same pass.
 *
 * [N,H,W,C] -> [N,H,W,C]; non-trainable weights `gamma`, `beta`, `moving_mean`, `moving_variance`, each [C].
 */
export function frozenBatchNorm(options: FrozenBatchNormOptions = {}): FrozenBatchNorm {
  return new FrozenBatchNorm(options);
}
