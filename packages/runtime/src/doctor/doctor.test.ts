import { beforeAll, describe, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { useBackend } from '../backends/use-backend.js';
import { measureBackend } from './measure-backend.js';
import { formatKernelProfile, profileKernels } from './profile-kernels.js';

describe('doctor', () => {
  beforeAll(async () => {
    await useBackend('wasm');
  });

  test('measureBackend gives four positive rates and keeps nothing', async () => {
    const before = tf.memory().numTensors;
    const speed = await measureBackend({ budgetMs: 1 });
    expect(Object.keys(speed)).toEqual(['convForward', 'convGradInput', 'convGradFilter', 'matMul']);
    for (const gflops of Object.values(speed)) expect(gflops).toBeGreaterThan(0);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('profileKernels counts nested kernels once and restores the engine', async () => {
    const x = tf.randomUniform([1, 20, 20, 8]) as tf.Tensor4D;
    const filter = tf.randomUniform([3, 3, 8, 8]) as tf.Tensor4D;
    const engine = tf.engine() as unknown as { runKernelFunc: unknown };
    const before = engine.runKernelFunc;
    const profile = await profileKernels(() => {
      tf.dispose(tf.grad((a) => tf.sum(tf.conv2d(a as tf.Tensor4D, filter, 1, 'same')))(x));
    });
    expect(engine.runKernelFunc).toBe(before);
    const byName = new Map(profile.kernels.map((kernel) => [kernel.name, kernel]));
    expect(byName.get('Conv2D')?.calls).toBe(2);
    const outer = byName.get('AuxConv2DGradInput')!;
    expect(outer.calls).toBe(1);
    expect(outer.totalMs).toBeGreaterThanOrEqual(outer.selfMs);
    const selfSum = profile.kernels.reduce((sum, kernel) => sum + kernel.selfMs, 0);
    expect(selfSum + profile.otherMs).toBeCloseTo(profile.wallMs, 6);
    expect(formatKernelProfile(profile, 2).split('\n')).toHaveLength(6);
  });

  test('profileKernels restores the engine after a failure too', async () => {
    const engine = tf.engine() as unknown as { runKernelFunc: unknown };
    const before = engine.runKernelFunc;
    await expect(
      profileKernels(() => {
        throw new Error('stop');
      }),
    ).rejects.toThrow('stop');
    expect(engine.runKernelFunc).toBe(before);
  });
});
