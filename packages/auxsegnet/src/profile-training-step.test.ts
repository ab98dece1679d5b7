import { useBackend } from '@auxseg/runtime';
import { expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { profileTrainingStep } from './profile-training-step.js';

test('says where a training step spends its time', async () => {
  await useBackend('onnx');
  const options = { preset: 'tiny', width: 0.25, sizePx: 24, batchSize: 2, classes: 3 } as const;
  const before = tf.memory().numTensors;
  const profile = await profileTrainingStep(options);
  expect(profile).toMatchObject({ backend: 'onnx', preset: 'tiny', sizePx: 24, batchSize: 2 });
  expect(profile.parameters).toBeGreaterThan(1000);
  const names = profile.kernels.map(({ name }) => name);
  expect(names).toEqual(
    expect.arrayContaining(['FusedConv2D', 'AuxConv2DGradFilter', 'AuxSoftmaxCrossEntropy']),
  );
  const inKernels = profile.kernels.reduce((sum, { selfMs }) => sum + selfMs, 0);
  expect(inKernels + profile.otherMs).toBeCloseTo(profile.wallMs, 6);
  expect(tf.memory().numTensors).toBe(before);
});
