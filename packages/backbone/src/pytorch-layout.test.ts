import { useBackend } from '@auxseg/runtime';
import { expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { fromPyTorch, pyTorchPlace, toPyTorch } from './pytorch-layout.js';

test.each([
  ['b2_1.conv_branch2a/kernel', [3, 3, 8, 16], 'b2_1.conv_branch2a.weight', [16, 8, 3, 3]],
  ['fc8/kernel', [1, 1, 256, 20], 'fc8.weight', [20, 256, 1, 1]],
  ['seg_att.theta/bias', [128], 'seg_att.theta.bias', [128]],
  ['bn7/gamma', [64], 'bn7.weight', [64]],
  ['bn7/beta', [64], 'bn7.bias', [64]],
  ['b6.bn_branch2b2/moving_mean', [64], 'b6.bn_branch2b2.running_mean', [64]],
  ['b6.bn_branch2b2/moving_variance', [64], 'b6.bn_branch2b2.running_var', [64]],
  ['cross_att/conv1_kernel', [3, 3, 2, 2], 'cross_att.0.weight', [2, 2, 3, 3]],
  ['cross_att/conv2_kernel', [1, 1, 2, 2], 'cross_att.2.weight', [2, 2, 1, 1]],
  ['cross_att/conv2_bias', [2], 'cross_att.2.bias', [2]],
  ['block_1_depthwise/depthwise_kernel', [3, 3, 96, 1], 'block_1_depthwise.weight', [96, 1, 3, 3]],
] as const)('%s %j -> %s %j', (name, shape, officialName, officialShape) => {
  const place = pyTorchPlace(name, shape)!;
  expect(place.name).toBe(officialName);
  expect(place.shape).toEqual(officialShape);
});

test('kernels are transposed HWIO -> OIHW and back', async () => {
  await useBackend('cpu');
  const shape = [3, 2, 5, 4];
  const kernel = tf.randomUniform(shape, -1, 1, 'float32', 1);
  const data = (await kernel.data()) as Float32Array;
  const official = toPyTorch({ name: 'x/kernel', shape, data })!;
  expect(official.shape).toEqual([4, 5, 3, 2]);
  expect(Array.from(official.data)).toEqual(Array.from(tf.transpose(kernel, [3, 2, 0, 1]).dataSync()));
  expect(Array.from(fromPyTorch('x/kernel', shape, official.data))).toEqual(Array.from(data));

  const depthwise = toPyTorch({ name: 'x/depthwise_kernel', shape: [3, 2, 20, 1], data })!;
  expect(Array.from(depthwise.data)).toEqual(
    Array.from(tf.transpose(tf.reshape(kernel, [3, 2, 20, 1]), [2, 3, 0, 1]).dataSync()),
  );
  expect(Array.from(fromPyTorch('x/depthwise_kernel', [3, 2, 20, 1], depthwise.data))).toEqual(
    Array.from(data),
  );
});

test('weights that PyTorch has no name for have no place', () => {
  expect(pyTorchPlace('lstm/recurrent_kernel', [3, 3])).toBeUndefined();
  expect(toPyTorch({ name: 'kernel', shape: [1, 1, 1, 1], data: new Float32Array(1) })).toBeUndefined();
});
