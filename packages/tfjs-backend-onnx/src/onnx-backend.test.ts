import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { OnnxBackend } from './onnx-backend.js';
import { registerOnnxBackend } from './register-onnx-backend.js';

const MIB = 2 ** 20;
let backend: OnnxBackend;

beforeAll(async () => {
  await registerOnnxBackend({ threads: 2 });
  await tf.setBackend('onnx');
  backend = tf.backend() as unknown as OnnxBackend;
});
afterAll(() => tf.disposeVariables());

describe('memory', () => {
  test('is reused: repeating a computation allocates nothing new', () => {
    const compute = () =>
      tf.tidy(() => {
        const x = tf.ones([64, 33, 33]) as tf.Tensor3D;
        return tf.sum(tf.relu(tf.matMul(tf.mul(x, 2), x))).dataSync()[0];
      });
    const first = compute();
    compute();
    const before = { ...backend.stats().arrays, tensors: tf.memory().numTensors };
    for (let i = 0; i < 5; i++) expect(compute()).toBe(first);
    const after = backend.stats().arrays;
    expect(after.allocated).toBe(before.allocated);
    expect(after.usedBytes).toBe(before.usedBytes);
    expect(after.reused).toBeGreaterThan(before.reused);
    expect(tf.memory().numTensors).toBe(before.tensors);
  });

  test('that a caller has read is never overwritten', () => {
    const x = tf.ones([MIB / 4]);
    const doubled = tf.mul(x, 2);
    const kept = doubled.dataSync();
    doubled.dispose();
    const others = [3, 4, 5].map((factor) => tf.mul(x, factor));
    expect(kept.every((value) => value === 2)).toBe(true);
    tf.dispose([x, ...others]);
  });

  test('of a tensor survives the disposal of another tensor over the same values', () => {
    // The cpu backend's Real kernel makes such a pair; so may any fallback kernel.
    const x = tf.mul(tf.ones([MIB / 4]), 3);
    const info = backend.makeTensorInfo(x.shape, 'float32', backend.numbers(x));
    x.dispose();
    const other = tf.mul(tf.ones([MIB / 4]), 9);
    expect(backend.floats(info).every((value) => value === 3)).toBe(true);
    backend.disposeData(info.dataId);
    other.dispose();
  });

  test('moves between backends', async () => {
    const x = tf.tensor1d([1, 2, 3]);
    await tf.setBackend('cpu');
    const y = tf.add(x, 1);
    await tf.setBackend('onnx');
    expect([...tf.mul(y, x).dataSync()]).toEqual([2, 6, 12]);
  });
});

describe('inputs of unusual kinds', () => {
  test('views, shared memory and zero-sized tensors', () => {
    const values = Float32Array.from({ length: 10_000 }, (_, i) => i);
    const view = tf.tensor1d(values.subarray(1, 9001));
    expect(tf.relu(view).dataSync()[10]).toBe(11);
    const shared = new Float32Array(new SharedArrayBuffer(4 * 9000));
    shared.fill(2);
    expect(tf.relu(tf.tensor1d(shared)).dataSync()[7]).toBe(2);
    expect(tf.matMul(tf.zeros([3, 0]), tf.zeros([0, 2])).shape).toEqual([3, 2]);
    expect(
      tf.conv2d(tf.zeros([0, 5, 5, 8]) as tf.Tensor4D, tf.ones([3, 3, 8, 4]) as tf.Tensor4D, 1, 'same').shape,
    ).toEqual([0, 5, 5, 4]);
  });

  test('complex, string and integer tensors take the cpu path', () => {
    const z = tf.complex([1, 2], [3, 4]);
    expect([...tf.real(tf.add(z, z)).dataSync()]).toEqual([2, 4]);
    expect(tf.tensor1d(['a', 'b']).dataSync()).toEqual(['a', 'b']);
    expect([...tf.add(tf.tensor1d([1, 2], 'int32'), 1).dataSync()]).toEqual([2, 3]);
  });
});

test('threads change no result', async () => {
  const x = tf.randomNormal([1, 33, 33, 32], 0, 1, 'float32', 1) as tf.Tensor4D;
  const w = tf.randomNormal([3, 3, 32, 48], 0, 1, 'float32', 2) as tf.Tensor4D;
  const two = tf.conv2d(x, w, 1, 'same').dataSync();
  const single = new OnnxBackend({ threads: 1 });
  const inputs = {
    x: single.makeTensorInfo(x.shape, 'float32', x.dataSync()),
    filter: single.makeTensorInfo(w.shape, 'float32', w.dataSync()),
  };
  const attrs = { strides: [1, 1], pad: 'same', dataFormat: 'NHWC', dilations: [1, 1] };
  const y = tf.getKernel('Conv2D', 'onnx').kernelFunc({ inputs, attrs: attrs as never, backend: single });
  const one = single.floats(y as tf.TensorInfo);
  expect(one.every((value, i) => value === two[i])).toBe(true);
  single.dispose();
});

test('the number of threads can change between operations', () => {
  const before = backend.stats().sessions.created;
  const x = tf.randomNormal([70, 80], 0, 1, 'float32', 1) as tf.Tensor2D;
  const two = tf.matMul(x, x, false, true).dataSync();
  backend.threads = 1;
  const one = tf.matMul(x, x, false, true).dataSync();
  backend.threads = 2;
  tf.matMul(x, x, false, true).dispose();
  expect(one).toEqual(two);
  // A session of each number, and the first is found again.
  expect(backend.stats().sessions.created - before).toBe(2);
});

test('registering again is harmless, a senseless option is not', async () => {
  await registerOnnxBackend();
  expect(backend.stats().threads).toBe(2);
  const refused: [object, RegExp][] = [
    [{ threads: 0 }, /threads to be an integer from 1 to 256, got 0/],
    [{ sessionLimit: 0 }, /sessionLimit to be an integer from 1, got 0/],
    [{ poolBytes: -1 }, /poolBytes/],
    [{ smallTensor: Number.NaN }, /smallTensor/],
    [{ thread: 2 }, /no option but threads, .*; got thread\./],
  ];
  for (const [options, message] of refused)
    await expect(registerOnnxBackend(options)).rejects.toThrow(message);
  for (const threads of [0, 1.5, Number.NaN, 1000]) {
    expect(() => {
      backend.threads = threads;
    }).toThrow(/integer from 1 to 256/);
  }
  expect(backend.threads).toBe(2);
});

test('sessions stay within the limit when shapes keep changing', () => {
  for (let size = 90; size < 130; size++) {
    tf.tidy(() => tf.matMul(tf.ones([size, size + 1]), tf.ones([size + 1, size])));
  }
  const { size, limit, created } = backend.stats().sessions;
  expect(size).toBeLessThanOrEqual(limit);
  // Extents are free in a session: forty shapes, one product.
  expect(created).toBeLessThan(40);
});
