import { describe, expect, test } from '@jest/globals';
import { createConfusionMatrix } from './confusion-matrix.js';
import { pairedBootstrap } from './paired-bootstrap.js';

function image(accuracy: number, seed: number) {
  let state = seed >>> 0;
  const next = () => {
    state = (Math.imul(state ^ (state >>> 15), 2246822519) + 374761393) >>> 0;
    return state / 2 ** 32;
  };
  const truth = Uint8Array.from({ length: 200 }, () => Math.floor(next() * 3));
  const prediction = truth.map((t) => (next() < accuracy ? t : Math.floor(next() * 3)));
  const matrix = createConfusionMatrix(3);
  matrix.update(prediction, truth);
  return matrix;
}

describe('pairedBootstrap', () => {
  const good = Array.from({ length: 60 }, (_, i) => image(0.8, i + 1));
  const worse = Array.from({ length: 60 }, (_, i) => image(0.7, i + 1));

  test('the difference is that of the two whole-list confusion matrices', () => {
    const whole = (list: typeof good) => {
      const sum = createConfusionMatrix(3);
      for (const matrix of list) sum.merge(matrix);
      return sum.meanIoU();
    };
    const result = pairedBootstrap({ a: good, b: worse, numClasses: 3, samples: 500, seed: 3 });
    expect(result.difference).toBeCloseTo(whole(good) - whole(worse), 12);
    expect(result.low).toBeGreaterThan(0);
    expect(result.low).toBeLessThan(result.difference);
    expect(result.high).toBeGreaterThan(result.difference);
    expect(result.level).toBe(0.95);
  });

  test('the same seed gives the same interval, another seed another', () => {
    const run = (seed: number) => pairedBootstrap({ a: good, b: worse, numClasses: 3, samples: 100, seed });
    expect(run(1)).toEqual(run(1));
    expect(run(1)).not.toEqual(run(2));
  });

  test('its width is that of the normal approximation', () => {
    // Two classes, one pixel of each per image, right or wrong at random: mIoU is a smooth function of the
    // share of right pixels p, IoU = p / (2 - p), so the interval follows from the delta method.
    const n = 400;
    const a = Array.from({ length: n }, (_, i) => {
      const matrix = createConfusionMatrix(2);
      matrix.update(i % 4 === 0 ? [1, 0] : [0, 1], [0, 1]);
      return matrix;
    });
    const b = Array.from({ length: n }, () => {
      const matrix = createConfusionMatrix(2);
      matrix.update([0, 1], [0, 1]);
      return matrix;
    });
    const { difference, low, high } = pairedBootstrap({ a, b, numClasses: 2, samples: 2000, seed: 5 });
    const p = 0.75;
    expect(difference).toBeCloseTo(p / (2 - p) - 1, 12);
    const slope = 2 / (2 - p) ** 2;
    const expected = 2 * 1.96 * slope * Math.sqrt((p * (1 - p)) / n);
    expect((high - low) / expected).toBeGreaterThan(0.9);
    expect((high - low) / expected).toBeLessThan(1.1);
  });

  test('equal methods differ by nothing; wrong input is named', () => {
    const same = pairedBootstrap({ a: good, b: good, numClasses: 3, samples: 50 });
    expect(same).toEqual({ difference: 0, low: 0, high: 0, level: 0.95 });
    expect(() => pairedBootstrap({ a: good, b: worse.slice(1), numClasses: 3 })).toThrow(/got 60 and 59/);
    expect(() => pairedBootstrap({ a: [], b: [], numClasses: 3 })).toThrow(/at least one/);
    expect(() => pairedBootstrap({ a: good, b: worse, numClasses: 4 })).toThrow(/16 counts/);
    expect(() => pairedBootstrap({ a: good, b: worse, numClasses: 3, level: 95 })).toThrow(/level/);
  });
});
