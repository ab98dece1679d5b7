import { beforeAll, describe, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { fastKernels } from './kernels/fast-kernels.js';
import { BACKEND_NAME } from './kernels/kernel.js';
import type { OnnxBackend } from './onnx-backend.js';
import { registerOnnxBackend } from './register-onnx-backend.js';

beforeAll(async () => {
  await registerOnnxBackend();
  await tf.setBackend(BACKEND_NAME);
});

// Globals are slow to look up in jest's sandbox.
const { imul, abs, max } = Math;
const { isNaN: isNotANumber } = Number;

/** Deterministic values in -scale..scale. */
function noise(size: number, seed: number, scale = 2): Float32Array {
  let state = (seed * 2654435761 + 12345) >>> 0;
  const values = new Float32Array(size);
  for (let i = 0; i < size; i++) {
    state = (imul(state, 1664525) + 1013904223) >>> 0;
    values[i] = (state / 2147483648 - 1) * scale;
  }
  return values;
}

const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

interface Spec {
  /** Shapes of the inputs by name. */
  inputs: Record<string, number[]> | number[][];
  attrs?: object;
  /** Maps the noise before use, for functions with a limited domain. */
  prepare?: (value: number) => number;
  dtype?: 'float32' | 'int32' | 'bool';
  /** Relative to the largest magnitude; default 1e-5. */
  tolerance?: number;
}

/** Runs one kernel by the same name on two backends and compares. */
async function compare(kernel: string, spec: Spec, seed: number): Promise<void> {
  const results: { values: ArrayLike<number>; shape: number[]; dtype: string }[] = [];
  for (const backend of ['cpu', BACKEND_NAME]) {
    await tf.setBackend(backend);
    const before = tf.memory().numTensors;
    tf.tidy(() => {
      const make = (shape: number[], index: number) => {
        const raw = noise(sizeOf(shape), seed + index);
        const values = spec.prepare ? raw.map(spec.prepare) : raw;
        return tf.tensor(values, shape, spec.dtype ?? 'float32');
      };
      const inputs = Array.isArray(spec.inputs)
        ? spec.inputs.map(make)
        : Object.fromEntries(
            Object.entries(spec.inputs).map(([name, shape], index) => [name, make(shape, index)]),
          );
      const y = tf.engine().runKernel(kernel, inputs as never, (spec.attrs ?? {}) as never) as tf.Tensor;
      results.push({ values: y.dataSync().slice(), shape: y.shape, dtype: y.dtype });
    });
    expect(tf.memory().numTensors).toBe(before);
  }
  const [expected, actual] = results;
  expect(actual.shape).toEqual(expected.shape);
  expect(actual.dtype).toBe(expected.dtype);
  let scale = 1e-3;
  for (let i = 0; i < expected.values.length; i++) {
    const magnitude = abs(expected.values[i]);
    if (magnitude < 1e38) scale = max(scale, magnitude);
  }
  const limit = (spec.tolerance ?? 1e-5) * scale;
  for (let i = 0; i < expected.values.length; i++) {
    const a = actual.values[i];
    const e = expected.values[i];
    // Two NaNs agree, one does not; infinities must be equal.
    const bothNaN = isNotANumber(a) && isNotANumber(e);
    if (!(bothNaN || a === e || abs(a - e) <= limit)) {
      throw new Error(`${kernel} ${JSON.stringify(spec)}: element ${i} is ${a}, expected ${e}`);
    }
  }
}

/** One small shape for the loops and one odd large shape for onnxruntime. */
const SMALL_SHAPE = [3, 5, 7];
const LARGE_SHAPE = [7, 29, 31];
/** Crosses the size from which results are not copied (128 KiB). */
const QUIET_SHAPE = [3, 113, 131];
const SHAPES = [SMALL_SHAPE, LARGE_SHAPE, QUIET_SHAPE];

const positive = (value: number) => Math.abs(value) + 0.1;
/** A few special values among ordinary ones. */
const SPECIAL = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -0, 1e-40, 6, 1];
let turn = 0;
const special = (value: number) => {
  turn = (turn + 1) % 29;
  return turn < SPECIAL.length ? SPECIAL[turn] : 4 * value;
};

const UNARY: Record<string, Omit<Spec, 'inputs'>> = {
  Relu: {},
  Relu6: {},
  Sigmoid: {},
  Tanh: {},
  Exp: {},
  Log: { prepare: positive },
  Sqrt: { prepare: positive },
  Rsqrt: { prepare: positive },
  Reciprocal: { prepare: positive },
  Square: {},
  Neg: {},
  Abs: {},
  Floor: {},
  Ceil: {},
  Elu: {},
  Erf: {},
  Softplus: {},
  LeakyRelu: { attrs: { alpha: 0.1 } },
  ClipByValue: { attrs: { clipValueMin: -0.5, clipValueMax: 1 } },
  Step: { attrs: { alpha: 0 } },
};
/** Kernels without a counterpart on the cpu backend, tested elsewhere. */
const OWN = /^Aux/;

const SPECS: Record<string, Spec[]> = {};
for (const [name, spec] of Object.entries(UNARY)) {
  SPECS[name] = SHAPES.map((shape) => ({ ...spec, inputs: { x: shape } }));
}
const BROADCASTS: [number[], number[]][] = [
  [SMALL_SHAPE, SMALL_SHAPE],
  [LARGE_SHAPE, LARGE_SHAPE],
  [LARGE_SHAPE, []],
  [[], QUIET_SHAPE],
  [LARGE_SHAPE, [31]],
  [[29, 1], LARGE_SHAPE],
  [
    [5, 1, 31, 1],
    [1, 29, 1, 7],
  ],
  [
    [2, 9, 1, 5, 1, 13],
    [9, 6, 1, 2, 1],
  ],
];
for (const name of [
  'Add',
  'Sub',
  'Multiply',
  'RealDiv',
  'Maximum',
  'Minimum',
  'SquaredDifference',
  'Greater',
  'GreaterEqual',
  'Less',
  'LessEqual',
  'Equal',
]) {
  SPECS[name] = BROADCASTS.map(([a, b]) => ({
    inputs: { a, b },
    prepare: name === 'RealDiv' ? positive : name === 'Equal' ? Math.round : undefined,
  }));
}
for (const name of ['Sum', 'Mean', 'Max', 'Min', 'Prod']) {
  SPECS[name] = (
    [
      [SMALL_SHAPE, [1]],
      [LARGE_SHAPE, [2]],
      [LARGE_SHAPE, [0]],
      [LARGE_SHAPE, [0, 1]],
      [LARGE_SHAPE, [0, 2]],
      [LARGE_SHAPE, [0, 1, 2]],
      [
        [4, 1, 33, 1, 41],
        [1, 4],
      ],
      [[4, 1, 33, 1, 41], [1]],
    ] as [number[], number[]][]
  ).map(([x, axis]) => ({
    inputs: { x },
    // Max alone names its axes differently.
    attrs: { axis, reductionIndices: axis, keepDims: axis.length === 2 },
    prepare: name === 'Prod' ? (value: number) => 1 + value / 100 : undefined,
    tolerance: name === 'Prod' ? 1e-3 : 1e-5,
  }));
}
SPECS['Softmax'] = [SMALL_SHAPE, LARGE_SHAPE, QUIET_SHAPE, [9, 441]].map((logits) => ({
  inputs: { logits },
  attrs: { dim: logits.length - 1 },
  prepare: (value: number) => 10 * value,
}));
SPECS['Transpose'] = (
  [
    [SMALL_SHAPE, [2, 0, 1]],
    [LARGE_SHAPE, [2, 0, 1]],
    [QUIET_SHAPE, [0, 2, 1]],
    [
      [4, 1, 33, 1, 41],
      [4, 1, 3, 2, 0],
    ],
    [
      [3, 5, 7, 9, 11],
      [3, 4, 0, 1, 2],
    ],
    [
      [1, 5, 1, 991],
      [2, 1, 0, 3],
    ],
    [
      [3, 5, 7, 4, 2, 6],
      [5, 0, 2, 1, 4, 3],
    ],
  ] as [number[], number[]][]
).map(([x, perm]) => ({ inputs: { x }, attrs: { perm } }));
SPECS['Reverse'] = [
  { inputs: { x: LARGE_SHAPE }, attrs: { dims: [1] } },
  { inputs: { x: LARGE_SHAPE }, attrs: { dims: [2, 0] } },
  { inputs: { x: [2, 7, 5, 3] }, attrs: { dims: [2] }, dtype: 'int32' },
  { inputs: { x: [9] }, attrs: { dims: [-1] } },
  { inputs: { x: [2, 3] }, attrs: { dims: [] } },
];
SPECS['Slice'] = [
  { inputs: { x: LARGE_SHAPE }, attrs: { begin: [1, 2, 3], size: [4, 20, 25] } },
  { inputs: { x: LARGE_SHAPE }, attrs: { begin: [1, 0, 0], size: [2, 29, 31] } },
  { inputs: { x: LARGE_SHAPE }, attrs: { begin: [0, 3, 0], size: [-1, 5, -1] }, dtype: 'int32' },
  { inputs: { x: [9] }, attrs: { begin: [2], size: [3] } },
  { inputs: { x: [2, 3] }, attrs: { begin: [0, 0], size: [0, 2] } },
];
SPECS['PadV2'] = [
  {
    inputs: { x: LARGE_SHAPE },
    attrs: {
      paddings: [
        [0, 0],
        [1, 2],
        [3, 0],
      ],
      constantValue: 0,
    },
  },
  {
    inputs: { x: [5, 4] },
    attrs: {
      paddings: [
        [1, 0],
        [0, 0],
      ],
      constantValue: -7,
    },
    dtype: 'int32',
  },
];
SPECS['Concat'] = [
  { inputs: [SMALL_SHAPE, [3, 5, 2]], attrs: { axis: 2 } },
  { inputs: [LARGE_SHAPE, [2, 29, 31], [1, 29, 31]], attrs: { axis: 0 } },
  {
    inputs: [
      [3, 0, 2],
      [3, 4, 2],
    ],
    attrs: { axis: 1 },
  },
];
SPECS['Fill'] = [{ inputs: {}, attrs: { shape: [11, 7], value: 3.5, dtype: 'float32' } }];
SPECS['ZerosLike'] = SPECS['OnesLike'] = [{ inputs: { x: LARGE_SHAPE } }];
SPECS['Cast'] = [
  { inputs: { x: LARGE_SHAPE }, attrs: { dtype: 'float32' }, dtype: 'int32' },
  { inputs: { x: LARGE_SHAPE }, attrs: { dtype: 'int32' } },
];
SPECS['AddN'] = [{ inputs: [LARGE_SHAPE, LARGE_SHAPE, LARGE_SHAPE] }, { inputs: [SMALL_SHAPE, SMALL_SHAPE] }];
SPECS['FusedBatchNorm'] = [
  {
    inputs: { x: [3, 17, 13, 8], mean: [8], variance: [8], offset: [8], scale: [8] },
    attrs: { varianceEpsilon: 1e-3 },
    prepare: positive,
  },
  {
    inputs: { x: [3, 17, 13, 8], mean: [8], variance: [8] },
    attrs: { varianceEpsilon: 0.1 },
    prepare: positive,
  },
];
const MAT_MULS: [number[], number[], boolean, boolean][] = [
  [[1, 5, 7], [1, 7, 3], false, false],
  [[37, 41], [41, 43], false, false],
  [[41, 37], [41, 43], true, false],
  [[37, 41], [43, 41], false, true],
  [[3, 11, 20], [3, 13, 20], false, true],
  [[3, 20, 11], [1, 20, 5], true, false],
  [[4, 6, 9], [1, 9, 8], false, false],
  [[1, 6, 9], [4, 9, 8], false, false],
  [[2, 3, 9, 6], [2, 3, 8, 9], true, true],
];
SPECS['BatchMatMul'] = MAT_MULS.map(([a, b, transposeA, transposeB]) => ({
  inputs: { a, b },
  attrs: { transposeA, transposeB },
}));
SPECS['_FusedMatMul'] = ['linear', 'relu', 'relu6', 'elu', 'sigmoid', 'leakyrelu'].flatMap(
  (activation): Spec[] => [
    {
      inputs: { a: [1, 37, 41], b: [1, 41, 43], bias: [43] },
      attrs: { transposeA: false, transposeB: false, activation, leakyreluAlpha: 0.2 },
    },
    {
      inputs: { a: [2, 41, 37], b: [2, 41, 43] },
      attrs: { transposeA: true, transposeB: false, activation, leakyreluAlpha: 0.2 },
    },
  ],
);
const CONV = { strides: [1, 1], pad: 'same', dataFormat: 'NHWC', dilations: [1, 1] };
SPECS['Conv2D'] = [
  { inputs: { x: [2, 9, 8, 16], filter: [3, 3, 16, 24] }, attrs: CONV },
  { inputs: { x: [2, 9, 8, 3], filter: [3, 2, 3, 5] }, attrs: { ...CONV, strides: [2, 1], pad: 'valid' } },
  { inputs: { x: [1, 16, 9, 8], filter: [3, 3, 16, 4] }, attrs: { ...CONV, dataFormat: 'NCHW' } },
  {
    inputs: { x: [1, 8, 8, 8], filter: [3, 3, 8, 8] },
    attrs: { ...CONV, strides: [2, 2], pad: 0, dimRoundingMode: 'ceil' },
  },
];
const ACTIVATIONS = ['linear', 'relu', 'relu6', 'sigmoid', 'elu', 'leakyrelu', 'prelu'];
const fusedSpecs = (x: number[], filter: number[], channels: number): Spec[] =>
  ACTIVATIONS.map((activation) => ({
    inputs: {
      x,
      filter,
      bias: activation === 'relu6' ? [] : [channels],
      ...(activation === 'prelu' ? { preluActivationWeights: [1, 1, channels] } : {}),
    },
    attrs: { ...CONV, activation, leakyreluAlpha: 0.2 },
  }));
SPECS['FusedConv2D'] = [
  ...fusedSpecs([2, 7, 6, 16], [3, 3, 16, 20], 20),
  ...fusedSpecs([2, 7, 6, 5], [1, 1, 5, 4], 4),
  ...fusedSpecs([2, 7, 6, 5], [3, 3, 5, 4], 4),
];
SPECS['DepthwiseConv2dNative'] = [
  { inputs: { x: [2, 9, 8, 32], filter: [3, 3, 32, 1] }, attrs: CONV },
  { inputs: { x: [2, 9, 8, 6], filter: [3, 3, 6, 2] }, attrs: { ...CONV, strides: [2, 2] } },
];
SPECS['FusedDepthwiseConv2D'] = [
  ...fusedSpecs([2, 7, 6, 16], [3, 3, 16, 1], 16),
  ...fusedSpecs([2, 7, 6, 3], [3, 3, 3, 2], 6),
];
const GRAD = { strides: [2, 2], pad: 'same', dataFormat: 'NHWC', dilations: [1, 1] };
SPECS['Conv2DBackpropInput'] = [
  {
    inputs: { dy: [2, 5, 4, 16], filter: [3, 3, 8, 16] },
    attrs: { ...GRAD, inputShape: [2, 9, 8, 8] },
  },
  {
    inputs: { dy: [2, 9, 8, 16], filter: [3, 3, 8, 16] },
    attrs: { ...GRAD, strides: [1, 1], inputShape: [2, 9, 8, 8] },
  },
];
SPECS['Conv2DBackpropFilter'] = [
  {
    inputs: { x: [2, 9, 8, 8], dy: [2, 5, 4, 16] },
    attrs: { ...GRAD, filterShape: [3, 3, 8, 16] },
  },
];
SPECS['DepthwiseConv2dNativeBackpropInput'] = [
  {
    inputs: { dy: [2, 5, 4, 16], filter: [3, 3, 16, 1] },
    attrs: { ...GRAD, inputShape: [2, 9, 8, 16] },
  },
];
SPECS['DepthwiseConv2dNativeBackpropFilter'] = [
  {
    inputs: { x: [2, 9, 8, 16], dy: [2, 5, 4, 16] },
    attrs: { ...GRAD, filterShape: [3, 3, 16, 1] },
  },
];

const RESIZES: [number[], [number, number]][] = [
  [
    [2, 5, 7, 3],
    [11, 13],
  ],
  [
    [1, 9, 8, 4],
    [4, 3],
  ],
  [
    [2, 4, 4, 5],
    [1, 1],
  ],
  [
    [1, 1, 1, 2],
    [3, 4],
  ],
];
SPECS['ResizeBilinear'] = RESIZES.flatMap(([images, size]) =>
  [
    [false, true],
    [true, false],
    [false, false],
  ].map(([alignCorners, halfPixelCenters]) => ({
    inputs: { images },
    attrs: { size, alignCorners, halfPixelCenters },
  })),
);
SPECS['MaxPool'] = SPECS['AvgPool'] = [
  { inputs: { x: [2, 17, 16, 9] }, attrs: { filterSize: 3, strides: 2, pad: 'same' } },
  { inputs: { x: [2, 17, 16, 9] }, attrs: { filterSize: [2, 3], strides: [1, 2], pad: 'valid' } },
  { inputs: { x: [1, 4, 4, 2] }, attrs: { filterSize: 2, strides: 2, pad: 0 } },
];

const names = [...new Set(fastKernels.map((kernel) => kernel.kernelName))].filter((name) => !OWN.test(name));

describe('every fast kernel agrees with the cpu backend', () => {
  test.each(names.filter((name) => name !== 'Select'))('%s', async (name) => {
    expect(SPECS[name]).toBeDefined();
    for (const [index, spec] of SPECS[name].entries()) await compare(name, spec, 10 * index + 1);
  });

  test('Select', async () => {
    for (const shape of SHAPES) {
      const mask = noise(sizeOf(shape), 9).map((value) => (value > 0 ? 1 : 0));
      for (const backend of ['cpu', BACKEND_NAME]) {
        await tf.setBackend(backend);
        tf.tidy(() => {
          const t = tf.tensor(noise(sizeOf(shape), 1), shape);
          const e = tf.tensor(noise(sizeOf(shape), 2), shape);
          const y = tf.where(tf.tensor(mask, shape, 'bool'), t, e).dataSync();
          const [ts, es] = [t.dataSync(), e.dataSync()];
          expect(y.every((value, i) => value === (mask[i] ? ts[i] : es[i]))).toBe(true);
        });
      }
    }
  });

  test.each([
    'Relu',
    'Relu6',
    'Step',
    'Abs',
    'Neg',
    'Square',
    'ClipByValue',
    'Exp',
    'Sigmoid',
    'Tanh',
    'Elu',
    'LeakyRelu',
    'Floor',
    'Ceil',
    'Sqrt',
    'Log',
    'Softplus',
  ])('%s on NaN, infinities, signed zeros and denormals', async (name) => {
    for (const shape of [SMALL_SHAPE, LARGE_SHAPE]) {
      turn = 0;
      const values = noise(sizeOf(shape), 3).map(special);
      let next = 0;
      await compare(
        name,
        { ...UNARY[name], inputs: { x: shape }, prepare: () => values[next++ % values.length] },
        3,
      );
    }
  });

  test.each(['Maximum', 'Minimum', 'Add', 'Multiply', 'Greater', 'LessEqual'])(
    '%s on NaN and infinities',
    async (name) => {
      for (const shape of [SMALL_SHAPE, LARGE_SHAPE]) {
        turn = 0;
        const values = noise(2 * sizeOf(shape), 3).map(special);
        let next = 0;
        const prepare = () => values[next++ % values.length];
        await compare(name, { inputs: { a: shape, b: shape }, prepare }, 3);
      }
    },
  );
});

describe('own kernels against compositions', () => {
  const run = (name: string, inputs: Record<string, tf.Tensor>, attrs: object = {}) =>
    tf.engine().runKernel(name, inputs as never, attrs as never) as tf.Tensor;

  test.each(['linear', 'relu', 'relu6'] as const)('AuxScaleShift %s', async (activation) => {
    await tf.setBackend(BACKEND_NAME);
    tf.tidy(() => {
      const x = tf.tensor(noise(3 * 17 * 13 * 8, 1, 9), [3, 17, 13, 8]);
      const scale = tf.tensor1d(noise(8, 2));
      const shift = tf.tensor1d(noise(8, 3));
      const linear = tf.add(tf.mul(x, scale), shift);
      const expected =
        activation === 'relu' ? tf.relu(linear) : activation === 'relu6' ? tf.relu6(linear) : linear;
      const actual = run('AuxScaleShift', { x, scale, shift }, { activation });
      expect(tf.max(tf.abs(tf.sub(actual, expected))).dataSync()[0]).toBeLessThan(1e-5);
    });
  });

  test.each(['relu', 'relu6'] as const)('AuxActivationGrad %s', async (activation) => {
    await tf.setBackend(BACKEND_NAME);
    tf.tidy(() => {
      const x = noise(5000, 1, 9);
      x[7] = 0;
      x[8] = -0;
      const y = (activation === 'relu' ? tf.relu : tf.relu6)(tf.tensor1d(x));
      const dy = tf.tensor1d(noise(5000, 2));
      const actual = run('AuxActivationGrad', { dy, y }, { activation }).dataSync();
      const dys = dy.dataSync();
      const isOpen = (value: number) => value > 0 && (activation === 'relu' || value < 6);
      expect(Array.from(x).every((value, i) => actual[i] === (isOpen(value) ? dys[i] : 0))).toBe(true);
    });
  });

  // 7 channels leave a remainder beside the vectors of four; 70000 pixels take several pieces.
  test.each(['linear', 'relu', 'relu6'] as const)('AuxScaleShiftGrad %s', async (activation) => {
    await tf.setBackend(BACKEND_NAME);
    tf.tidy(() => {
      const y = tf.tensor(noise(70_000, 1, 9), [100, 100, 7]);
      const dy = tf.tensor(noise(70_000, 2), [100, 100, 7]);
      const scale = tf.tensor1d(noise(7, 3));
      const open =
        activation === 'linear'
          ? tf.onesLike(y)
          : tf.mul(tf.step(y), activation === 'relu6' ? tf.step(tf.sub(6, y)) : 1);
      const expected = tf.mul(tf.mul(dy, open), scale);
      const actual = run('AuxScaleShiftGrad', { dy, scale, y }, { activation });
      expect(tf.max(tf.abs(tf.sub(actual, expected))).dataSync()[0]).toBe(0);
    });
  });

  test('AuxColumnSums', async () => {
    await tf.setBackend(BACKEND_NAME);
    tf.tidy(() => {
      const x = tf.tensor(noise(3 * 37 * 41, 1), [3, 37, 41]);
      const actual = run('AuxColumnSums', { x });
      expect(actual.shape).toEqual([41]);
      const difference = tf.sub(actual, tf.sum(tf.reshape(x, [111, 41]), 0));
      expect(tf.max(tf.abs(difference)).dataSync()[0]).toBeLessThan(1e-5);
    });
  });

  test('a peaked softmax and its gradient hold no subnormal numbers, and differ by nothing else', async () => {
    await tf.setBackend(BACKEND_NAME);
    // Rows from 0 down to -110: below -87.3 an exponential is subnormal.
    const logits = tf.tensor2d(
      Float32Array.from({ length: 5 * 221 }, (_, i) => -(i % 221) / 2),
      [5, 221],
    );
    const y = tf.softmax(logits);
    const values = y.dataSync();
    const terms = Array.from({ length: 221 }, (_, i) => Math.exp(-i / 2));
    const sum = terms.reduce((a, b) => a + b);
    const expected = Array.from(values, (_, i) => terms[i % 221] / sum);
    const smallest = 2 ** -126;
    let flushed = 0;
    values.forEach((value, i) => {
      // What float32 could still hold as a subnormal number.
      if (value === 0 && Math.fround(expected[i]) !== 0) flushed++;
      expect(value === 0 || value >= smallest).toBe(true);
      expect(Math.abs(value - expected[i])).toBeLessThanOrEqual(Math.max(smallest, 1e-5 * expected[i]));
    });
    expect(flushed).toBeGreaterThan(0);
    const dy = tf.tensor2d(noise(5 * 221, 3), [5, 221]);
    const gradient = run('AuxSoftmaxGrad', { dy, y }).dataSync();
    for (const value of gradient) expect(value === 0 || Math.abs(value) >= smallest).toBe(true);
    expect(gradient.filter((value) => value !== 0).length).toBeGreaterThan(5 * 150);
  });

  test('AuxSoftmaxGrad', async () => {
    await tf.setBackend(BACKEND_NAME);
    tf.tidy(() => {
      const y = tf.softmax(tf.tensor(noise(3 * 37 * 41, 1), [3, 37, 41]));
      const dy = tf.tensor(noise(3 * 37 * 41, 2), [3, 37, 41]);
      const weighted = tf.mul(dy, y);
      const expected = tf.sub(weighted, tf.mul(tf.sum(weighted, -1, true), y));
      const actual = run('AuxSoftmaxGrad', { dy, y });
      expect(tf.max(tf.abs(tf.sub(actual, expected))).dataSync()[0]).toBeLessThan(1e-6);
    });
  });
});

test('the backend reports its sessions', () => {
  expect(
    (tf.engine().findBackend(BACKEND_NAME) as unknown as OnnxBackend).stats().sessions.runs,
  ).toBeGreaterThan(0);
});
