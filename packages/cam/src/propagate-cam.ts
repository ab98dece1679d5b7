import * as tf from '@tensorflow/tfjs-core';
import { CamError } from './cam-error.js';

/**
 * Spreads class activation maps along an affinity: every cell becomes the affinity-weighted sum of all cells, A CAM.
 *
 * @param affinity [N,L,L], rows summing to about one
 * @param cam [N,h,w,K] with h*w = L
 * @returns [N,h,w,K], not normalised again; the caller disposes it
 * @throws CamError `bad-shape`
 * @see method.md 4, "Update after stage s"
 */
export function propagateCam(affinity: tf.Tensor3D, cam: tf.Tensor4D): tf.Tensor4D {
  const [n, h, w, classes] = cam.shape;
  const cells = h * w;
  if (
    affinity.rank !== 3 ||
    affinity.shape[0] !== n ||
    affinity.shape[1] !== cells ||
    affinity.shape[2] !== cells
  ) {
    throw new CamError(
      'bad-shape',
      `Expected an affinity [${n},${cells},${cells}] for class maps [${cam.shape.join(',')}]; got [${affinity.shape.join(',')}]. ` +
        'Both must come from the same forward pass.',
      { affinity: affinity.shape, cam: cam.shape },
    );
  }
  return tf.tidy(
    () =>
      tf.reshape(tf.matMul(affinity, tf.reshape(cam, [n, cells, classes])), [
        n,
        h,
        w,
        classes,
      ]) as tf.Tensor4D,
  );
}
