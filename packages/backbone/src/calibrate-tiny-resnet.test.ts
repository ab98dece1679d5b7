import { prepareRuntime, useBackend } from '@auxseg/runtime';
import { beforeAll, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { calibrateTinyResNet } from './calibrate-tiny-resnet.js';
import { createTinyResNet } from './tiny-resnet.js';

beforeAll(async () => {
  await useBackend('cpu');
  prepareRuntime();
});

test('features of a shifted, badly scaled input come out centred before the activation, without leaks', () => {
  const image = tfl.input({ shape: [null, null, 3] });
  const { features, named } = createTinyResNet({ width: 0.25, seed: 3 })(image);
  const model = tfl.model({ inputs: image, outputs: [features, named['t2']] });
  const images = tf.add(tf.mul(tf.randomNormal([6, 20, 28, 3], 0, 1, 'float32', 5), 7), 30) as tf.Tensor4D;
  const before = tf.memory().numTensors;
  calibrateTinyResNet(model, images);
  expect(tf.memory().numTensors).toBe(before);
  for (const output of model.predict(images) as tf.Tensor[]) {
    const { mean, variance } = tf.moments(output, [0, 1, 2]);
    // Rectified unit normals have mean 0.4 and variance 0.34; identity blocks add to that.
    for (const value of mean.dataSync()) expect(Math.abs(value - 0.5)).toBeLessThan(0.45);
    for (const value of variance.dataSync()) expect(Math.abs(value - 0.5)).toBeLessThan(0.48);
  }
});

test('another network is refused', () => {
  const model = tfl.sequential({ layers: [tfl.layers.dense({ units: 1, inputShape: [2] })] });
  expect(() => calibrateTinyResNet(model, tf.zeros([1, 8, 8, 3]))).toThrow(/createTinyResNet.*'t1'/);
});
