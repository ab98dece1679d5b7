import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { averagePrecision, meanAveragePrecision, perClassAveragePrecision } from './average-precision.js';

const { ranking } = JSON.parse(readFileSync(new URL('./fixtures/metrics.json', import.meta.url), 'utf8')) as {
  ranking: { scores: number[][]; labels: number[][]; perClass: (number | null)[] };
};

describe('average precision', () => {
  test('equals scikit-learn, ties included', () => {
    const ours = perClassAveragePrecision(ranking.scores, ranking.labels);
    ranking.perClass.forEach((expected, c) => {
      if (expected === null) expect(ours[c]).toBeNull();
      else expect(ours[c]).toBeCloseTo(expected, 12);
    });
    const present = ranking.perClass.filter((v): v is number => v !== null);
    expect(meanAveragePrecision(ranking.scores, ranking.labels)).toBeCloseTo(
      present.reduce((a, b) => a + b, 0) / present.length,
      12,
    );
  });

  test('perfect, worst and undefined', () => {
    expect(averagePrecision([3, 2, 1], [1, 1, 0])).toBe(1);
    expect(averagePrecision([3, 2, 1], [0, 0, 1])).toBeCloseTo(1 / 3, 12);
    expect(averagePrecision([1, 1, 1, 1], [1, 0, 0, 0])).toBe(0.25);
    expect(averagePrecision([3, 2], [0, 0])).toBeNull();
  });

  test('wrong input is named', () => {
    expect(() => averagePrecision([1], [1, 0])).toThrow(/2 scores/);
    expect(() => averagePrecision([Number.NaN], [1])).toThrow(/NaN at 0/);
    expect(() => meanAveragePrecision([], [])).toThrow(/at least one/);
    expect(() =>
      meanAveragePrecision(
        [[1, 2], [1]],
        [
          [1, 0],
          [0, 1],
        ],
      ),
    ).toThrow(/image 1/);
  });
});
