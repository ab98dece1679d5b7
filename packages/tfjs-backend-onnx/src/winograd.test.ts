import { beforeAll, describe, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import {
  bruteForce,
  type Case,
  expectClose,
  noise,
  outputSize,
  product,
} from './convolution.test.support.js';
import { type ConvGeometry, geometryOfShapes } from './kernels/conv-geometry.js';
import { winogradForward, winogradGradFilter } from './kernels/winograd.js';
import { planWinograd, tilingOf } from './kernels/winograd-tiling.js';
import { OnnxBackend } from './onnx-backend.js';
import { registerOnnxBackend } from './register-onnx-backend.js';

const common = { kernel: [3, 3], strides: [1, 1] } satisfies Partial<Case>;

function geometry(c: Case): ConvGeometry {
  const shape = [c.x[0], outputSize(c, 0), outputSize(c, 1), c.out];
  return geometryOfShapes(c.x, shape, [3, 3, c.x[3], c.out], c);
}

/** The geometry of the convolution of dy that is the input gradient. */
function adjoint(g: ConvGeometry): ConvGeometry {
  const [h, w] = g.dilations;
  const [top, bottom, left, right] = g.pads;
  return {
    ...g,
    ...{ inHeight: g.outHeight, inWidth: g.outWidth, inChannels: g.outChannels },
    ...{ outHeight: g.inHeight, outWidth: g.inWidth, outChannels: g.inChannels },
    pads: [2 * h - top, 2 * h - bottom, 2 * w - left, 2 * w - right],
  };
}

let backend: OnnxBackend;
beforeAll(() => {
  backend = new OnnxBackend({ threads: 2 });
});

const FIXED: Case[] = [
  { ...common, x: [2, 8, 10, 8], out: 4, dilations: [1, 1], pads: [1, 1, 1, 1] },
  { ...common, x: [3, 7, 9, 4], out: 12, dilations: [1, 1], pads: [1, 1, 1, 1] },
  { ...common, x: [1, 1, 1, 4], out: 4, dilations: [1, 1], pads: [1, 1, 1, 1] },
  { ...common, x: [1, 3, 3, 4], out: 4, dilations: [1, 1], pads: [0, 0, 0, 0] },
  { ...common, x: [2, 21, 13, 8], out: 8, dilations: [6, 4], pads: [6, 6, 4, 4] },
  { ...common, x: [1, 5, 4, 4], out: 8, dilations: [9, 12], pads: [9, 9, 12, 12] },
  { ...common, x: [2, 11, 12, 4], out: 4, dilations: [2, 3], pads: [0, 4, 5, 1] },
  { ...common, x: [1, 23, 22, 132], out: 68, dilations: [1, 1], pads: [1, 1, 1, 1] },
];

/** Dilations up to 5, any pads up to the filter's reach, sizes that tiles do not divide. */
const RANDOM: Case[] = Array.from({ length: 60 }, (_, seed) => {
  const draws = noise(16, 100 + seed);
  let i = 0;
  const upTo = (n: number) => Math.min(n, Math.floor(((draws[i++] + 1) / 2) * (n + 1)));
  const dilations: [number, number] = [1 + upTo(4), 1 + upTo(4)];
  const pads = [dilations[0], dilations[0], dilations[1], dilations[1]].map((d) => upTo(2 * d));
  return {
    ...common,
    x: [
      1 + upTo(2),
      Math.max(1, 2 * dilations[0] + 1 - pads[0] - pads[1]) + upTo(11),
      Math.max(1, 2 * dilations[1] + 1 - pads[2] - pads[3]) + upTo(11),
      4 * (1 + upTo(4)),
    ],
    out: 4 * (1 + upTo(4)),
    dilations,
    pads: pads as [number, number, number, number],
  };
});

describe.each([...FIXED, ...RANDOM].map((c) => [JSON.stringify(c), c] as const))('%s', (_label, c) => {
  const g = geometry(c);
  const xs = noise(product(c.x), 1);
  const ws = noise(9 * c.x[3] * c.out, 2);
  const dys = noise(g.batch * g.outHeight * g.outWidth * c.out, 3);
  const truth = bruteForce(c, false, xs, ws, dys);

  test('result, with bias and activation', () => {
    const bias = noise(c.out, 4);
    const y = new Float32Array(dys.length).fill(Number.NaN);
    winogradForward(backend, xs, ws, y, g, tilingOf(g), { activation: 'linear' });
    expectClose(y, truth.y, 'linear');
    winogradForward(backend, xs, ws, y, g, tilingOf(g), { activation: 'relu6', bias });
    const held = truth.y.map((v, i) => Math.min(6, Math.max(0, v + bias[i % c.out])));
    expectClose(y, held, 'bias and relu6');
  });

  test('gradients', () => {
    const dx = new Float32Array(xs.length).fill(Number.NaN);
    const turned = adjoint(g);
    winogradForward(backend, dys, ws, dx, turned, tilingOf(turned), { activation: 'linear' }, true);
    expectClose(dx, truth.dx, 'input gradient');
    const dw = new Float32Array(ws.length).fill(Number.NaN);
    winogradGradFilter(backend, xs, dys, dw, g, tilingOf(g));
    expectClose(dw, truth.dw, 'filter gradient');
  });
});

test('more tiles than are worked on at a time', () => {
  const c: Case = { ...common, x: [1, 263, 262, 4], out: 4, dilations: [1, 1], pads: [1, 1, 1, 1] };
  const g = geometry(c);
  const [xs, dys] = [noise(product(c.x), 1), noise(product(c.x), 3)];
  const ws = noise(9 * 16, 2);
  const truth = bruteForce(c, false, xs, ws, dys);
  const y = new Float32Array(xs.length);
  winogradForward(backend, xs, ws, y, g, tilingOf(g), { activation: 'linear' });
  expectClose(y, truth.y, 'result');
  const dw = new Float32Array(ws.length);
  winogradGradFilter(backend, xs, dys, dw, g, tilingOf(g));
  expectClose(dw, truth.dw, 'filter gradient');
});

const WIDE: Case = { ...common, x: [2, 17, 19, 64], out: 96, dilations: [2, 1], pads: [2, 2, 1, 1] };

test('serves the kernels of wide 3x3 convolutions of stride 1, and no others', () => {
  const g = geometry(WIDE);
  expect(planWinograd(g)).not.toBeNull();
  expect(planWinograd(adjoint(g))).not.toBeNull();
  expect(planWinograd({ ...g, strides: [2, 2], outHeight: 9, outWidth: 10 })).toBeNull();
  expect(planWinograd({ ...g, kernelWidth: 1 })).toBeNull();
  expect(planWinograd({ ...g, inChannels: 66 })).toBeNull();
  expect(planWinograd({ ...g, inChannels: 8 })).toBeNull();
  // Nearly all tiles of so few pixels, far apart, are empty.
  expect(planWinograd({ ...g, dilations: [9, 9] })).toBeNull();
});

test('rounds about as direct sums do, which the option brings back', async () => {
  await registerOnnxBackend();
  const g = geometry(WIDE);
  const xs = noise(product(WIDE.x), 1);
  const ws = noise(9 * 64 * 96, 2);
  const dys = noise(g.batch * g.outHeight * g.outWidth * 96, 3);
  const truth = bruteForce(WIDE, false, xs, ws, dys);
  const errors = [true, false].map((winograd) => {
    const name = `winograd-${winograd}`;
    tf.copyRegisteredKernels('onnx', name);
    tf.registerBackend(name, () => new OnnxBackend({ winograd }));
    tf.setBackend(name);
    const [x, w, dy] = [
      tf.tensor(xs, WIDE.x),
      tf.tensor(ws, [3, 3, 64, 96]),
      tf.tensor(dys, [2, 17, 19, 96]),
    ];
    const { pads, strides, dilations } = WIDE;
    const pad = [
      [0, 0],
      [2, 2],
      [1, 1],
      [0, 0],
    ];
    const run = (kernel: string, inputs: object, attrs: object) =>
      (tf.engine().runKernel(kernel, inputs as never, attrs as never) as tf.Tensor).dataSync();
    const results = [
      run('Conv2D', { x, filter: w }, { strides, dilations, pad, dataFormat: 'NHWC' }),
      run('AuxConv2DGradInput', { dy, filter: w }, { strides, dilations, pads, inputShape: WIDE.x }),
      run('AuxConv2DGradFilter', { x, dy }, { strides, dilations, pads, filterShape: w.shape }),
    ];
    return [truth.y, truth.dx, truth.dw].map((exact, i) =>
      Math.sqrt(exact.reduce((sum, v, at) => sum + (v - results[i][at]) ** 2, 0) / exact.length),
    );
  });
  const [fast, direct] = errors;
  fast.forEach((error, i) => {
    expect(error).not.toBe(direct[i]);
    expect(error).toBeLessThan(2 * direct[i]);
  });
});
