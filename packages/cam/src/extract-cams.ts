import { resizeBilinear } from '@auxseg/runtime';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { CamError } from './cam-error.js';
import { type CamView, fuseMultiScaleCams } from './fuse-multi-scale-cams.js';
import type { ClassMaps } from './types.js';

export interface ExtractCamsOptions {
  /**
   * A model whose only output, or whose output named `cam`, is [N,h,w,K]; or a function from a normalised image [1,H,W,3]
   * to such maps.
   */
  model: tfl.LayersModel | ((image: tf.Tensor4D) => tf.Tensor4D);
  /**
   * [H,W,3] or [1,H,W,3], normalised as the model wants it; resized here for other scales, not disposed. Or a function
   * that makes the image for a scale, for instance by resizing the original bytes; its tensors are disposed here.
   */
  image: tf.Tensor3D | tf.Tensor4D | ((scale: number) => tf.Tensor3D | tf.Tensor4D);
  /** Factors on the image's size. Default [1]. */
  scales?: readonly number[];
  /** Also the mirror image at every scale. Default false. */
  flip?: boolean;
  /** Multi-hot [K]; maps of absent classes are zero. Default: all classes are kept. */
  labels?: ArrayLike<number>;
  /** Size of the result, pixels. Default: that of the image, or of the first scale's image where a function makes it. */
  size?: { height: number; width: number };
}

/**
 * Class activation maps of one image at its own size, fused over scales and mirror images, normalised to 0..1.
 *
 * Views run one after the other, so the peak memory is that of the largest; nothing is left for the caller to dispose.
 *
 * @returns [K,H,W]
 * @throws CamError `bad-option`, `bad-shape`, `bad-model`
 * @see {@link fuseMultiScaleCams}
 */
export async function extractCams(options: ExtractCamsOptions): Promise<ClassMaps> {
  const { model, image, scales = [1], flip = false, labels } = options;
  if (scales.length === 0 || scales.some((scale) => !(scale > 0))) {
    throw new CamError(
      'bad-option',
      `Expected scales above 0, for example [0.5, 1, 1.5]; got [${scales.join(', ')}].`,
      { scales },
    );
  }
  const forward = typeof model === 'function' ? model : camOutput(model);
  let { size } = options;
  const views: CamView[] = [];
  try {
    for (const scale of scales) {
      const scaled = tf.tidy(() => imageAtScale(image, scale));
      try {
        size ??= typeof image === 'function' ? sizeOf(scaled) : sizeOf(image);
        for (const flipped of flip ? [false, true] : [false]) {
          views.push({ cam: tf.tidy(() => forward(flipped ? tf.reverse(scaled, 2) : scaled)), flipped });
        }
      } finally {
        scaled.dispose();
      }
    }
    const classes = views[0]!.cam.shape[3];
    if (labels && labels.length !== classes) {
      throw new CamError(
        'bad-shape',
        `Expected ${classes} image labels, one for each class map; got ${labels.length}.`,
        {
          classes,
          labels: labels.length,
        },
      );
    }
    const planes = tf.tidy(() => {
      const maps = fuseMultiScaleCams(views, size!);
      const kept = labels
        ? tf.mul(maps, tf.tensor1d(Array.from(labels, (label) => (label > 0 ? 1 : 0))))
        : maps;
      return tf.transpose(kept, [0, 3, 1, 2]);
    });
    const data = (await planes.data()) as Float32Array;
    planes.dispose();
    // A copy: some backends hand out their own memory.
    return { data: Float32Array.from(data), classes, height: size!.height, width: size!.width };
  } finally {
    tf.dispose(views.map((view) => view.cam));
  }
}

function imageAtScale(image: ExtractCamsOptions['image'], scale: number): tf.Tensor4D {
  const given = typeof image === 'function' ? image(scale) : image;
  // A clone, so that disposing the result leaves the caller's tensor alone.
  const batch = (given.rank === 3 ? tf.expandDims(given, 0) : tf.clone(given)) as tf.Tensor4D;
  if (batch.rank !== 4 || batch.shape[0] !== 1) {
    throw new CamError(
      'bad-shape',
      `Expected one image, [H,W,3] or [1,H,W,3]; got [${given.shape.join(',')}].`,
      { shape: given.shape },
    );
  }
  if (typeof image === 'function' || scale === 1) return batch;
  const { height, width } = sizeOf(batch);
  return resizeBilinear(batch, [
    Math.max(1, Math.round(height * scale)),
    Math.max(1, Math.round(width * scale)),
  ]);
}

function sizeOf(image: tf.Tensor3D | tf.Tensor4D): { height: number; width: number } {
  const [height, width] = image.shape.slice(-3) as [number, number];
  return { height, width };
}

function camOutput(model: tfl.LayersModel): (image: tf.Tensor4D) => tf.Tensor4D {
  const index = model.outputs.length === 1 ? 0 : model.outputNames.indexOf('cam');
  if (index < 0) {
    throw new CamError(
      'bad-model',
      `Expected a model with one output, or with one named 'cam'; got ${model.outputNames.join(', ')}. Pass a function that picks the maps.`,
      { outputs: model.outputNames },
    );
  }
  return (image) => {
    const outputs = model.apply(image, { training: false });
    return (Array.isArray(outputs) ? outputs[index] : outputs) as tf.Tensor4D;
  };
}
