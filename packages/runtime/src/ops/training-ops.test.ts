import { beforeAll, describe, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { useBackend } from '../backends/use-backend.js';
import { composeSgdUpdate, updateBySgd } from './sgd-update.js';
import { fusedSoftmaxCrossEntropy } from './softmax-cross-entropy.js';

describe.each(['cpu', 'wasm', 'onnx'] as const)('updateBySgd on %s', (backend) => {
  beforeAll(() => useBackend(backend));

  test.each([
    [[3], 0.9, 0.1],
    [[5, 7], 0, 0.1],
    [[40_001], 0.9, 0],
    [[3, 3, 64, 130], 0.9, 1e-4],
  ] as const)(
    '%j, momentum %d, decay %d: the bits of the composition over three steps',
    (shape, momentum, weightDecay) => {
      const random = (seed: number) => tf.randomNormal([...shape], 0, 1, 'float32', seed);
      const [ours, reference] = [0, 1].map(() => ({
        variable: tf.variable(random(1)),
        velocity: tf.variable(tf.zeros([...shape]), false),
      }));
      const tensors = tf.memory().numTensors;
      for (let step = 0; step < 3; step++) {
        const gradient = random(10 + step);
        const options = { gradient, learningRate: 0.3, momentum, weightDecay };
        updateBySgd({ ...ours, ...options });
        composeSgdUpdate({ ...reference, ...options });
        gradient.dispose();
        expect(ours.variable.dataSync()).toEqual(reference.variable.dataSync());
        expect(ours.velocity.dataSync()).toEqual(reference.velocity.dataSync());
      }
      // What was read in between stays as it was read, and nothing is left behind.
      expect(tf.memory().numTensors).toBe(tensors);
      tf.disposeVariables();
    },
  );

  test('leaves copies and what was read before alone', () => {
    const variable = tf.variable(tf.fill([5000], 2));
    const gradient = tf.fill([5000], 1);
    updateBySgd({ variable, gradient, learningRate: 1 });
    const copy = tf.clone(variable);
    updateBySgd({ variable, gradient, learningRate: 1 });
    const seen = variable.dataSync();
    updateBySgd({ variable, gradient, learningRate: 1 });
    expect([copy.dataSync()[0], seen[0], variable.dataSync()[4999]]).toEqual([1, 0, -1]);
    tf.dispose([copy, gradient, variable]);
  });
});

test('fusedSoftmaxCrossEntropy is the float64 definition, for extreme logits too', async () => {
  await useBackend('onnx');
  // More than one piece of the kernel's workspace.
  const [rows, classes] = [5003, 7];
  const x = (tf.randomNormal([rows, classes], 0, 4, 'float32', 3).dataSync() as Float32Array).slice();
  x.set([300, -300, 0, 0, 0, 0, 0], 0);
  const labels = Int32Array.from({ length: rows }, (_, i) => (i % 5 === 4 ? 255 : (i + 1) % classes));
  const { loss, gradient } = fusedSoftmaxCrossEntropy(
    tf.tensor2d(x, [rows, classes]),
    tf.tensor1d(labels, 'int32'),
    255,
  )!;
  const count = labels.filter((label) => label !== 255).length;
  let expected = 0;
  const slopes = gradient.dataSync();
  labels.forEach((label, row) => {
    const logits = [...x.subarray(row * classes, (row + 1) * classes)];
    const highest = Math.max(...logits);
    const total = logits.reduce((sum, v) => sum + Math.exp(v - highest), 0);
    if (label !== 255) expected += Math.log(total) - (logits[label] - highest);
    logits.forEach((v, c) => {
      const slope = label === 255 ? 0 : (Math.exp(v - highest) / total - (c === label ? 1 : 0)) / count;
      expect(Math.abs(slopes[row * classes + c] - slope) * count).toBeLessThan(2e-6);
    });
  });
  expect(Math.abs(loss.dataSync()[0] / (expected / count) - 1)).toBeLessThan(1e-6);
  const none = fusedSoftmaxCrossEntropy(tf.ones([2, 3]), tf.fill([2], 255, 'int32'), 255)!;
  expect([none.loss.dataSync()[0], ...none.gradient.dataSync()]).toEqual([0, 0, 0, 0, 0, 0, 0]);
});
