import * as tf from '@tensorflow/tfjs-core';
import { CamError } from './cam-error.js';
import type { ClassMaps } from './types.js';

/** Keeps a class without any activation at zero instead of 0/0 (method.md 4). */
const epsilon = 1e-5;

/**
 * Normalises class activation maps: ReLU, then each class by its spatial maximum + 1e-5.
 *
 * A tensor [N,h,w,K] gives a new tensor of that shape, which the caller disposes; {@link ClassMaps} give new ones.
 * Values are in 0..1.
 *
 * @throws CamError `bad-shape`
 * @see method.md 4, "CAM"
 */
export function normalizeCam(cam: tf.Tensor4D): tf.Tensor4D;
export function normalizeCam(cam: ClassMaps): ClassMaps;
export function normalizeCam(cam: tf.Tensor4D | ClassMaps): tf.Tensor4D | ClassMaps {
  if (cam instanceof tf.Tensor) {
    return tf.tidy(() => {
      const positive = tf.relu(cam);
      return tf.div(positive, tf.add(tf.max(positive, [1, 2], true), epsilon)) as tf.Tensor4D;
    });
  }
  const { classes, height, width } = cam;
  const area = height * width;
  if (cam.data.length !== classes * area) {
    throw new CamError(
      'bad-shape',
      `Expected ${classes} class maps of ${height}x${width} (${classes * area} values); got ${cam.data.length} values.`,
      { classes, height, width, values: cam.data.length },
    );
  }
  const data = new Float32Array(cam.data.length);
  for (let k = 0; k < classes; k++) {
    const plane = cam.data.subarray(k * area, (k + 1) * area);
    let peak = 0;
    for (let i = 0; i < area; i++) peak = Math.max(peak, plane[i]!);
    for (let i = 0; i < area; i++) data[k * area + i] = Math.max(0, plane[i]!) / (peak + epsilon);
  }
  return { data, classes, height, width };
}
