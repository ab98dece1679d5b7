import { useBackend } from '@auxseg/runtime';
import { expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { checkBackbone } from './testing.js';
import { createTinyResNet } from './tiny-resnet.js';

test('keeps the promises of a backbone', async () => {
  await useBackend('wasm');
  await checkBackbone(createTinyResNet({ width: 0.25 }), { names: ['t2', 't5'] });
});

test('starts with features near unit size', async () => {
  await useBackend('wasm');
  const input = tfl.input({ shape: [null, null, 3] });
  const { features, outputStride } = createTinyResNet({ seed: 1 })(input);
  const model = tfl.model({ inputs: input, outputs: features });
  expect(outputStride).toBe(4);
  expect(model.countParams()).toBeLessThan(400_000);
  const meanSquare = tf.tidy(() => {
    const y = model.apply(tf.randomNormal([1, 48, 48, 3], 0, 1, 'float32', 7)) as tf.Tensor;
    return tf.mean(tf.square(y)).dataSync()[0];
  });
  expect(meanSquare).toBeGreaterThan(0.2);
  expect(meanSquare).toBeLessThan(3);
  model.dispose();
});

test('refuses a width of zero', () => {
  expect(() => createTinyResNet({ width: 0 })).toThrow(/above 0.*got 0/);
});
