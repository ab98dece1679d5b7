import { beforeAll, describe, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { useBackend } from '../backends/use-backend.js';
import {
  dot,
  finiteDifferences,
  randomValues,
  relativeError,
  seededRandom,
} from '../float64.test.support.js';
import { testedBackends } from '../tested-backends.test.support.js';
import { composeFusedAffinity, fuseAffinityMaps } from './fuse-affinities.js';

/** The definition of method.md 2.3 in float64, two-channel softmax and all. */
function fused(
  l: number,
  seg: ArrayLike<number>,
  sal: ArrayLike<number>,
  conv1: ArrayLike<number>,
  conv2: ArrayLike<number>,
  bias: ArrayLike<number>,
): Float64Array {
  const at = (map: ArrayLike<number>, i: number, j: number) =>
    i < 0 || j < 0 || i >= l || j >= l ? 0 : map[i * l + j];
  return Float64Array.from({ length: l * l }, (_, index) => {
    const i = Math.floor(index / l);
    const j = index % l;
    const hidden = [0, 1].map((k) => {
      let sum = 0;
      for (let r = 0; r < 3; r++)
        for (let s = 0; s < 3; s++) {
          const w = (r * 3 + s) * 4 + k;
          sum += at(seg, i + r - 1, j + s - 1) * conv1[w] + at(sal, i + r - 1, j + s - 1) * conv1[w + 2];
        }
      return Math.max(0, sum);
    });
    const logits = [0, 1].map((m) => hidden[0] * conv2[m] + hidden[1] * conv2[2 + m] + bias[m]);
    const largest = Math.max(...logits);
    const [eSeg, eSal] = logits.map((logit) => Math.exp(logit - largest));
    return (seg[index] * eSeg + sal[index] * eSal) / (eSeg + eSal);
  });
}

describe.each(await testedBackends())('fusing affinities on %s', (backend) => {
  beforeAll(async () => {
    await useBackend(backend);
  });

  // Every residue modulo the vector width, and sizes below it.
  test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 13])('L = %i: forward and all five gradients in float64', (l) => {
    const random = seededRandom(100 + l);
    const seg = randomValues(l * l, random);
    const sal = randomValues(l * l, random);
    const conv1 = randomValues(36, random);
    const conv2 = randomValues(4, random);
    const bias = randomValues(2, random);
    const dy = randomValues(l * l, random);
    const tensors = [
      tf.tensor3d(seg, [1, l, l]),
      tf.tensor3d(sal, [1, l, l]),
      tf.tensor4d(conv1, [3, 3, 2, 2]),
      tf.tensor4d(conv2, [1, 1, 2, 2]),
      tf.tensor1d(bias),
    ];
    const upstream = tf.tensor3d(dy, [1, l, l]);
    const expected = fused(l, seg, sal, conv1, conv2, bias);
    const values: Float32Array[] = [seg, sal, conv1, conv2, bias];
    const expectedGradients = values.map((value, i) =>
      finiteDifferences((point) => {
        const args = values.map((other, k) => (k === i ? point : other)) as [
          Float32Array,
          Float32Array,
          Float32Array,
          Float32Array,
          Float32Array,
        ];
        return dot(fused(l, ...args), dy);
      }, value),
    );
    for (const fuse of [fuseAffinityMaps, composeFusedAffinity]) {
      const run = (...[a, b, c, d, e]: tf.Tensor[]) =>
        fuse(a as tf.Tensor3D, b as tf.Tensor3D, {
          conv1: c as tf.Tensor4D,
          conv2: d as tf.Tensor4D,
          bias: e as tf.Tensor1D,
        });
      expect(relativeError(run(...tensors).dataSync(), expected)).toBeLessThan(1e-5);
      const gradients = tf.grads(run)(tensors, upstream);
      gradients.forEach((gradient, i) => {
        expect(gradient.shape).toEqual(tensors[i].shape);
        expect(relativeError(gradient.dataSync(), expectedGradients[i])).toBeLessThan(1e-4);
      });
    }
  });

  test('a batch is fused image by image, and repeated steps keep nothing', () => {
    const [n, l] = [3, 10];
    const random = seededRandom(7);
    const seg = tf.tensor3d(randomValues(n * l * l, random), [n, l, l]);
    const sal = tf.tensor3d(randomValues(n * l * l, random), [n, l, l]);
    const weights = {
      conv1: tf.tensor4d(randomValues(36, random), [3, 3, 2, 2]),
      conv2: tf.tensor4d(randomValues(4, random), [1, 1, 2, 2]),
      bias: tf.tensor1d(randomValues(2, random)),
    };
    const inputs = [seg, sal, weights.conv1, weights.conv2, weights.bias];
    const gradients = (fuse: typeof fuseAffinityMaps) =>
      tf.grads((...[a, b, c, d, e]: tf.Tensor[]) =>
        tf.sum(
          tf.square(
            fuse(a as tf.Tensor3D, b as tf.Tensor3D, {
              conv1: c as tf.Tensor4D,
              conv2: d as tf.Tensor4D,
              bias: e as tf.Tensor1D,
            }),
          ),
        ),
      )(inputs);
    const reference = gradients(composeFusedAffinity);
    const before = tf.memory().numTensors;
    for (let step = 0; step < 3; step++) {
      const fast = gradients(fuseAffinityMaps);
      fast.forEach((gradient, i) => {
        expect(relativeError(gradient.dataSync(), reference[i].dataSync())).toBeLessThan(1e-4);
      });
      tf.dispose(fast);
    }
    expect(tf.memory().numTensors).toBe(before);
  });
});
