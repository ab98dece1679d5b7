import { resizeBilinear } from '@auxseg/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { CamError } from './cam-error.js';
import { normalizeCam } from './normalize-cam.js';

/** The class maps of one view of an image. */
export interface CamView {
  /** [1,h,w,K], as the network gave them; not disposed here. */
  cam: tf.Tensor4D;
  /** The view was the mirrored image, so its maps are mirrored back. */
  flipped?: boolean;
}

/**
 * Fuses the class maps of several views (scales, mirror images) of one image: ReLU, mirrored back, resized to the image
 * (half-pixel bilinear), averaged, and normalised.
 *
 * @param size of the image, pixels
 * @returns [1,height,width,K] in 0..1; the caller disposes it
 * @throws CamError `bad-option` without views, `bad-shape` when their classes differ
 * @see Ahn and Kwak 2018 (PSA), whose inference this is; normalisation as in method.md 4
 */
export function fuseMultiScaleCams(
  views: readonly CamView[],
  size: { height: number; width: number },
): tf.Tensor4D {
  if (views.length === 0) {
    throw new CamError('bad-option', 'Expected the class maps of at least one view; got none.');
  }
  const classes = views.map(({ cam }) => cam.shape[3]);
  if (views.some(({ cam }) => cam.shape[0] !== 1 || cam.shape[3] !== classes[0])) {
    throw new CamError(
      'bad-shape',
      `Expected views [1,h,w,K] of the same K; got ${views.map(({ cam }) => `[${cam.shape}]`).join(', ')}.`,
      {
        shapes: views.map(({ cam }) => cam.shape),
      },
    );
  }
  return tf.tidy(() => {
    const resized = views.map(({ cam, flipped }) => {
      const positive = tf.relu(cam);
      return resizeBilinear(flipped ? tf.reverse(positive, 2) : positive, [size.height, size.width]);
    });
    return normalizeCam(tf.div(tf.addN(resized), views.length) as tf.Tensor4D);
  });
}
