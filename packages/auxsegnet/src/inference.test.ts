import type { RgbImage } from '@auxseg/formats';
import { useBackend } from '@auxseg/runtime';
import { beforeAll, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { argmaxLabels, imageToTensor, predictHeads, predictSegmentation, workingSize } from './inference.js';
import { backboneFromConfig, createClassifier, createNetworkFromConfig } from './network.js';
import { resolveRecipe } from './recipe.js';

beforeAll(async () => {
  await useBackend('cpu');
});

const network = () =>
  createNetworkFromConfig(
    resolveRecipe({ preset: 'tiny', network: { backbone: { width: 0.25 }, head: { channels: 8 } } }).network,
    2,
    7,
  );

function picture(width: number, height: number): RgbImage {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 7919 + (i % 13) * 31) % 256);
  return { width, height, data };
}

test('workingSize keeps the aspect, scales the longer side, and never reaches 0', () => {
  expect(workingSize({ width: 500, height: 375 }, 256)).toEqual({ width: 256, height: 192 });
  expect(workingSize({ width: 375, height: 500 }, 256, 0.5)).toEqual({ width: 96, height: 128 });
  expect(workingSize({ width: 50, height: 37 }, 0)).toEqual({ width: 50, height: 37 });
  expect(workingSize({ width: 2000, height: 1 }, 100)).toEqual({ width: 100, height: 1 });
});

test('imageToTensor normalises as the two schemes say', () => {
  const grey: RgbImage = { width: 1, height: 1, data: Uint8Array.of(255, 128, 0) };
  const size = { width: 1, height: 1 };
  const values = (scheme: 'imagenet' | 'mobilenet') => [...imageToTensor(grey, size, scheme).dataSync()];
  [(1 - 0.485) / 0.229, (128 / 255 - 0.456) / 0.224, (0 - 0.406) / 0.225].forEach((expected, i) => {
    expect(values('imagenet')[i]).toBeCloseTo(expected, 5);
  });
  [1, 128 / 127.5 - 1, -1].forEach((expected, i) => {
    expect(values('mobilenet')[i]).toBeCloseTo(expected, 6);
  });
});

test('a network without the head, such as the classifier, is refused with the remedy', () => {
  const { backbone } = resolveRecipe({ preset: 'tiny' }).network;
  const classifier = createClassifier({ backbone: backboneFromConfig(backbone), numClasses: 2 });
  expect(() => predictSegmentation(classifier, picture(16, 16), { normalization: 'imagenet' })).toThrow(
    /output refinedSegmentation, got one with classification, cam; take the model\.safetensors/,
  );
});

test("probabilities at the image's size; both heads at once equal one by one; no tensor is left behind", () => {
  const net = network();
  const image = picture(31, 22);
  const options = { normalization: 'imagenet' as const, scales: [1, 1.5], scaleFusion: 'mean' as const };
  const before = tf.memory().numTensors;
  const both = predictHeads(net, image, options, ['initial', 'refined']);
  expect(tf.memory().numTensors).toBe(before);
  for (const head of ['initial', 'refined'] as const) {
    const one = predictSegmentation(net, image, { ...options, head });
    expect(one).toEqual(both[head]);
    expect([one.width, one.height, one.channels]).toEqual([31, 22, 3]);
    for (let i = 0; i < 31 * 22; i++) {
      expect(one.data[i] + one.data[682 + i] + one.data[2 * 682 + i]).toBeCloseTo(1, 5);
    }
  }
});

test('with flip, a mirrored image has the mirrored prediction', () => {
  const net = network();
  const image = picture(24, 16);
  const mirrored: RgbImage = { ...image, data: new Uint8Array(image.data.length) };
  for (let y = 0; y < 16; y++) {
    for (let x = 0; x < 24; x++) {
      for (let c = 0; c < 3; c++) mirrored.data[(y * 24 + x) * 3 + c] = image.data[(y * 24 + 23 - x) * 3 + c];
    }
  }
  const options = { normalization: 'imagenet' as const, flip: true };
  const [a, b] = [image, mirrored].map((one) => predictSegmentation(net, one, options));
  for (let y = 0; y < 16; y++) {
    for (let x = 0; x < 24; x++) expect(b.data[y * 24 + x]).toBeCloseTo(a.data[y * 24 + 23 - x], 5);
  }
});

test('argmaxLabels takes the largest, the lower class on ties', () => {
  const scores = {
    width: 3,
    height: 1,
    channels: 3,
    data: Float32Array.of(0.5, 0.2, 0.4, 0.5, 0.7, 0.1, 0, 0.1, 0.5),
  };
  expect([...argmaxLabels(scores).data]).toEqual([0, 1, 2]);
});
