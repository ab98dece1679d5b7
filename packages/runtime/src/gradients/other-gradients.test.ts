import { beforeAll, describe, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { useBackend } from '../backends/use-backend.js';
import {
  dot,
  finiteDifferences,
  randomValues,
  relativeError,
  seededRandom,
} from '../float64.test.support.js';
import { resizeBilinear } from '../ops/resize-bilinear.js';
import { testedBackends } from '../tested-backends.test.support.js';
import { composeResizeBilinearGradient, linearTaps, type ResizeOptions } from './resize-gradient.js';

const resizeOptions: ResizeOptions[] = [
  { alignCorners: false, halfPixelCenters: true },
  { alignCorners: false, halfPixelCenters: false },
  { alignCorners: true, halfPixelCenters: false },
];

/** Bilinear resize of [h,w,c] in float64, position by position. */
function resized(
  x: ArrayLike<number>,
  [h, w, c]: [number, number, number],
  [oh, ow]: [number, number],
  options: ResizeOptions,
): Float64Array {
  const position = (i: number, size: number, out: number) => {
    const scale = options.alignCorners && out > 1 ? (size - 1) / (out - 1) : size / out;
    const at = options.halfPixelCenters ? (i + 0.5) * scale - 0.5 : i * scale;
    return Math.min(size - 1, Math.max(0, at));
  };
  const y = new Float64Array(oh * ow * c);
  for (let i = 0; i < oh; i++)
    for (let j = 0; j < ow; j++) {
      const u = position(i, h, oh);
      const v = position(j, w, ow);
      for (let a = 0; a < c; a++) {
        const at = (r: number, s: number) => x[(Math.min(r, h - 1) * w + Math.min(s, w - 1)) * c + a];
        const [r, s] = [Math.floor(u), Math.floor(v)];
        const top = at(r, s) * (1 - (v - s)) + at(r, s + 1) * (v - s);
        const bottom = at(r + 1, s) * (1 - (v - s)) + at(r + 1, s + 1) * (v - s);
        y[(i * ow + j) * c + a] = top * (1 - (u - r)) + bottom * (u - r);
      }
    }
  return y;
}

/** Average pooling over the pixels inside the image. */
function averaged(
  x: ArrayLike<number>,
  [h, w, c]: [number, number, number],
  window: [number, number],
  stride: [number, number],
  [top, left, oh, ow]: [number, number, number, number],
): Float64Array {
  const y = new Float64Array(oh * ow * c);
  for (let i = 0; i < oh; i++)
    for (let j = 0; j < ow; j++)
      for (let a = 0; a < c; a++) {
        let sum = 0;
        let count = 0;
        for (let r = 0; r < window[0]; r++)
          for (let s = 0; s < window[1]; s++) {
            const [u, v] = [i * stride[0] + r - top, j * stride[1] + s - left];
            if (u < 0 || v < 0 || u >= h || v >= w) continue;
            sum += x[(u * w + v) * c + a];
            count++;
          }
        y[(i * ow + j) * c + a] = sum / count;
      }
  return y;
}

describe.each(await testedBackends())('gradients of other operations on %s', (backend) => {
  beforeAll(async () => {
    await useBackend(backend);
  });

  test.each(resizeOptions)('bilinear resize %j, up and down, odd and non-square', (options) => {
    const sizes: [number, number, number, number, number][] = [
      [3, 4, 7, 9, 2],
      [4, 3, 9, 2, 1],
      [7, 8, 3, 5, 2],
      [1, 6, 4, 6, 3],
      [5, 1, 5, 7, 2],
      [6, 6, 1, 1, 2],
      [2, 2, 7, 9, 5],
    ];
    sizes.forEach(([h, w, oh, ow, c], seed) => {
      const random = seededRandom(seed);
      const x = randomValues(h * w * c, random);
      const dy = randomValues(oh * ow * c, random);
      const input = tf.tensor4d(x, [1, h, w, c]);
      const upstream = tf.tensor4d(dy, [1, oh, ow, c]);
      const run = (a: tf.Tensor) =>
        tf.image.resizeBilinear(a as tf.Tensor4D, [oh, ow], options.alignCorners, options.halfPixelCenters);
      expect(relativeError(run(input).dataSync(), resized(x, [h, w, c], [oh, ow], options))).toBeLessThan(
        1e-5,
      );
      const expected = finiteDifferences((point) => dot(resized(point, [h, w, c], [oh, ow], options), dy), x);
      expect(relativeError(tf.grad(run)(input, upstream).dataSync(), expected)).toBeLessThan(1e-5);
      const composed = composeResizeBilinearGradient(upstream, [1, h, w, c], options);
      expect(relativeError(composed.dataSync(), expected)).toBeLessThan(1e-5);
      if (options.halfPixelCenters) {
        const own = (a: tf.Tensor) => resizeBilinear(a as tf.Tensor4D, [oh, ow]);
        expect(relativeError(tf.grad(own)(input, upstream).dataSync(), expected)).toBeLessThan(1e-5);
      }
    });
  });

  test('a batch is resized image by image', () => {
    const x = tf.tensor4d(randomValues(3 * 4 * 5 * 2, seededRandom(1)), [3, 4, 5, 2]);
    const dy = tf.tensor4d(randomValues(3 * 7 * 3 * 2, seededRandom(2)), [3, 7, 3, 2]);
    const gradient = tf.grad((a) => resizeBilinear(a as tf.Tensor4D, [7, 3]))(x, dy);
    const single = tf.split(dy, 3, 0).map((part, i) => {
      const image = tf.slice(x, [i, 0, 0, 0], [1, 4, 5, 2]);
      return tf.grad((a) => resizeBilinear(a as tf.Tensor4D, [7, 3]))(image, part);
    });
    expect(relativeError(gradient.dataSync(), tf.concat(single, 0).dataSync())).toBeLessThan(1e-6);
  });

  test.each([
    [
      [2, 3, 4, 2],
      [6, 8],
    ],
    [
      [2, 3, 4, 2],
      [2, 3],
    ],
    [
      [3, 5, 4, 2],
      [7, 9],
    ],
  ])('resizeNearestNeighbor of %j to %j sends each gradient where its value came from', (shape, size) => {
    const random = seededRandom(3);
    const count = tf.util.sizeFromShape(shape);
    for (const [alignCorners, halfPixelCenters] of [
      [false, false],
      [true, false],
      [false, true],
    ]) {
      const resize = (x: tf.Tensor) =>
        tf.image.resizeNearestNeighbor(
          ...([x as tf.Tensor4D, size as [number, number], alignCorners, halfPixelCenters] as const),
        );
      const ramp = tf.reshape(tf.range(0, count), shape);
      const sources = resize(ramp);
      const dy = randomValues(sources.size, random);
      const expected = new Float64Array(count);
      sources.dataSync().forEach((source, i) => {
        expected[source] += dy[i];
      });
      const dx = tf.grad(resize)(ramp, tf.tensor(dy, sources.shape));
      expect(relativeError(dx.dataSync(), expected)).toBeLessThan(1e-5);
    }
  });

  test('linearTaps stay inside the axis and weigh at most one', () => {
    for (const options of resizeOptions)
      for (const [size, out] of [
        [1, 5],
        [7, 3],
        [4, 9],
        [41, 321],
      ]) {
        const { low, high, weight } = linearTaps(size, out, options);
        expect(Math.min(...low)).toBeGreaterThanOrEqual(0);
        expect(Math.max(...high)).toBeLessThan(size);
        expect(Math.min(...weight)).toBeGreaterThanOrEqual(0);
        expect(Math.max(...weight)).toBeLessThanOrEqual(1);
      }
  });

  test('average pooling divides by the pixels inside the image', () => {
    const [h, w, c] = [7, 6, 3];
    const random = seededRandom(3);
    const x = randomValues(h * w * c, random);
    const input = tf.tensor4d(x, [1, h, w, c]);
    const cases: {
      size: [number, number];
      stride: [number, number];
      pad: 'same' | 'valid';
      from: [number, number];
    }[] = [
      { size: [3, 3], stride: [1, 1], pad: 'same', from: [1, 1] },
      { size: [2, 3], stride: [2, 2], pad: 'same', from: [0, 0] },
      { size: [3, 2], stride: [2, 1], pad: 'valid', from: [0, 0] },
    ];
    for (const { size, stride, pad, from } of cases) {
      const run = (a: tf.Tensor) => tf.avgPool(a as tf.Tensor4D, size, stride, pad);
      const y = run(input);
      const [, oh, ow] = y.shape;
      const geometry: [number, number, number, number] = [from[0], from[1], oh, ow];
      expect(relativeError(y.dataSync(), averaged(x, [h, w, c], size, stride, geometry))).toBeLessThan(1e-5);
      const dy = randomValues(oh * ow * c, random);
      const expected = finiteDifferences(
        (point) => dot(averaged(point, [h, w, c], size, stride, geometry), dy),
        x,
      );
      const gradient = tf.grad(run)(input, tf.tensor4d(dy, [1, oh, ow, c]));
      expect(relativeError(gradient.dataSync(), expected)).toBeLessThan(1e-5);
    }
  });

  test('max pooling sends gradient to the largest pixel', () => {
    const [h, w, c] = [7, 5, 2];
    const random = seededRandom(4);
    const x = randomValues(h * w * c, random);
    const run = (a: tf.Tensor) => tf.maxPool(a as tf.Tensor4D, [3, 2], [2, 2], 'same');
    const y = run(tf.tensor4d(x, [1, h, w, c]));
    const [, oh, ow] = y.shape;
    const dy = randomValues(oh * ow * c, random);
    const expected = new Float64Array(x.length);
    for (let i = 0; i < oh; i++)
      for (let j = 0; j < ow; j++)
        for (let a = 0; a < c; a++) {
          let best = -1;
          for (let r = 0; r < 3; r++)
            for (let s = 0; s < 2; s++) {
              const [u, v] = [i * 2 + r - 1, j * 2 + s];
              if (u < 0 || v < 0 || u >= h || v >= w) continue;
              const at = (u * w + v) * c + a;
              if (best < 0 || x[at] > x[best]) best = at;
            }
          expected[best] += dy[(i * ow + j) * c + a];
        }
    const gradient = tf.grad(run)(tf.tensor4d(x, [1, h, w, c]), tf.tensor4d(dy, [1, oh, ow, c]));
    expect(relativeError(gradient.dataSync(), expected)).toBeLessThan(1e-6);
  });

  test('stridedSlice with steps, negative steps and masks', () => {
    const shape = [4, 5, 6];
    const x = tf.tensor(randomValues(120, seededRandom(5)), shape);
    const index = tf.tensor(
      Float32Array.from({ length: 120 }, (_, i) => i),
      shape,
    );
    const cases: [number[], number[], number[], number, number, number, number, number][] = [
      [[0, 0, 0], [4, 5, 6], [2, 3, 1], 0, 0, 0, 0, 0],
      [[3, 4, 5], [0, 0, 0], [-1, -2, -3], 0, 0, 0, 0, 0],
      [[1, 1, 0], [3, 2, 6], [1, 1, 1], 0, 0, 0, 0, 0b010],
      [[1, 2], [4, 6], [1, 2], 0b01, 0b10, 0, 0, 0],
      [[-1, 0, 1], [0, 0, 0], [-2, 2, 2], 0b010, 0b111, 0, 0, 0],
      [[0, 2], [0, 3], [1, 1], 0, 0, 0b01, 0, 0],
      [[0, 1, 0, 2], [0, 4, 0, 5], [1, 2, 1, 1], 0, 0b100, 0, 0b0001, 0],
    ];
    for (const args of cases) {
      const run = (a: tf.Tensor) => tf.stridedSlice(a, ...args);
      const taken = run(index).dataSync();
      const dy = randomValues(taken.length, seededRandom(6));
      const expected = new Float64Array(120);
      taken.forEach((at, i) => {
        expected[at] += dy[i];
      });
      const gradient = tf.grad(run)(x, tf.tensor(dy, run(x).shape));
      expect(relativeError(gradient.dataSync(), expected)).toBeLessThan(1e-6);
    }
  });

  test('gather adds up repeated rows on both axes', () => {
    const x = tf.tensor2d(randomValues(5 * 4, seededRandom(7)), [5, 4]);
    for (const axis of [0, 1]) {
      const indices = tf.tensor1d([2, 0, 2, 3, 3, 3], 'int32');
      const run = (a: tf.Tensor) => tf.gather(a, indices, axis);
      const y = run(x);
      const dy = randomValues(y.size, seededRandom(8));
      const expected = new Float64Array(20);
      const ids = indices.dataSync();
      for (let i = 0; i < y.shape[0]; i++)
        for (let j = 0; j < y.shape[1]!; j++) {
          const at = axis === 0 ? ids[i] * 4 + j : i * 4 + ids[j];
          expected[at] += dy[i * y.shape[1]! + j];
        }
      const gradient = tf.grad(run)(x, tf.tensor(dy, y.shape));
      expect(relativeError(gradient.dataSync(), expected)).toBeLessThan(1e-6);
    }
  });

  test('unsortedSegmentSum ignores ids outside its range', () => {
    const x = tf.tensor2d([1, 2, 3, 4, 5, 6], [3, 2]);
    expect([...tf.unsortedSegmentSum(x, tf.tensor1d([1, -1, 1], 'int32'), 3).dataSync()]).toEqual([
      0, 0, 6, 8, 0, 0,
    ]);
  });

  test.each([[undefined], [0], [-1], [[0, 2]], [[1]]])('sum and mean over axis %p', (axis) => {
    const shape = [3, 5, 4];
    const x = tf.tensor(randomValues(60, seededRandom(10)), shape);
    for (const [reduce, divisor] of [
      [tf.sum, 1],
      [tf.mean, axis === undefined ? 60 : [axis].flat().reduce((n, a) => n * (shape.at(a) as number), 1)],
    ] as const) {
      for (const keepDims of [false, true]) {
        const run = (a: tf.Tensor) => reduce(a, axis, keepDims) as tf.Tensor;
        const y = run(x);
        const dy = randomValues(y.size, seededRandom(11));
        const gradient = tf.grad(run)(x, tf.tensor(dy, y.shape));
        const kept = tf.sum(tf.zerosLike(x), axis, true).shape;
        const strides = kept.map((_, a) => kept.slice(a + 1).reduce((p, q) => p * q, 1));
        const expected = Float64Array.from({ length: 60 }, (_, i) => {
          const at = [Math.floor(i / 20), Math.floor(i / 4) % 5, i % 4];
          return dy[at.reduce((sum, p, a) => sum + (kept[a] === 1 ? 0 : p * strides[a]), 0)] / divisor;
        });
        expect(gradient.shape).toEqual(shape);
        expect(relativeError(gradient.dataSync(), expected)).toBeLessThan(1e-6);
      }
    }
  });

  test('comparisons have a gradient, and it is zero', () => {
    const x = tf.tensor1d([-1, 2, 3]);
    for (const compare of [tf.greater, tf.greaterEqual, tf.less, tf.lessEqual, tf.equal, tf.notEqual]) {
      const gradient = tf.grad((a) => tf.sum(tf.mul(a, tf.cast(compare(a, tf.scalar(2)), 'float32'))))(x);
      const expected = [...tf.cast(compare(x, tf.scalar(2)), 'float32').dataSync()];
      expect([...gradient.dataSync()]).toEqual(expected);
    }
  });

  test('matMul in all its forms, with gradients', () => {
    const random = seededRandom(9);
    const forms: [number[], number[], boolean, boolean][] = [
      [[3, 5, 7], [3, 7, 4], false, false],
      [[3, 7, 5], [3, 7, 4], true, false],
      [[3, 5, 7], [3, 4, 7], false, true],
      [[2, 7, 5], [2, 4, 7], true, true],
      [[1, 5, 7], [3, 7, 4], false, false],
      [[3, 7, 5], [1, 4, 7], true, true],
      [[6, 9], [9, 1], false, false],
      [[1, 9], [1, 9], false, true],
    ];
    for (const [shapeA, shapeB, transposeA, transposeB] of forms) {
      const a = randomValues(
        shapeA.reduce((p, q) => p * q),
        random,
      );
      const b = randomValues(
        shapeB.reduce((p, q) => p * q),
        random,
      );
      const at = (v: ArrayLike<number>, shape: number[], flip: boolean, n: number, i: number, j: number) => {
        const [rows, columns] = shape.slice(-2);
        const image = shape.length === 3 && shape[0] > 1 ? n : 0;
        return v[image * rows * columns + (flip ? j * columns + i : i * columns + j)];
      };
      const [rowsA, columnsA] = shapeA.slice(-2);
      const m = transposeA ? columnsA : rowsA;
      const inner = transposeA ? rowsA : columnsA;
      const k = transposeB ? shapeB.slice(-2)[0] : shapeB.slice(-2)[1];
      const batch = Math.max(shapeA.length === 3 ? shapeA[0] : 1, shapeB.length === 3 ? shapeB[0] : 1);
      const product = (x: ArrayLike<number>, y: ArrayLike<number>) => {
        const out = new Float64Array(batch * m * k);
        for (let n = 0; n < batch; n++)
          for (let i = 0; i < m; i++)
            for (let j = 0; j < k; j++)
              for (let p = 0; p < inner; p++) {
                out[(n * m + i) * k + j] +=
                  at(x, shapeA, transposeA, n, i, p) * at(y, shapeB, transposeB, n, p, j);
              }
        return out;
      };
      const run = (x: tf.Tensor, y: tf.Tensor) => tf.matMul(x, y, transposeA, transposeB);
      const inputs = [tf.tensor(a, shapeA), tf.tensor(b, shapeB)];
      const y = run(inputs[0], inputs[1]);
      expect(relativeError(y.dataSync(), product(a, b))).toBeLessThan(1e-5);
      if (shapeA.length === 3 && shapeA[0] !== shapeB[0]) continue; // tfjs has no gradient for a broadcast batch
      const dy = randomValues(y.size, random);
      const [da, db] = tf.grads(run)(inputs, tf.tensor(dy, y.shape));
      const expectedA = finiteDifferences((point) => dot(product(point, b), dy), a);
      const expectedB = finiteDifferences((point) => dot(product(a, point), dy), b);
      expect(relativeError(da.dataSync(), expectedA)).toBeLessThan(1e-5);
      expect(relativeError(db.dataSync(), expectedB)).toBeLessThan(1e-5);
    }
  });
});
