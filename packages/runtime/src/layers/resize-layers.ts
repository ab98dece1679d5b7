import type * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { RuntimeError } from '../errors.js';
import { resizeBilinear } from '../ops/resize-bilinear.js';

/** Options of {@link resizeLayer}. */
export interface ResizeLayerOptions {
  name?: string;
  /** Output height in pixels. */
  height: number;
  /** Output width in pixels. */
  width: number;
}

/** Layer behind {@link resizeLayer}; exported for `instanceof` and serialisation. */
export class ResizeBilinear extends tfl.layers.Layer {
  /** @nocollapse */
  static className = 'AuxResizeBilinear';
  private readonly height: number;
  private readonly width: number;

  constructor(options: ResizeLayerOptions) {
    super({ ...options } as ConstructorParameters<typeof tfl.layers.Layer>[0]);
    this.height = options.height;
    this.width = options.width;
    if (![this.height, this.width].every((size) => Number.isInteger(size) && size > 0)) {
      throw new RuntimeError(
        'bad-layer-option',
        `Expected height and width of layer "${this.name}" to be positive integers, got ${options.height}x${options.width}.`,
        { layer: this.name, height: options.height, width: options.width },
      );
    }
  }

  override computeOutputShape(inputShape: tfl.Shape | tfl.Shape[]): tfl.Shape {
    const shape = inputShape as tfl.Shape;
    return [shape[0], this.height, this.width, shape[3]];
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const x = (Array.isArray(inputs) ? inputs[0] : inputs) as tf.Tensor4D;
    return resizeBilinear(x, [this.height, this.width]);
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), height: this.height, width: this.width };
  }
}

/** Layer behind {@link resizeLike}; exported for `instanceof` and serialisation. */
export class ResizeBilinearLike extends tfl.layers.Layer {
  /** @nocollapse */
  static className = 'AuxResizeBilinearLike';

  override computeOutputShape(inputShape: tfl.Shape | tfl.Shape[]): tfl.Shape {
    const [shape, reference] = inputShape as tfl.Shape[];
    return [shape[0], reference[1], reference[2], shape[3]];
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const [x, reference] = inputs as tf.Tensor4D[];
    return resizeBilinear(x, [reference.shape[1], reference.shape[2]]);
  }
}

/** Bilinear resize with half-pixel centres to a fixed size: [N,H,W,C] -> [N,height,width,C], with the exact adjoint. */
export function resizeLayer(options: ResizeLayerOptions): ResizeBilinear {
  return new ResizeBilinear(options);
}

/** Bilinear resize of the first input to the height and width of the second: [x, reference] -> [N,H',W',C]. */
export function resizeLike(options: { name?: string } = {}): ResizeBilinearLike {
  return new ResizeBilinearLike({ ...options } as ConstructorParameters<typeof tfl.layers.Layer>[0]);
}
