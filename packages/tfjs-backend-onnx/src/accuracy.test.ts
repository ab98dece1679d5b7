import { beforeAll, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { registerOnnxBackend } from './register-onnx-backend.js';

beforeAll(async () => {
  await registerOnnxBackend({ threads: 1 });
  await tf.setBackend('onnx');
});

test.each([
  { shape: [1_000_003], axis: undefined, count: 1_000_003 },
  { shape: [300_001, 3], axis: 0, count: 300_001 },
  { shape: [2, 50_001, 3], axis: 1, count: 50_001 },
  { shape: [3, 100_001], axis: 1, count: 100_001 },
  { shape: [400, 3, 500], axis: [0, 2], count: 200_000 },
])('sums and means of many numbers: %o', ({ shape, axis, count }) => {
  const x = tf.fill(shape, 0.1);
  const term = Math.fround(0.1);
  for (const sum of tf.sum(x, axis).dataSync()) expect(Math.abs(sum / (count * term) - 1)).toBeLessThan(1e-7);
  for (const mean of tf.mean(x, axis).dataSync()) expect(Math.abs(mean / term - 1)).toBeLessThan(1e-7);
  x.dispose();
});

test.each([100, 5000])('sigmoid far below zero, %i numbers', (size) => {
  for (const at of [-20, -50, -80]) {
    const y = tf.sigmoid(tf.fill([size], at)).dataSync()[size - 1];
    expect(Math.abs(y * (1 + Math.exp(-at)) - 1)).toBeLessThan(1e-5);
  }
  const extremes = [-200, 200, Number.NaN].map((at) => tf.sigmoid(tf.fill([size], at)).dataSync()[0]);
  expect(extremes).toEqual([0, 1, Number.NaN]);
  expect(tf.log(tf.sigmoid(tf.fill([size], -20))).dataSync()[0]).toBeCloseTo(-20, 4);
});
