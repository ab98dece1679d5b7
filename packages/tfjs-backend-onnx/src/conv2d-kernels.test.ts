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
import { inParts } from './kernels/conv-forward.js';
import { type ConvGeometry, geometryOfShapes, tapsOf } from './kernels/conv-geometry.js';
import { planFilterGrid } from './kernels/grad-filter-on-grid.js';
import { BACKEND_NAME } from './kernels/kernel.js';
import type { OnnxBackend } from './onnx-backend.js';
import { probeBlockSize } from './probe-block-size.js';
import { registerOnnxBackend } from './register-onnx-backend.js';

beforeAll(async () => {
  await registerOnnxBackend();
  await tf.setBackend(BACKEND_NAME);
});

/** Wide enough for the filter gradient to work on one grid; padding less and more than the filter's reach. */
const GRID_CASES: Case[] = [
  { x: [2, 24, 21, 8], kernel: [3, 3], out: 12, strides: [1, 1], dilations: [1, 1], pads: [1, 1, 1, 1] },
  { x: [1, 20, 23, 10], kernel: [3, 3], out: 7, strides: [1, 1], dilations: [1, 1], pads: [1, 1, 1, 1] },
  { x: [2, 30, 31, 9], kernel: [2, 3], out: 5, strides: [1, 1], dilations: [2, 1], pads: [0, 3, 2, 0] },
  {
    x: [1, 90, 61, 11],
    kernel: [3, 1],
    out: 6,
    strides: [1, 1],
    dilations: [2, 1],
    pads: [5, 6, 1, 2],
    joined: false,
  },
  { x: [3, 9, 40, 8], kernel: [3, 3], out: 4, strides: [1, 1], dilations: [2, 1], pads: [2, 2, 1, 1] },
  { x: [2, 15, 60, 8], kernel: [3, 2], out: 5, strides: [1, 1], dilations: [2, 3], pads: [2, 2, 0, 3] },
  { x: [2, 9, 60, 8], kernel: [3, 2], out: 5, strides: [1, 1], dilations: [1, 3], pads: [0, 0, 3, 0] },
  { x: [1, 12, 40, 8], kernel: [3, 3], out: 3, strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0] },
  {
    x: [1, 24, 20, 257],
    kernel: [3, 3],
    out: 3,
    strides: [1, 1],
    dilations: [1, 1],
    pads: [1, 1, 1, 1],
    joined: false,
  },
  { x: [2, 25, 24, 8], kernel: [3, 3], out: 9, strides: [2, 2], dilations: [1, 1], pads: [1, 1, 1, 1] },
  { x: [2, 24, 25, 9], kernel: [3, 3], out: 4, strides: [2, 2], dilations: [1, 1], pads: [0, 1, 0, 1] },
  { x: [1, 31, 40, 8], kernel: [3, 4], out: 5, strides: [3, 2], dilations: [2, 1], pads: [2, 0, 1, 2] },
  { x: [1, 30, 41, 8], kernel: [2, 3], out: 5, strides: [1, 3], dilations: [1, 2], pads: [1, 0, 4, 0] },
  {
    x: [1, 41, 40, 260],
    kernel: [3, 3],
    out: 2,
    strides: [2, 2],
    dilations: [1, 1],
    pads: [1, 1, 1, 1],
    joined: false,
  },
];

const CASES: Case[] = [
  ...GRID_CASES,
  // The left operand of the product is transposed in memory.
  { x: [2, 5, 7, 12], kernel: [1, 1], out: 260, strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0] },
  { x: [2, 7, 9, 16], kernel: [3, 3], out: 32, strides: [1, 1], dilations: [1, 1], pads: [1, 1, 1, 1] },
  { x: [1, 7, 6, 24], kernel: [3, 2], out: 20, strides: [1, 1], dilations: [2, 3], pads: [2, 1, 0, 3] },
  { x: [2, 9, 8, 12], kernel: [3, 3], out: 21, strides: [2, 2], dilations: [1, 1], pads: [1, 1, 1, 1] },
  { x: [2, 9, 8, 12], kernel: [3, 3], out: 16, strides: [2, 2], dilations: [1, 1], pads: [1, 1, 1, 1] },
  { x: [1, 10, 7, 9], kernel: [4, 3], out: 12, strides: [2, 3], dilations: [1, 1], pads: [0, 2, 1, 1] },
  // Every second pixel is reached by no tap.
  { x: [1, 12, 11, 8], kernel: [3, 2], out: 8, strides: [2, 2], dilations: [2, 2], pads: [2, 2, 1, 1] },
  { x: [2, 11, 13, 8], kernel: [3, 3], out: 8, strides: [3, 2], dilations: [2, 3], pads: [2, 1, 3, 2] },
  { x: [1, 1, 9, 8], kernel: [3, 3], out: 8, strides: [2, 2], dilations: [1, 1], pads: [1, 1, 1, 1] },
  { x: [1, 6, 5, 8], kernel: [2, 2], out: 8, strides: [2, 2], dilations: [1, 1], pads: [0, 3, 3, 0] },
  { x: [1, 8, 8, 3], kernel: [3, 3], out: 16, strides: [2, 2], dilations: [1, 1], pads: [0, 1, 0, 1] },
  { x: [3, 5, 7, 5], kernel: [1, 1], out: 4, strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0] },
  { x: [2, 6, 7, 16], kernel: [1, 1], out: 16, strides: [2, 3], dilations: [1, 1], pads: [0, 0, 0, 0] },
  { x: [2, 5, 5, 16], kernel: [3, 3], out: 8, strides: [1, 1], dilations: [6, 6], pads: [6, 6, 6, 6] },
  { x: [1, 6, 5, 2], kernel: [1, 1], out: 3, strides: [1, 1], dilations: [1, 1], pads: [1, 2, 0, 1] },
  { x: [1, 10, 11, 7], kernel: [2, 4], out: 3, strides: [3, 1], dilations: [2, 2], pads: [1, 0, 2, 3] },
];
const DEPTHWISE_CASES: Case[] = [
  { x: [2, 7, 9, 16], kernel: [3, 3], out: 16, strides: [1, 1], dilations: [1, 1], pads: [1, 1, 1, 1] },
  { x: [3, 9, 8, 32], kernel: [3, 3], out: 32, strides: [2, 2], dilations: [1, 1], pads: [1, 1, 1, 1] },
  { x: [2, 9, 8, 32], kernel: [3, 3], out: 32, strides: [2, 2], dilations: [1, 1], pads: [0, 1, 0, 1] },
  { x: [2, 9, 8, 48], kernel: [3, 2], out: 48, strides: [1, 1], dilations: [2, 4], pads: [2, 2, 2, 2] },
  { x: [2, 13, 12, 16], kernel: [3, 3], out: 16, strides: [3, 2], dilations: [1, 2], pads: [1, 2, 0, 2] },
  { x: [2, 6, 7, 5], kernel: [3, 3], out: 10, strides: [2, 1], dilations: [1, 1], pads: [1, 1, 1, 1] },
  { x: [1, 6, 7, 20], kernel: [3, 3], out: 20, strides: [1, 1], dilations: [1, 1], pads: [1, 1, 1, 1] },
  { x: [2, 4, 5, 16], kernel: [1, 1], out: 16, strides: [1, 1], dilations: [1, 1], pads: [1, 1, 0, 0] },
];

function run(name: string, inputs: Record<string, tf.Tensor>, attrs: object): tf.Tensor {
  return tf.engine().runKernel(name, inputs as never, attrs as never) as tf.Tensor;
}

test.each(GRID_CASES.map((c) => [JSON.stringify(c), c] as const))('worked on one grid: %s', (_label, c) => {
  const shape = [c.x[0], outputSize(c, 0), outputSize(c, 1), c.out];
  const g = geometryOfShapes(c.x, shape, [...c.kernel, c.x[3], c.out], c);
  expect(planFilterGrid(g, tapsOf(g))).toMatchObject({ joined: c.joined ?? true });
});

test('a convolution without results gives an empty tensor', () => {
  const x = tf.ones([3, 2, 11, 1]) as tf.Tensor4D;
  const filter = tf.ones([4, 1, 1, 16]) as tf.Tensor4D;
  const depthwise = tf.ones([4, 1, 1, 2]) as tf.Tensor4D;
  const attributes = { strides: [2, 1] as [number, number], pad: 'valid' as const };
  const results = [
    tf.conv2d(x, filter, attributes.strides, attributes.pad),
    tf.fused.conv2d({ x, filter, bias: tf.zeros([16]), activation: 'relu', ...attributes }),
    tf.depthwiseConv2d(x, depthwise, [2, 2], 'valid'),
  ];
  for (const y of results) expect([Math.abs(y.shape[1]), y.dataSync().length]).toEqual([0, 0]); // tfjs makes it -0
});

test('a batch of large images is processed in parts that cover it', () => {
  const g: ConvGeometry = {
    batch: 5,
    inHeight: 100,
    inWidth: 100,
    inChannels: 96,
    outHeight: 50,
    outWidth: 50,
    outChannels: 96,
    kernelHeight: 3,
    kernelWidth: 3,
    strides: [2, 2],
    pads: [1, 1, 1, 1],
    dilations: [1, 1],
  };
  const x = new Float32Array(5 * 100 * 100 * 96);
  const y = new Float32Array(5 * 50 * 50 * 96);
  const parts: number[][] = [];
  inParts(g, x, y, (part, images, results) => {
    expect(images.length / part.batch).toBe(100 * 100 * 96);
    expect(results.length / part.batch).toBe(50 * 50 * 96);
    parts.push([part.batch, images.byteOffset, results.byteOffset]);
  });
  expect(parts).toEqual([
    [2, 0, 0],
    [2, 4 * 2 * 960_000, 4 * 2 * 240_000],
    [1, 4 * 4 * 960_000, 4 * 4 * 240_000],
  ]);
});

describe.each([
  ['convolution', false, CASES, true],
  ['depthwise convolution', true, DEPTHWISE_CASES, true],
  // As on processors for which onnxruntime has no blocked kernels.
  ['convolution, channel-first', false, CASES, false],
  ['depthwise convolution, channel-first', true, DEPTHWISE_CASES, false],
] as const)('%s', (_name, depthwise, cases, blocked) => {
  beforeAll(() => {
    const backend = tf.backend() as unknown as { -readonly [K in keyof OnnxBackend]: OnnxBackend[K] };
    backend.blockSizeNchwc = blocked ? probeBlockSize(backend.sessions) : 1;
  });

  test.each(cases.map((c) => [JSON.stringify(c), c] as const))('%s', (_label, c) => {
    const outShape = [c.x[0], outputSize(c, 0), outputSize(c, 1), c.out] as [number, number, number, number];
    const filterShape = (
      depthwise ? [...c.kernel, c.x[3], c.out / c.x[3]] : [...c.kernel, c.x[3], c.out]
    ) as [number, number, number, number];
    const xs = noise(product(c.x), 1);
    const ws = noise(product(filterShape), 2);
    const dys = noise(product(outShape), 3);
    const truth = bruteForce(c, depthwise, xs, ws, dys);
    const before = tf.memory().numTensors;
    tf.tidy(() => {
      const x = tf.tensor4d(xs, c.x);
      const w = tf.tensor4d(ws, filterShape);
      const dy = tf.tensor4d(dys, outShape);
      const pad = [
        [0, 0],
        [c.pads[0], c.pads[1]],
        [c.pads[2], c.pads[3]],
        [0, 0],
      ];
      const { strides, dilations, pads } = c;
      const forward = run(
        depthwise ? 'DepthwiseConv2dNative' : 'Conv2D',
        { x, filter: w },
        {
          strides,
          dilations,
          pad,
          dataFormat: 'NHWC',
        },
      );
      expect(forward.shape).toEqual(outShape);
      expectClose(forward.dataSync(), truth.y, 'forward');
      const attributes = { strides, dilations, pads };
      const kind = depthwise ? 'AuxDepthwise' : 'AuxConv2D';
      const dx = run(`${kind}GradInput`, { dy, filter: w }, { ...attributes, inputShape: c.x });
      expectClose(dx.dataSync(), truth.dx, 'input gradient');
      const dw = run(`${kind}GradFilter`, { x, dy }, { ...attributes, filterShape });
      expect(dw.shape).toEqual(filterShape);
      expectClose(dw.dataSync(), truth.dw, 'filter gradient');
    });
    expect(tf.memory().numTensors).toBe(before);
  });
});
