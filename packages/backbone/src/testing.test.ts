import { conv2d, useBackend } from '@auxseg/runtime';
import { beforeAll, expect, test } from '@jest/globals';
import * as tfl from '@tensorflow/tfjs-layers';
import { checkBackbone, hashedValues } from './testing.js';
import type { Backbone } from './types.js';

beforeAll(async () => {
  await useBackend('cpu');
});

const good: Backbone = (image) => {
  const features = conv2d({ name: 'c', filters: 2, kernelSize: 3, strides: 2 }).apply(
    image,
  ) as tfl.SymbolicTensor;
  return { features, outputStride: 2, named: { c: features } };
};

test('a sound backbone passes', async () => {
  await checkBackbone(good, { names: ['c'] });
});

test('a missing map, a wrong output stride and a dead weight are found together', async () => {
  const bad: Backbone = (image) => {
    const { features, named } = good(image);
    const none = tfl.layers.rescaling({ scale: 0 }).apply(features) as tfl.SymbolicTensor;
    return { features: none, outputStride: 4, named };
  };
  await expect(checkBackbone(bad, { names: ['conv4'] })).rejects.toThrow(
    /'conv4' is missing; there are c; 33x41: expected features \[1,9,11,C\], got \[1,17,21,2\].*gradient of c\S* is zero everywhere/s,
  );
});

test('hashed values agree with the Python twin', () => {
  // python3 -c "from hashed_weights import *; print(hashed_values('b2.conv_branch2a.weight', 3).tolist())"
  const expected = [-0.19451510906219482, -0.07666967809200287, 0.06506677716970444];
  expect(Array.from(hashedValues('b2.conv_branch2a.weight', 3))).toEqual(expected);
});
