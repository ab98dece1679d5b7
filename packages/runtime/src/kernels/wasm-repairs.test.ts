import { beforeAll, describe, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { useBackend } from '../backends/use-backend.js';
import { RuntimeError } from '../errors.js';
import { randomValues, seededRandom } from '../float64.test.support.js';

/** Tensors of the active backend from values of the same numbers on each. */
interface Source {
  floats(...shape: number[]): tf.Tensor;
  integers(limit: number, ...shape: number[]): tf.Tensor;
}

function createSource(): Source {
  const random = seededRandom(7);
  return {
    floats: (...shape) => tf.tensor(randomValues(tf.util.sizeFromShape(shape), random), shape),
    integers: (limit, ...shape) =>
      tf.tensor(
        Int32Array.from({ length: tf.util.sizeFromShape(shape) }, () => Math.floor(random() * limit)),
        shape,
        'int32',
      ),
  };
}

const pair = (f: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor, a: tf.Tensor, b: tf.Tensor) => [
  f(a, b),
  ...tf.grads((x, y) => tf.square(f(x as tf.Tensor, y as tf.Tensor)))([a, b]),
];
const single = (f: (a: tf.Tensor) => tf.Tensor, a: tf.Tensor) => [f(a), tf.grad((x) => tf.square(f(x)))(a)];

const conv =
  (strides: number | [number, number], pad: 'same' | 'valid', rounding?: 'ceil') =>
  (x: tf.Tensor, filter: tf.Tensor) =>
    tf.conv2d(x as tf.Tensor4D, filter as tf.Tensor4D, strides, rounding ? 1 : pad, 'NHWC', 1, rounding);
const depthwise = (strides: number) => (x: tf.Tensor, filter: tf.Tensor) =>
  tf.depthwiseConv2d(x as tf.Tensor4D, filter as tf.Tensor4D, strides, 'same');
const fused = (pad: 'same' | 'valid') => (x: tf.Tensor, filter: tf.Tensor) =>
  tf.fused.conv2d({
    ...{ x: x as tf.Tensor4D, filter: filter as tf.Tensor4D, strides: 2, pad },
    ...{ bias: tf.ones([filter.shape[3] as number]), activation: 'relu' },
  });
const fusedDepthwise = (x: tf.Tensor, filter: tf.Tensor) =>
  tf.fused.depthwiseConv2d({
    ...{ x: x as tf.Tensor4D, filter: filter as tf.Tensor4D, strides: 2, pad: 'same' as const },
    ...{ bias: tf.ones([filter.shape[2] as number]), activation: 'relu' as const },
  });
const special = () =>
  tf.tensor1d([Number.NaN, -1, 0, 2, 7, Number.POSITIVE_INFINITY, -1e-40, 3e38, 5e8, -5e8]);

/** What tfjs's wasm backend does wrongly or not at all; each fails on it as it comes. */
const cases: Record<string, (source: Source) => tf.Tensor[]> = {
  "conv2d 'same', 1x3 stride 2": ({ floats }) =>
    pair(conv(2, 'same'), floats(1, 8, 8, 4), floats(1, 3, 4, 4)),
  "conv2d 'same', 3x1 stride 2": ({ floats }) =>
    pair(conv(2, 'same'), floats(2, 8, 8, 4), floats(3, 1, 4, 4)),
  "conv2d 'same', 2x2 stride 3": ({ floats }) =>
    pair(conv(3, 'same'), floats(1, 9, 9, 4), floats(2, 2, 4, 4)),
  "conv2d 'same', 5x1 stride 3": ({ floats }) =>
    pair(conv(3, 'same'), floats(1, 9, 14, 4), floats(5, 1, 4, 4)),
  'conv2d, sizes rounded up': ({ floats }) => [
    conv(3, 'same', 'ceil')(floats(1, 9, 9, 2), floats(3, 2, 2, 4)),
  ],
  "depthwiseConv2d 'same', 2x2 stride 3": ({ floats }) =>
    pair(depthwise(3), floats(1, 9, 9, 4), floats(2, 2, 4, 1)),
  "fused.conv2d 'same', 3x1 stride 2": ({ floats }) =>
    pair(fused('same'), floats(1, 8, 8, 4), floats(3, 1, 4, 4)),
  "fused.depthwiseConv2d 'same', 3x1 stride 2": ({ floats }) =>
    pair(fusedDepthwise, floats(1, 8, 8, 4), floats(3, 1, 4, 1)),
  'conv2dTranspose, 2x2 stride 3': ({ floats }) =>
    pair(
      (x, filter) =>
        tf.conv2dTranspose(x as tf.Tensor4D, filter as tf.Tensor4D, [3, 3, 3, 2], [3, 1], 'same'),
      floats(3, 1, 3, 6),
      floats(2, 2, 2, 6),
    ),
  'conv2d without output': ({ floats }) =>
    pair(conv([2, 1], 'valid'), floats(3, 2, 11, 1), floats(4, 1, 1, 16)),
  'fused.conv2d without output': ({ floats }) => [fused('valid')(floats(3, 2, 11, 1), floats(3, 1, 1, 16))],
  'maxPool, padding wider than the window': ({ floats }) => [
    tf.maxPool(floats(2, 7, 13, 8) as tf.Tensor4D, [2, 3], [2, 2], 5),
  ],
  'avgPool, padding wider than the window': ({ floats }) => [
    tf.avgPool(floats(1, 8, 8, 4) as tf.Tensor4D, 2, 2, 3),
  ],
  'maxPool of int32': ({ integers }) => [tf.maxPool(integers(9, 1, 4, 4, 2) as tf.Tensor4D, 2, 2, 'valid')],
  conv3d: ({ floats }) =>
    pair(
      (x, filter) => tf.conv3d(x as tf.Tensor5D, filter as tf.Tensor5D, [1, 2, 1], 'same'),
      floats(1, 4, 7, 5, 2),
      floats(2, 3, 2, 2, 3),
    ),
  conv3dTranspose: ({ floats }) => [
    tf.conv3dTranspose(
      ...([floats(1, 2, 3, 3, 2) as tf.Tensor5D, floats(3, 3, 3, 2, 2) as tf.Tensor5D] as const),
      ...([[1, 4, 6, 6, 2] as [number, number, number, number, number], 2, 'same'] as const),
    ),
  ],
  'maxPool3d below zero': ({ floats }) =>
    single((x) => tf.maxPool3d(x as tf.Tensor5D, 2, 2, 'same'), tf.sub(floats(1, 4, 7, 5, 2), 3)),
  'dilation2d below zero': ({ floats }) =>
    pair(
      (x, filter) => tf.dilation2d(x as tf.Tensor4D, filter as tf.Tensor3D, 1, 'same', 2),
      tf.sub(floats(2, 7, 5, 3), 9),
      floats(3, 2, 3),
    ),
  'maxPoolWithArgmax below zero': ({ floats }) => {
    const x = tf.sub(floats(2, 7, 5, 3), 3) as tf.Tensor4D;
    const { result, indexes } = tf.maxPoolWithArgmax(x, 2, 2, 'same') as Record<string, tf.Tensor>;
    return [result, indexes];
  },
  'prelu, alpha of rows': ({ floats }) => pair((x, alpha) => tf.prelu(x, alpha), floats(3, 7), floats(3, 1)),
  'prelu, alpha larger than x': ({ floats }) => [tf.prelu(floats(1, 1, 2, 1, 1), floats(1, 2, 1, 3))],
  'gather in batches': ({ floats, integers }) => [tf.gather(floats(7, 5, 9), integers(9, 7, 4), 2, 1)],
  'cast to bool': () => {
    const x = tf.tensor1d([0.5, 256, 2, 0, -1, 1e-40]);
    const flags = tf.cast(x, 'bool');
    return [
      flags,
      tf.where(flags, tf.ones([6]), tf.zeros([6])),
      tf.cast(tf.cast(tf.cast(x, 'int32'), 'bool'), 'int32'),
    ];
  },
  'rotateWithOffset, a colour to fill with': ({ floats }) => [
    tf.image.rotateWithOffset(floats(1, 7, 5, 3) as tf.Tensor4D, 0.5, [0.1, 0.2, 0.3], 0.4),
  ],
  'NaN and other special numbers': () =>
    [tf.relu6, tf.sign, tf.sin, tf.cos, (x: tf.Tensor) => tf.clipByValue(x, -2, 3)].map((f) => f(special())),
  'NaN in maximum and minimum': () =>
    [tf.maximum, tf.minimum].flatMap((f) => [
      f(special(), 1),
      f(1, special()),
      f(special(), tf.reverse(special())),
    ]),
  'NaN among many numbers': ({ floats }) =>
    [0, 5000, 9999].flatMap((at) => {
      const nan = tf.cast(tf.equal(tf.range(0, 10001), at), 'float32');
      const x = tf.add(floats(10001), tf.div(0, tf.sub(1, nan)));
      return [
        tf.relu6(x),
        tf.clipByValue(x, -1, 1),
        tf.maximum(x, 0),
        tf.relu6(tf.where(tf.isNaN(x), 1 / 0, x)),
      ];
    }),
  'clipByValue of int32': ({ integers }) => [tf.clipByValue(integers(9, 40), 1, 3)],
  floorDiv: ({ floats }) => [tf.floorDiv(floats(2, 9), floats(9))],
  'matMul and einsum': ({ floats, integers }) => [
    tf.matMul(integers(9, 3, 4), integers(9, 4, 2)),
    tf.einsum('bij,bjk->bik', floats(3, 7, 5), floats(3, 5, 6)),
    tf.image.rgbToGrayscale(floats(2, 3, 4, 3) as tf.Tensor4D),
  ],
  'biases of other ranks': ({ floats }) => {
    const x = floats(1, 5, 5, 3) as tf.Tensor4D;
    const fusedWith = (bias: tf.Tensor) => (filter: tf.Tensor) =>
      tf.fused.conv2d({
        x,
        filter: filter as tf.Tensor4D,
        strides: 1,
        pad: 'same',
        bias,
        activation: 'relu',
      });
    return [
      ...single(fusedWith(tf.scalar(2)), floats(3, 3, 3, 4)),
      tf.fused.matMul({ a: floats(2, 3), b: floats(3, 4), bias: floats(2, 4), activation: 'relu' }),
    ];
  },
  strings: () => [
    tf.fill([2], 'a'),
    tf.equal(tf.tensor1d(['a', 'b']), tf.tensor1d(['a', 'c'])),
    tf.tile(tf.tensor1d(['a', 'b']), [2]),
  ],
};

describe('what the wasm backend gets wrong', () => {
  beforeAll(async () => {
    await useBackend('cpu');
    await useBackend('wasm');
  });

  test.each(Object.keys(cases))('%s', (name) => {
    const run = (backend: string) => {
      tf.setBackend(backend);
      return tf.tidy(() =>
        cases[name](createSource()).map((result) => ({
          shape: result.shape,
          dtype: result.dtype,
          values: [...(result.dataSync() as Iterable<number | string>)],
        })),
      );
    };
    const expected = run('cpu');
    tf.setBackend('wasm');
    const wasm = tf.backend() as unknown as { numDataIds(): number };
    const before = wasm.numDataIds();
    const actual = run('wasm');
    expect(wasm.numDataIds()).toBe(before);
    expect(actual.map(({ shape, dtype }) => [shape, dtype])).toEqual(
      expected.map(({ shape, dtype }) => [shape, dtype]),
    );
    actual.forEach(({ values }, k) => {
      const wanted = expected[k].values;
      const sizes = wanted.map((value) => Math.abs(Number(value))).filter((value) => value < 1e30);
      const scale = sizes.reduce((a, b) => Math.max(a, b), 1);
      const wrong = values.findIndex((value, i) => {
        if (typeof value === 'string' || !Number.isFinite(value)) return !Object.is(value, wanted[i]);
        return !(Math.abs(value - Number(wanted[i])) <= 1e-5 * scale);
      });
      expect({ k, wrong }).toEqual({ k, wrong: -1 });
    });
  });

  test('indices out of range are errors, and the heap stays sound', async () => {
    await useBackend('wasm');
    const small = conv(1, 'valid');
    const image = tf.ones([1, 4, 4, 1]) as tf.Tensor4D;
    const boxes = tf.tensor2d([[0, 0, 1, 1]]);
    for (const index of [1, 5, -1]) {
      expect(() => tf.image.cropAndResize(image, boxes, tf.tensor1d([index], 'int32'), [2, 2])).toThrow(
        /below the batch size 1, got/,
      );
    }
    expect(() => tf.gatherND(tf.ones([3, 2]), tf.tensor2d([[9999999, 0]], [1, 2], 'int32'))).toThrow(
      /index into/,
    );
    expect(() => tf.scatterND(tf.tensor2d([[9999999]], [1, 1], 'int32'), tf.ones([1]), [3])).toThrow(
      /index into/,
    );
    expect(() => small(tf.ones([1, 2, 9, 4]), tf.ones([5, 1, 4, 4]))).toThrow(RuntimeError);
    expect(small(tf.ones([1, 9, 9, 4]), tf.ones([3, 3, 4, 4])).dataSync()[0]).toBe(36);
  });
});
