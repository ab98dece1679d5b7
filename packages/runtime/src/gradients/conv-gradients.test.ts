import { beforeAll, describe, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { useBackend } from '../backends/use-backend.js';
import {
  type ConvCase,
  convReference,
  outputSize,
  randomValues,
  relativeError,
  seededRandom,
} from '../float64.test.support.js';
import { convolution } from '../ops/convolution.js';
import { testedBackends } from '../tested-backends.test.support.js';
import { explicitPads } from './conv-geometry.js';
import {
  composeConv2DFilterGradient,
  composeConv2DInputGradient,
  composeDepthwiseFilterGradient,
  composeDepthwiseInputGradient,
} from './conv2d-gradients.js';

const tolerance = 2e-5;

/** Random geometries, odd and non-square on purpose; every fourth is a shape that the networks use. */
function randomCases(count: number, seed: number, strideOrDilation: boolean): ConvCase[] {
  const random = seededRandom(seed);
  const integer = (low: number, high: number) => low + Math.floor(random() * (high - low + 1));
  const cases: ConvCase[] = [];
  while (cases.length < count) {
    const plain = random() < 0.5;
    const candidate: ConvCase = {
      batch: integer(1, 3),
      height: integer(1, 13),
      width: integer(1, 13),
      channels: integer(1, 7),
      filters: integer(1, 6),
      kernel: [integer(1, 5), integer(1, 4)],
      strides: strideOrDilation && plain ? [1, 1] : [integer(1, 3), integer(1, 3)],
      dilations: strideOrDilation && !plain ? [1, 1] : [integer(1, 4), integer(1, 3)],
      pads: [integer(0, 5), integer(0, 4), integer(0, 4), integer(0, 5)],
    };
    if (outputSize(candidate).every((size) => size > 0)) cases.push(candidate);
  }
  return cases;
}

const named: ConvCase[] = [
  {
    batch: 1,
    height: 9,
    width: 7,
    channels: 3,
    filters: 4,
    kernel: [3, 3],
    strides: [1, 1],
    dilations: [6, 6],
    pads: [6, 6, 6, 6],
  },
  {
    batch: 2,
    height: 11,
    width: 8,
    channels: 2,
    filters: 3,
    kernel: [3, 3],
    strides: [2, 2],
    dilations: [1, 1],
    pads: [1, 1, 1, 1],
  },
  {
    batch: 2,
    height: 7,
    width: 10,
    channels: 5,
    filters: 2,
    kernel: [1, 1],
    strides: [2, 2],
    dilations: [1, 1],
    pads: [0, 0, 0, 0],
  },
  {
    batch: 1,
    height: 6,
    width: 5,
    channels: 4,
    filters: 4,
    kernel: [1, 1],
    strides: [1, 1],
    dilations: [1, 1],
    pads: [0, 0, 0, 0],
  },
  {
    batch: 1,
    height: 5,
    width: 6,
    channels: 2,
    filters: 3,
    kernel: [2, 1],
    strides: [3, 3],
    dilations: [1, 1],
    pads: [2, 2, 2, 2],
  },
  {
    batch: 1,
    height: 4,
    width: 5,
    channels: 2,
    filters: 3,
    kernel: [3, 2],
    strides: [1, 1],
    dilations: [1, 1],
    pads: [4, 4, 3, 3],
  },
];

const describeCase = (c: ConvCase) =>
  `${c.batch}x${c.height}x${c.width}x${c.channels} k${c.kernel} f${c.filters} s${c.strides} d${c.dilations} p${c.pads}`;

function tensors(c: ConvCase, depthwise: boolean, seed: number) {
  const random = seededRandom(seed);
  const [oh, ow] = outputSize(c);
  const outChannels = depthwise ? c.channels * c.filters : c.filters;
  const values = {
    x: randomValues(c.batch * c.height * c.width * c.channels, random),
    filter: randomValues(c.kernel[0] * c.kernel[1] * c.channels * c.filters, random),
    dy: randomValues(c.batch * oh * ow * outChannels, random),
  };
  return {
    values,
    x: tf.tensor4d(values.x, [c.batch, c.height, c.width, c.channels]),
    filter: tf.tensor4d(values.filter, [c.kernel[0], c.kernel[1], c.channels, c.filters]),
    dy: tf.tensor4d(values.dy, [c.batch, oh, ow, outChannels]),
  };
}

type Op = (x: tf.Tensor4D, filter: tf.Tensor4D, c: ConvCase) => tf.Tensor4D;

function check(c: ConvCase, op: Op, depthwise: boolean, seed: number): void {
  const { values, x, filter, dy } = tensors(c, depthwise, seed);
  const expected = convReference(c, values.x, values.filter, values.dy, depthwise);
  const before = tf.memory().numTensors;
  const y = op(x, filter, c);
  const [dx, dFilter] = tf.grads((a, b) => op(a as tf.Tensor4D, b as tf.Tensor4D, c))([x, filter], dy);
  expect([describeCase(c), 'y', relativeError(y.dataSync(), expected.y) < tolerance]).toEqual([
    describeCase(c),
    'y',
    true,
  ]);
  expect([describeCase(c), 'dx', relativeError(dx.dataSync(), expected.dx) < tolerance]).toEqual([
    describeCase(c),
    'dx',
    true,
  ]);
  expect([
    describeCase(c),
    'dFilter',
    relativeError(dFilter.dataSync(), expected.dFilter) < tolerance,
  ]).toEqual([describeCase(c), 'dFilter', true]);
  tf.dispose([y, dx, dFilter]);
  expect(tf.memory().numTensors).toBe(before);
  tf.dispose([x, filter, dy]);
}

describe.each(await testedBackends())('convolution gradients on %s', (backend) => {
  beforeAll(async () => {
    await useBackend(backend);
  });

  test('tf.conv2d against the float64 definition', () => {
    const op: Op = (x, filter, c) =>
      tf.conv2d(x, filter, c.strides, explicitPads(c.pads), 'NHWC', c.dilations);
    [...named, ...randomCases(24, 1, true)].forEach((c, i) => {
      check(c, op, false, i);
    });
  });

  test('tf.depthwiseConv2d against the float64 definition', () => {
    const op: Op = (x, filter, c) =>
      tf.depthwiseConv2d(x, filter, c.strides, explicitPads(c.pads), 'NHWC', c.dilations);
    [...named, ...randomCases(24, 2, true)].forEach((c, i) => {
      check({ ...c, filters: i % 3 === 0 ? 2 : 1 }, op, true, i);
    });
  });

  test('our convolution at stride and dilation together', () => {
    const op: Op = (x, filter, c) =>
      convolution({ x, filter, strides: c.strides, pads: c.pads, dilations: c.dilations });
    randomCases(16, 3, false).forEach((c, i) => {
      check(c, op, false, i);
    });
    const depthwise: Op = (x, filter, c) =>
      convolution({ x, filter, strides: c.strides, pads: c.pads, dilations: c.dilations, depthwise: true });
    randomCases(16, 4, false).forEach((c, i) => {
      check({ ...c, filters: 1 }, depthwise, true, i);
    });
  });

  test('the compositions that backends without kernels of ours get', () => {
    [...named, ...randomCases(12, 6, false)].forEach((c, i) => {
      for (const depthwise of [false, true]) {
        const one = { ...c, filters: depthwise ? 1 + (i % 2) : c.filters };
        const { values, x, filter, dy } = tensors(one, depthwise, i);
        const expected = convReference(one, values.x, values.filter, values.dy, depthwise);
        const dx = depthwise
          ? composeDepthwiseInputGradient(dy, filter, x.shape, one)
          : composeConv2DInputGradient(dy, filter, x.shape, one);
        const dFilter = depthwise
          ? composeDepthwiseFilterGradient(x, dy, filter.shape, one)
          : composeConv2DFilterGradient(x, dy, filter.shape, one);
        expect(relativeError(dx.dataSync(), expected.dx)).toBeLessThan(tolerance);
        expect(relativeError(dFilter.dataSync(), expected.dFilter)).toBeLessThan(tolerance);
        tf.dispose([x, filter, dy, dx, dFilter]);
      }
    });
  });

  test('tf.fused.conv2d and tf.fused.depthwiseConv2d, dilated, with and without bias', () => {
    const random = seededRandom(9);
    randomCases(12, 5, true).forEach((c, i) => {
      for (const depthwise of [false, true]) {
        const one = { ...c, filters: depthwise ? 1 : c.filters };
        const { values, x, filter, dy } = tensors(one, depthwise, i);
        const expected = convReference(one, values.x, values.filter, values.dy, depthwise);
        const channels = dy.shape[3];
        const bias = tf.tensor1d(randomValues(channels, random));
        const fused = depthwise ? tf.fused.depthwiseConv2d : tf.fused.conv2d;
        const run = (a: tf.Tensor, b: tf.Tensor, withBias?: tf.Tensor) =>
          fused({
            x: a as tf.Tensor4D,
            filter: b as tf.Tensor4D,
            strides: one.strides,
            pad: explicitPads(one.pads) as never,
            dilations: one.dilations,
            bias: withBias,
          });
        const [dx, dFilter] = tf.grads((a, b) => run(a, b))([x, filter], dy);
        const [dx2, dFilter2, dBias] = tf.grads((a, b, d) => run(a, b, d))([x, filter, bias], dy);
        const expectedBias = new Float64Array(channels);
        values.dy.forEach((value, index) => {
          expectedBias[index % channels] += value;
        });
        for (const gradient of [dx, dx2])
          expect(relativeError(gradient.dataSync(), expected.dx)).toBeLessThan(tolerance);
        for (const gradient of [dFilter, dFilter2]) {
          expect(relativeError(gradient.dataSync(), expected.dFilter)).toBeLessThan(tolerance);
        }
        expect(relativeError(dBias.dataSync(), expectedBias)).toBeLessThan(tolerance);
        tf.dispose([x, filter, dy, bias, dx, dx2, dFilter, dFilter2, dBias]);
      }
    });
  });

  test('same, valid and numeric padding give the gradients of the explicit padding they stand for', () => {
    const base: ConvCase = {
      batch: 2,
      height: 8,
      width: 11,
      channels: 3,
      filters: 2,
      kernel: [3, 2],
      strides: [2, 3],
      dilations: [1, 1],
      pads: [0, 0, 0, 0],
    };
    const same: ConvCase = { ...base, pads: [0, 1, 0, 0] };
    const numeric: ConvCase = { ...base, pads: [2, 2, 2, 2] };
    check(base, (x, filter, c) => tf.conv2d(x, filter, c.strides, 'valid'), false, 1);
    check(same, (x, filter, c) => tf.conv2d(x, filter, c.strides, 'same'), false, 2);
    check(numeric, (x, filter, c) => tf.conv2d(x, filter, c.strides, 2), false, 3);
    check({ ...numeric, filters: 1 }, (x, filter, c) => tf.depthwiseConv2d(x, filter, c.strides, 2), true, 4);
  });

  test('dimRoundingMode ceil reads past the padded border in both directions', () => {
    const c: ConvCase = {
      batch: 1,
      height: 6,
      width: 7,
      channels: 2,
      filters: 2,
      kernel: [3, 3],
      strides: [2, 2],
      dilations: [1, 1],
      pads: [1, 1, 1, 1],
    };
    check(c, (x, filter) => tf.conv2d(x, filter, 2, 1, 'NHWC', 1, 'floor'), false, 5);
  });

  test('stock tf.layers.conv2d trains with dilation, linear and relu', () => {
    const { values, x } = tensors({ ...named[0], filters: 2 }, false, 11);
    void values;
    for (const activation of [undefined, 'relu'] as const) {
      const layer = tfl.layers.conv2d({
        filters: 2,
        kernelSize: 3,
        dilationRate: 2,
        padding: 'same',
        activation,
        biasInitializer: 'ones',
      });
      layer.apply(x);
      const [kernel, bias] = layer.getWeights();
      const { grads } = tf.variableGrads(() => tf.sum(tf.square(layer.apply(x) as tf.Tensor)) as tf.Scalar);
      const [n, h, w, channels] = x.shape;
      const c: ConvCase = {
        batch: n,
        height: h,
        width: w,
        channels,
        filters: 2,
        kernel: [3, 3],
        strides: [1, 1],
        dilations: [2, 2],
        pads: [2, 2, 2, 2],
      };
      const b = bias.dataSync();
      const linear = convReference(c, x.dataSync(), kernel.dataSync(), new Float32Array(n * h * w * 2)).y;
      const y = linear
        .map((value, i) => value + b[i % 2])
        .map((value) => (activation === 'relu' ? Math.max(0, value) : value));
      const dy = y.map((value) => 2 * value);
      const { dFilter } = convReference(c, x.dataSync(), kernel.dataSync(), dy);
      const dBias = [0, 0];
      dy.forEach((value, i) => {
        dBias[i % 2] += value;
      });
      const byShape = Object.values(grads);
      expect(relativeError(byShape.find((g) => g.rank === 4)!.dataSync(), dFilter)).toBeLessThan(tolerance);
      expect(relativeError(byShape.find((g) => g.rank === 1)!.dataSync(), dBias)).toBeLessThan(tolerance);
      tf.dispose(grads);
      layer.dispose();
    }
    x.dispose();
  });

  test('tf.conv2dTranspose trains', () => {
    const c = named[1];
    const { values, x, filter, dy } = tensors(c, false, 3);
    const expected = convReference(c, values.x, values.filter, values.dy);
    const op = (d: tf.Tensor, f: tf.Tensor) =>
      tf.conv2dTranspose(
        d as tf.Tensor4D,
        f as tf.Tensor4D,
        x.shape,
        c.strides,
        explicitPads(c.pads) as never,
      );
    const y = op(dy, filter);
    expect(relativeError(y.dataSync(), expected.dx)).toBeLessThan(tolerance);
    const [dDy, dFilter] = tf.grads(op)([dy, filter], x);
    expect(relativeError(dDy.dataSync(), expected.y)).toBeLessThan(tolerance);
    expect(relativeError(dFilter.dataSync(), expected.dFilter)).toBeLessThan(tolerance);
  });

  test('a second derivative of a dilated convolution agrees with the first', () => {
    const c: ConvCase = { ...named[0], height: 5, width: 4, dilations: [2, 2], pads: [2, 2, 2, 2] };
    const { x, filter } = tensors(c, false, 8);
    const energy = (a: tf.Tensor) =>
      tf.sum(tf.square(tf.conv2d(a as tf.Tensor4D, filter, 1, explicitPads(c.pads), 'NHWC', c.dilations)));
    // The energy is quadratic, so half the gradient of |gradient|^2 is the Hessian applied to the gradient.
    const gradient = tf.grad(energy)(x);
    const hessianTimesGradient = tf.grad((a) => tf.mul(0.5, tf.sum(tf.square(tf.grad(energy)(a)))))(x);
    const expected = tf.grad(energy)(gradient as tf.Tensor4D);
    expect(relativeError(hessianTimesGradient.dataSync(), expected.dataSync())).toBeLessThan(1e-4);
  });

  test('a frozen filter costs no gradient and keeps no input', () => {
    const { x, filter, dy } = tensors(named[1], false, 4);
    const inputBytes = x.size * 4;
    const keptBytes = (trainable: boolean) => {
      let kept = 0;
      tf.grad((scale) => {
        const own = tf.mul(x, scale);
        const y = convolution({
          x: own as tf.Tensor4D,
          filter,
          strides: [2, 2],
          pads: [1, 1, 1, 1],
          dilations: [1, 1],
          trainable,
        });
        own.dispose();
        kept = tf.memory().numBytes;
        return tf.sum(tf.mul(y, dy));
      })(tf.scalar(2));
      return kept;
    };
    const frozen = keptBytes(false);
    const trained = keptBytes(true);
    expect(trained - frozen).toBeGreaterThanOrEqual(inputBytes);
    const frozenRun = (f: tf.Tensor) =>
      convolution({
        ...{
          x,
          filter: f as tf.Tensor4D,
          strides: [2, 2],
          pads: [1, 1, 1, 1],
          dilations: [1, 1],
          trainable: false,
        },
      });
    expect(() => tf.grad(frozenRun)(filter, dy)).toThrow(/frozen filter \[3,3,2,3\]/);
  });
});
