import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { RuntimeError } from '../errors.js';
import { prepareRuntime, restoreGradients } from '../prepare-runtime.js';
import { changeThreads } from './change-threads.js';
import { listBackends } from './list-backends.js';
import { automaticOrder, useBackend } from './use-backend.js';

describe('tfjs-node in a folder of its own', () => {
  const refusal = async (packages: string[]) => {
    const folder = mkdtempSync(join(tmpdir(), 'tfjs-node-'));
    process.env['AUXSEG_TFJS_NODE_GPU'] = folder;
    try {
      for (const name of packages) {
        const home = join(folder, 'node_modules', '@tensorflow', name);
        mkdirSync(home, { recursive: true });
        writeFileSync(join(home, 'index.js'), 'throw new Error("loaded");');
      }
      return await useBackend('node-gpu').catch((error) => error.message);
    } finally {
      delete process.env['AUXSEG_TFJS_NODE_GPU'];
      rmSync(folder, { recursive: true });
    }
  };

  test('is refused where it is not there, or where it brings a second tfjs-core', async () => {
    expect(await refusal([])).toMatch(/AUXSEG_TFJS_NODE_GPU is .* which has no @tensorflow.tfjs-node-gpu/);
    expect(await refusal(['tfjs-node-gpu', 'tfjs-core'])).toMatch(/has a @tensorflow.tfjs-core of its own/);
  });

  test('for GPUs is refused where TensorFlow found none, which it does not say', () => {
    const folder = mkdtempSync(join(tmpdir(), 'tfjs-node-gpu-'));
    const packages = join(folder, 'node_modules', '@tensorflow');
    mkdirSync(join(packages, 'tfjs-node-gpu'), { recursive: true });
    const core = dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-core/package.json'));
    symlinkSync(core, join(packages, 'tfjs-core'), 'junction');
    // In place of the real one: a backend without a device.
    const standIn = `
      const tf = require('@tensorflow/tfjs-core');
      tf.registerBackend('tensorflow', () => Object.assign(new tf.KernelBackend(), { isUsingGpuDevice: false }));
    `;
    writeFileSync(join(packages, 'tfjs-node-gpu', 'index.js'), standIn);
    const script = `
      import { listBackends, useBackend } from '@auxseg/runtime';
      const [{ name, available }] = await listBackends();
      const { code, message } = await useBackend('node-gpu').catch((error) => error);
      console.log(JSON.stringify({ name, available, code, message }));
    `;
    const cwd = fileURLToPath(new URL('../..', import.meta.url));
    const env = { ...process.env, AUXSEG_TFJS_NODE_GPU: folder };
    const args = ['--input-type=module', '-e', script];
    const { stdout, stderr } = spawnSync(process.execPath, args, { cwd, env, encoding: 'utf8' });
    rmSync(folder, { recursive: true });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toMatchObject({
      name: 'node-gpu',
      available: false,
      code: 'backend-unavailable',
      message: expect.stringMatching(/found no GPU .*nvidia-smi.*or use backend "onnx"/),
    });
  }, 60_000);
});

describe('useBackend', () => {
  test('activates what it is asked for', async () => {
    for (const name of ['wasm', 'cpu', 'wasm'] as const) {
      expect((await useBackend(name)).name).toBe(name);
      expect(tf.getBackend()).toBe(name);
      expect([...tf.add(tf.tensor1d([1]), 1).dataSync()]).toEqual([2]);
    }
  });

  test('refuses unknown names with the known ones', async () => {
    const failure = await useBackend('cuda' as never).catch((error) => error);
    expect(failure).toBeInstanceOf(RuntimeError);
    expect(failure.code).toBe('unknown-backend');
    expect(failure.message).toMatch(/auto.*onnx.*wasm.*"cuda"/);
    await expect(useBackend('toString' as never)).rejects.toMatchObject({ code: 'unknown-backend' });
  });

  test('a missing optional backend says what to install', async () => {
    for (const status of await listBackends()) {
      if (status.available) continue;
      const failure = await useBackend(status.name).catch((error) => error);
      expect(failure).toBeInstanceOf(RuntimeError);
      expect(failure.code).toBe('backend-unavailable');
      expect(failure.message).toMatch(/[Ii]nstall|[Uu]se/);
    }
  });

  test('auto takes the first that works and says what it passed over', async () => {
    expect(automaticOrder()).toEqual(['node-gpu', 'node', 'onnx', 'wasm', 'cpu']);
    const { name, reason } = await useBackend('auto');
    const statuses = await listBackends();
    const first = automaticOrder().find((candidate) => statuses.find((s) => s.name === candidate)?.available);
    expect(name).toBe(first);
    const missing = statuses.filter((s) => !s.available && s.name !== 'webgpu');
    for (const status of missing) expect(reason).toContain(`${status.name} (`);
  });

  test('lists all six, wasm and cpu available', async () => {
    const statuses = await listBackends();
    expect(statuses.map((status) => status.name)).toEqual([
      'node-gpu',
      'node',
      'onnx',
      'wasm',
      'cpu',
      'webgpu',
    ]);
    const available = statuses.filter((status) => status.available).map((status) => status.name);
    expect(available).toEqual(expect.arrayContaining(['wasm', 'cpu']));
  });

  test('wasm with two threads, in a process of its own: same numbers, no word on stderr, and it ends', () => {
    const script = `
      import * as tf from '@tensorflow/tfjs-core';
      import { useBackend } from '@auxseg/runtime';
      const { reason } = await useBackend('wasm', { threads: Number(process.argv[1]) });
      const x = tf.randomUniform([1, 24, 31, 16], -1, 1, 'float32', 1);
      const w = tf.randomUniform([3, 3, 16, 32], -1, 1, 'float32', 2);
      const [dx, dw] = tf.grads((a, b) => tf.sum(tf.square(tf.conv2d(a, b, 1, 'same', 'NHWC', 2))))([x, w]);
      const sums = [dx, dw].map((gradient) => tf.sum(tf.abs(gradient)).dataSync()[0].toPrecision(5));
      const listeners = process.listenerCount('uncaughtException') + process.listenerCount('unhandledRejection');
      const again = await useBackend('wasm', { threads: 7 }).catch((error) => error.code);
      console.log(JSON.stringify({ reason, sums, listeners, again }));
    `;
    const cwd = fileURLToPath(new URL('../..', import.meta.url));
    const [one, two] = ['1', '2'].map((threads) => {
      const args = ['--input-type=module', '-e', script, threads];
      const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd, encoding: 'utf8' });
      expect([status, stderr]).toEqual([0, '']);
      return JSON.parse(stdout);
    });
    expect(one).toMatchObject({ listeners: 0, again: 'backend-started' });
    expect(one.reason).toContain('one thread');
    expect(two.reason).toContain('2 threads');
    expect({ ...two, reason: one.reason }).toEqual(one);
    // Two spinning threads on a busy machine can be slow.
  }, 240_000);

  test('threads can change where the backend can change them', async () => {
    await useBackend('cpu');
    expect(changeThreads(2)).toBeNull();
    await useBackend('onnx');
    const before = changeThreads(1) as number;
    expect(before).toBeGreaterThanOrEqual(1);
    expect(changeThreads(before)).toBe(1);
    expect(() => changeThreads(0)).toThrow(/threads to be an integer in 1\.\.256, got 0/);
  });

  test('prepareRuntime can be called again', () => {
    const gradient = tf.getGradient('Conv2D');
    prepareRuntime();
    prepareRuntime();
    expect(tf.getGradient('Conv2D')).toBe(gradient);
  });

  test('prepareRuntime brings our gradients back after another package has registered its own', () => {
    // As importing @tensorflow/tfjs does, which tfjs-node does.
    for (const kernelName of ['Conv2D', 'AvgPool']) {
      tf.unregisterGradient(kernelName);
      tf.registerGradient({ kernelName, inputsToSave: ['x'], gradFunc: () => ({ x: () => tf.scalar(0) }) });
    }
    restoreGradients();
    const x = tf.ones([1, 9, 9, 1]) as tf.Tensor4D;
    const dilated = (w: tf.Tensor) => tf.sum(tf.conv2d(x, w as tf.Tensor4D, 1, 'same', 'NHWC', 2));
    expect(
      tf
        .grad(dilated)(tf.ones([3, 3, 1, 1]))
        .dataSync()[0],
    ).toBe(49);
    expect(
      tf
        .grad((a) => tf.sum(tf.avgPool(a as tf.Tensor4D, 3, 1, 'same')))(x)
        .dataSync()[0],
    ).toBeCloseTo(25 / 36);
  });

  test.each([0, 1.5, 'a', 300, Number.NaN])('threads %p are refused, also by auto', async (threads) => {
    for (const name of ['auto', 'onnx', 'wasm'] as const) {
      const failure = await useBackend(name, { threads: threads as number }).catch((error) => error);
      expect(failure.code).toBe('bad-threads');
    }
  });
});
