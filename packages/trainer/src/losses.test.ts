import { useBackend } from '@auxseg/runtime';
import { beforeAll, describe, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { type PackedArray, readFixture, unpack, unpackTensor } from './fixtures/read-fixture.js';
import {
  binaryCrossEntropyWithLogits,
  binaryCrossEntropyWithLogitsReference,
  multiLabelSoftMarginLoss,
  softmaxCrossEntropyWithIgnore,
  softmaxCrossEntropyWithIgnoreReference,
} from './index.js';

interface LossCase {
  logits: PackedArray;
  labels: PackedArray;
  targets: PackedArray;
  loss: number;
  gradient: PackedArray;
}
const cases = readFixture<Record<'multiLabel' | 'binary' | 'softmax', LossCase[]>>('losses.json');

/** Loss and gradient of one function at its logits. */
function evaluate(loss: (logits: tf.Tensor) => tf.Tensor, logits: tf.Tensor) {
  const { value, grad } = tf.valueAndGrad(loss)(logits);
  return { loss: value.dataSync()[0], gradient: grad.dataSync() };
}

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number) {
  expect(actual.length).toBe(expected.length);
  let largest = 0;
  for (let i = 0; i < expected.length; i++) largest = Math.max(largest, Math.abs(expected[i]));
  let worst = 0;
  for (let i = 0; i < expected.length; i++) worst = Math.max(worst, Math.abs(actual[i] - expected[i]));
  expect(worst).toBeLessThanOrEqual(tolerance * largest + 1e-12);
}

function expectCase({ loss, gradient }: LossCase, actual: ReturnType<typeof evaluate>) {
  expect(Math.abs(actual.loss - loss)).toBeLessThanOrEqual(2e-6 * Math.abs(loss) + 1e-9);
  expectClose(actual.gradient, unpack(gradient), 3e-6);
}

/**
 * 'device' is the composition for backends outside host memory; it is run on the cpu kernels under another name, the
 * name being all that the choice depends on.
 */
describe.each(['cpu', 'wasm', 'onnx', 'device'] as const)('losses on %s', (backend) => {
  beforeAll(async () => {
    if (backend !== 'device') {
      await useBackend(backend);
      return;
    }
    if (!tf.findBackend('device')) {
      await useBackend('cpu');
      tf.copyRegisteredKernels('cpu', 'device');
      const CpuBackend = tf.findBackend('cpu').constructor as new () => tf.KernelBackend;
      tf.registerBackend('device', () => new CpuBackend());
    }
    await tf.setBackend('device');
  });

  test('multi-label soft margin equals PyTorch', () => {
    for (const one of cases.multiLabel) {
      const labels = unpackTensor<tf.Tensor2D>(one.labels);
      expectCase(
        one,
        evaluate((x) => multiLabelSoftMarginLoss(x as tf.Tensor2D, labels), unpackTensor(one.logits)),
      );
    }
  });

  test('binary cross-entropy equals PyTorch', () => {
    for (const one of cases.binary) {
      const targets = unpackTensor(one.targets);
      expectCase(
        one,
        evaluate((x) => binaryCrossEntropyWithLogits(x, targets), unpackTensor(one.logits)),
      );
    }
  });

  test('softmax cross-entropy equals PyTorch', () => {
    for (const one of cases.softmax) {
      const labels = unpackTensor<tf.Tensor3D>(one.labels);
      expectCase(
        one,
        evaluate((x) => softmaxCrossEntropyWithIgnore(x as tf.Tensor4D, labels), unpackTensor(one.logits)),
      );
    }
  });

  test('the gradient is scaled by what comes from above', () => {
    const { logits, labels, gradient } = cases.softmax[1];
    const y = unpackTensor<tf.Tensor3D>(labels);
    const scaled = evaluate(
      (x) => tf.mul(softmaxCrossEntropyWithIgnore(x as tf.Tensor4D, y), 3),
      unpackTensor(logits),
    );
    expectClose(
      scaled.gradient,
      unpack(gradient).map((value) => value * 3),
      3e-6,
    );
  });

  test('ignored elements: no loss, no gradient; nothing but them: 0', () => {
    const logits = tf.randomNormal([2, 3, 5, 4], 0, 2, 'float32', 7) as tf.Tensor4D;
    const none = evaluate(
      (x) => softmaxCrossEntropyWithIgnore(x as tf.Tensor4D, tf.fill([2, 3, 5], 255, 'int32')),
      logits,
    );
    expect(none.loss).toBe(0);
    expect(none.gradient.every((value) => value === 0)).toBe(true);

    const targets = tf.tensor([1, -1, 0.25, -1]);
    const all = evaluate(
      (x) => binaryCrossEntropyWithLogits(x, targets, { ignoreNegative: true }),
      tf.tensor([2, 50, -1, -50]),
    );
    const kept = evaluate((x) => binaryCrossEntropyWithLogits(x, tf.tensor([1, 0.25])), tf.tensor([2, -1]));
    expect(all.loss).toBeCloseTo(kept.loss, 6);
    expectClose(all.gradient, [kept.gradient[0], 0, kept.gradient[1], 0], 1e-6);
    const empty = evaluate(
      (x) => binaryCrossEntropyWithLogits(x, tf.fill([4], -1), { ignoreNegative: true }),
      tf.tensor([2, 50, -1, -50]),
    );
    expect(empty.loss).toBe(0);
  });

  test('huge logits stay finite', () => {
    const logits = tf.tensor4d([1e30, -1e30, 0, -1e30, 1e30, 1e30], [1, 1, 2, 3]);
    const { loss, gradient } = evaluate(
      (x) => softmaxCrossEntropyWithIgnore(x as tf.Tensor4D, tf.tensor3d([0, 2], [1, 1, 2], 'int32')),
      logits,
    );
    expect(loss).toBeCloseTo(Math.log(2) / 2, 5);
    expect(gradient.every(Number.isFinite)).toBe(true);
    const binary = evaluate(
      (x) => binaryCrossEntropyWithLogits(x, tf.tensor([1, 0])),
      tf.tensor([1e30, -1e30]),
    );
    expect(binary.loss).toBe(0);
    expectClose(binary.gradient, [0, 0], 0);
  });

  test('leaves only its result behind', () => {
    const logits = tf.randomNormal([1, 3, 5, 4], 0, 2, 'float32', 7) as tf.Tensor4D;
    const labels = tf.zeros([1, 3, 5], 'int32') as tf.Tensor3D;
    const before = tf.memory().numTensors;
    softmaxCrossEntropyWithIgnore(logits, labels).dispose();
    binaryCrossEntropyWithLogits(logits, logits, { ignoreNegative: true }).dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('references and errors', () => {
  beforeAll(() => useBackend('cpu'));

  test('the plain compositions agree with the fast operations', () => {
    const { logits, labels } = cases.softmax[1];
    const x = unpackTensor<tf.Tensor4D>(logits);
    const y = unpackTensor<tf.Tensor3D>(labels);
    const fast = evaluate((z) => softmaxCrossEntropyWithIgnore(z as tf.Tensor4D, y), x);
    const plain = evaluate((z) => softmaxCrossEntropyWithIgnoreReference(z as tf.Tensor4D, y), x);
    expect(fast.loss).toBeCloseTo(plain.loss, 5);
    expectClose(fast.gradient, plain.gradient, 1e-5);

    const t = tf.sub(tf.randomUniform(x.shape, 0, 1, 'float32', 3), 0.2);
    for (const ignoreNegative of [false, true]) {
      const fastBinary = evaluate((z) => binaryCrossEntropyWithLogits(z, t, { ignoreNegative }), x);
      const plainBinary = evaluate((z) => binaryCrossEntropyWithLogitsReference(z, t, { ignoreNegative }), x);
      expect(fastBinary.loss).toBeCloseTo(plainBinary.loss, 5);
      expectClose(fastBinary.gradient, plainBinary.gradient, 1e-5);
    }
  });

  test('a label outside the classes is named with its place', () => {
    const logits = tf.zeros([2, 3, 4, 5]) as tf.Tensor4D;
    const labels = tf.buffer([2, 3, 4], 'int32');
    labels.set(7, 1, 2, 3);
    const call = () => softmaxCrossEntropyWithIgnore(logits, labels.toTensor() as tf.Tensor3D);
    expect(call).toThrow(/labels 0\.\.4 or 255 .* came 7 at x=3, y=2 of image 1/);
  });

  test('shapes that do not match are named', () => {
    expect(() => binaryCrossEntropyWithLogits(tf.zeros([2, 3]), tf.zeros([3, 2]))).toThrow(
      /\[2,3\].*\[3,2\]/,
    );
    expect(() => softmaxCrossEntropyWithIgnore(tf.zeros([1, 2, 2, 3]), tf.zeros([1, 2, 3], 'int32'))).toThrow(
      /\[1,2,2,3\] and \[1,2,3\]/,
    );
    expect(() => multiLabelSoftMarginLoss(tf.zeros([3]) as never, tf.zeros([3]) as never)).toThrow(/\[N,K\]/);
  });
});
