import { describe, expect, test } from '@jest/globals';
import { OnnxBackendError } from './onnx-backend-error.js';
import type { OnnxGraph } from './onnx-model.js';
import { loadOrtBinding } from './ort-binding.js';
import { floatTensor } from './ort-tensor.js';
import { SessionCache } from './session-cache.js';

/** y = x + constant. */
const addConstant = (constant: number) => (): OnnxGraph => ({
  nodes: [{ op: 'Add', inputs: ['x', 'c'], outputs: ['y'] }],
  inputs: [{ name: 'x', type: 'float32', rank: 1 }],
  outputs: [{ name: 'y', type: 'float32', rank: 1 }],
  initializers: [{ name: 'c', type: 'float32', dims: [], data: Float32Array.of(constant) }],
});

function run(cache: SessionCache, constant: number, size = 3): Float32Array {
  const x = new Float32Array(size).fill(1);
  const y = new Float32Array(size);
  cache.run(
    `add/${constant}`,
    addConstant(constant),
    { x: floatTensor(x, [size]) },
    { y: floatTensor(y, [size]) },
  );
  return y;
}

describe('SessionCache', () => {
  test('never holds more sessions than its limit and drops the one unused longest', () => {
    const cache = new SessionCache(loadOrtBinding(), { limit: 3, threads: 1 });
    for (const constant of [1, 2, 3]) run(cache, constant);
    run(cache, 1);
    run(cache, 4);
    expect(cache.stats()).toEqual({ size: 3, limit: 3, created: 4, evicted: 1, runs: 5 });
    run(cache, 1);
    expect(cache.stats().created).toBe(4);
    run(cache, 2);
    expect(cache.stats()).toMatchObject({ size: 3, created: 5, evicted: 2 });
    cache.dispose();
    expect(cache.stats().size).toBe(0);
  });

  // Above 128 KiB a session makes the binding stop before it copies the result; both ways must fill our array.
  test.each([3, 100_000])('writes %d results into the array that it is given', (size) => {
    const cache = new SessionCache(loadOrtBinding(), { limit: 4, threads: 1 });
    expect(run(cache, 41, size).every((value) => value === 42)).toBe(true);
    cache.dispose();
  });

  test('runs the same graph on several threads', () => {
    const cache = new SessionCache(loadOrtBinding(), { limit: 4, threads: 2 });
    expect(run(cache, 1, 300_000).every((value) => value === 2)).toBe(true);
    cache.dispose();
  });

  test.each([3, 100_000])('reports what onnxruntime refuses, at size %d', (size) => {
    const cache = new SessionCache(loadOrtBinding(), { limit: 4, threads: 1 });
    const attempt = () =>
      cache.run(
        'mismatch',
        addConstant(1),
        { x: floatTensor(new Float32Array(size), [size]) },
        { y: floatTensor(new Float32Array(size + 1), [size + 1]) },
      );
    expect(attempt).toThrow(OnnxBackendError);
    expect(attempt).toThrow(/could not run "mismatch" with shapes .*"x":\[\d+\]/);
    cache.dispose();
  });
});
