import { describe, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { RuntimeError } from '../errors.js';
import { prepareRuntime } from '../prepare-runtime.js';
import { listBackends } from './list-backends.js';
import { automaticOrder, useBackend } from './use-backend.js';

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

  test('prepareRuntime can be called again', () => {
    const gradient = tf.getGradient('Conv2D');
    prepareRuntime();
    prepareRuntime();
    expect(tf.getGradient('Conv2D')).toBe(gradient);
  });
});
