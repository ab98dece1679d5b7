import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { useBackend } from '../backends/use-backend.js';
import { RuntimeError } from '../errors.js';
import { convReference, randomValues, relativeError, seededRandom } from '../float64.test.support.js';
import { wasmKernelSources } from '../generated/wasm-kernels.js';
import type { WasmBackend } from './wasm-heap.js';

/** Faults of tfjs's wasm backend that training runs into; each test fails on the backend as it comes. */
describe('traps of the wasm backend', () => {
  beforeAll(async () => {
    await useBackend('wasm');
  });

  test('a weight that was assigned anew is read anew, though XNNPACK packs filters once', () => {
    const random = seededRandom(1);
    const x = tf.tensor4d(randomValues(1 * 6 * 5 * 3, random), [1, 6, 5, 3]);
    const filter = tf.variable(tf.tensor4d(randomValues(3 * 3 * 3 * 4, random), [3, 3, 3, 4]));
    const geometry = { batch: 1, height: 6, width: 5, channels: 3, filters: 4 };
    const shape = { kernel: [3, 3], strides: [1, 1], dilations: [1, 1], pads: [1, 1, 1, 1] };
    for (let step = 0; step < 3; step++) {
      const y = tf.conv2d(x, filter, 1, 'same');
      const c = { ...geometry, ...shape } as Parameters<typeof convReference>[0];
      const expected = convReference(c, x.dataSync(), filter.dataSync(), new Float32Array(y.size)).y;
      expect(relativeError(y.dataSync(), expected)).toBeLessThan(1e-5);
      filter.assign(tf.tensor4d(randomValues(filter.size, random), filter.shape));
    }
  });

  test.each([
    [[2, 3], [3]],
    [[3], [2, 3]],
    [
      [2, 1],
      [1, 3],
    ],
    [[1], [2, 2]],
  ])('matMul broadcasts outer dimensions %j and %j', (outerA, outerB) => {
    const random = seededRandom(5);
    const values = (shape: number[]) => tf.tensor(randomValues(tf.util.sizeFromShape(shape), random), shape);
    const a = values([...outerA, 2, 4]);
    const b = values([...outerB, 4, 3]);
    // Products by columns and rows, where broadcasting is the multiplication's own.
    const expected = tf.sum(tf.mul(tf.expandDims(a, -1), tf.expandDims(b, -3)), -2);
    const product = tf.matMul(a, b);
    expect(product.shape).toEqual(expected.shape);
    expect(relativeError(product.dataSync(), expected.dataSync())).toBeLessThan(1e-5);
  });

  test('the same data as B of matMul in another shape is packed anew', () => {
    const values = randomValues(24, seededRandom(2));
    const b = tf.tensor2d(values, [4, 6]);
    const reference = (rows: number, columns: number) =>
      Float32Array.from({ length: columns }, (_, j) => {
        let sum = 0;
        for (let i = 0; i < rows; i++) sum += values[i * columns + j];
        return sum;
      });
    for (const [rows, columns] of [
      [4, 6],
      [6, 4],
      [3, 8],
      [12, 2],
    ]) {
      const view = tf.reshape(b, [rows, columns]) as tf.Tensor2D;
      const ones = tf.ones([1, rows]) as tf.Tensor2D;
      expect(relativeError(tf.matMul(ones, view).dataSync(), reference(rows, columns))).toBeLessThan(1e-5);
      const fused = tf.fused.matMul({ a: ones, b: view, bias: tf.zeros([columns]), activation: 'linear' });
      expect(relativeError(fused.dataSync(), reference(rows, columns))).toBeLessThan(1e-5);
    }
  });

  test('numeric padding with a non-square kernel writes inside its output only', () => {
    const random = seededRandom(3);
    const x = tf.tensor4d(randomValues(9 * 10 * 2, random), [1, 9, 10, 2]);
    for (const kernel of [
      [1, 5],
      [5, 1],
      [2, 4],
    ] as [number, number][]) {
      const filter = tf.tensor4d(randomValues(kernel[0] * kernel[1] * 2 * 3, random), [...kernel, 2, 3]);
      const wide = tf.tensor4d(randomValues(kernel[0] * kernel[1] * 2, random), [...kernel, 2, 1]);
      const bystanders = Array.from({ length: 20 }, (_, i) => tf.fill([37], i));
      const y = tf.conv2d(x, filter, 1, 2);
      const z = tf.depthwiseConv2d(x, wide, 1, 2);
      const c = {
        ...{ batch: 1, height: 9, width: 10, channels: 2, kernel },
        ...{ strides: [1, 1], dilations: [1, 1], pads: [2, 2, 2, 2] },
      } as unknown as Parameters<typeof convReference>[0];
      const none = new Float32Array(100000);
      const expected = convReference({ ...c, filters: 3 }, x.dataSync(), filter.dataSync(), none).y;
      expect(y.shape).toEqual([1, 14 - kernel[0], 15 - kernel[1], 3]);
      expect(relativeError(y.dataSync(), expected)).toBeLessThan(1e-5);
      const expectedWide = convReference({ ...c, filters: 1 }, x.dataSync(), wide.dataSync(), none, true).y;
      expect(relativeError(z.dataSync(), expectedWide)).toBeLessThan(1e-5);
      bystanders.forEach((tensor, i) => {
        expect(tensor.dataSync().every((value) => value === i)).toBe(true);
      });
    }
  });

  test('slices of every rank and type agree with the cpu backend', async () => {
    const random = seededRandom(4);
    const integer = (low: number, high: number) => low + Math.floor(random() * (high - low + 1));
    const cases = Array.from({ length: 60 }, () => {
      const shape = Array.from({ length: integer(1, 6) }, () => integer(1, 5));
      const begin = shape.map((size) => integer(0, size - 1));
      const size = shape.map((total, axis) =>
        random() < 0.4 ? total - begin[axis] : integer(1, total - begin[axis]),
      );
      const whole = shape.map(() => random() < 0.4);
      return {
        shape,
        begin: begin.map((start, axis) => (whole[axis] ? 0 : start)),
        size: size.map((count, axis) => (whole[axis] ? shape[axis] : count)),
      };
    });
    const run = () =>
      cases.map(({ shape, begin, size }) => {
        const ramp = tf.reshape(tf.range(0, tf.util.sizeFromShape(shape), 1), shape);
        return [
          [...tf.slice(ramp, begin, size).dataSync()],
          [...tf.slice(tf.cast(ramp, 'int32'), begin, size).dataSync()],
          [...tf.slice(tf.cast(tf.mod(ramp, 2), 'bool'), begin, size).dataSync()],
        ];
      });
    const actual = run();
    await useBackend('cpu');
    const expected = run();
    await useBackend('wasm');
    expect(actual).toEqual(expected);
  });

  test('a clone shares the data and outlives the original', () => {
    const x = tf.tensor1d([1, 2, 3]);
    const backend = tf.backend() as unknown as { numDataIds(): number };
    const before = backend.numDataIds();
    const copy = tf.clone(x);
    expect(backend.numDataIds()).toBe(before);
    x.dispose();
    expect([...copy.dataSync()]).toEqual([1, 2, 3]);
    copy.dispose();
    expect(backend.numDataIds()).toBe(before - 1);
  });

  test('a full heap is an error that says so, and the backend goes on', () => {
    const backend = tf.backend() as unknown as WasmBackend;
    const gibibyte = 2 ** 28;
    const held: tf.TensorInfo[] = [];
    let failure: unknown;
    try {
      for (let i = 0; i < 5; i++) held.push(backend.makeOutput([gibibyte], 'float32'));
    } catch (error) {
      failure = error;
    }
    for (const info of held) backend.disposeData(info.dataId);
    expect(held.length).toBeGreaterThanOrEqual(2);
    expect(failure).toBeInstanceOf(RuntimeError);
    expect((failure as RuntimeError).code).toBe('wasm-heap-exhausted');
    expect((failure as RuntimeError).message).toMatch(/1024 MiB.*4 GiB.*smaller.*onnx/);
    expect([...tf.add(tf.tensor1d([1, 2]), 1).dataSync()]).toEqual([2, 3]);
  });

  test('an operation that finds no room inside the native code is an error too', () => {
    const backend = tf.backend() as unknown as WasmBackend;
    const x = tf.ones([1, 4, 4, 512]) as tf.Tensor4D;
    const expected = 9 * 512;
    const held: tf.TensorInfo[] = [];
    for (let size = 2 ** 28; size >= 2 ** 20; ) {
      try {
        held.push(backend.makeOutput([size], 'float32'));
      } catch {
        size /= 2;
      }
    }
    // The filter comes last, where a block is given back: 9 MiB fit once, not twice.
    const whole = held.splice(0, 1)[0];
    backend.disposeData(whole.dataId);
    const filter = tf.ones([3, 3, 512, 512]) as tf.Tensor4D;
    for (let size = 2 ** 28; size >= 2 ** 20; ) {
      try {
        held.push(backend.makeOutput([size], 'float32'));
      } catch {
        size /= 2;
      }
    }
    const failures = [
      () => tf.conv2d(x, filter, 1, 'same'),
      () => tf.matMul(tf.ones([4, 512]), tf.reshape(filter, [512, 4608])),
    ].map((run) => {
      try {
        run();
        return null;
      } catch (error) {
        return error;
      }
    });
    for (const info of held) backend.disposeData(info.dataId);
    for (const failure of failures) {
      expect(failure).toBeInstanceOf(RuntimeError);
      expect((failure as RuntimeError).message).toMatch(/full|room/);
    }
    expect(tf.conv2d(x, filter, 1, 'same').dataSync()[(1 * 4 + 1) * 512]).toBe(expected);
  });

  test('the compiled kernels in src/generated are of the sources in assembly/', () => {
    const hash = createHash('sha256');
    for (const file of ['fuse-affinities.ts', 'index.ts']) {
      hash.update(readFileSync(new URL(`../../assembly/${file}`, import.meta.url)));
    }
    expect(wasmKernelSources).toBe(hash.digest('hex'));
  });
});
