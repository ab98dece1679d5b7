import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { defaultDetectorParameters } from './detector-parameters.js';
import { geodesicDistances } from './geodesic-distances.js';
import { otsuThreshold } from './otsu-threshold.js';
import { rgbToLab } from './rgb-to-lab.js';
import {
  backgroundProbability,
  backgroundWeightedContrast,
  robustBackgroundSaliency,
} from './robust-background.js';
import { shrinkImage } from './shrink-image.js';
import { solvePositiveDefinite } from './solve-positive-definite.js';
import { measureSuperpixels, twoRingWithBorder } from './superpixel-graph.js';

const read = (name: string) =>
  JSON.parse(readFileSync(new URL(`./fixtures/${name}.json`, import.meta.url), 'utf8'));
const parameters = defaultDetectorParameters.rbd;
const expectNear = (got: ArrayLike<number>, expected: (number | null)[], tolerance: number) => {
  expect(got.length).toBe(expected.length);
  const worst = Array.from(got).reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0);
  expect(worst).toBeLessThan(tolerance);
};
const rowSums = (matrix: Uint8Array, n: number) =>
  Array.from({ length: n }, (_, k) => matrix.subarray(k * n, (k + 1) * n).reduce((a, b) => a + b, 0));

for (const name of ['detection-61x47', 'detection-40x66']) {
  describe(`${name}: on the superpixels of the reference`, () => {
    const fixture = read(name);
    const { width, height } = fixture;
    const n = fixture.superpixels.count;
    const image = { width, height, data: Uint8Array.from(fixture.rgb) };
    const lab = rgbToLab(shrinkImage(image, { x: 0, y: 0, width, height }, width, height));
    const labels = Int32Array.from(fixture.superpixels.labels);
    const graph = measureSuperpixels(lab, { width, height, count: n, labels });

    test('who touches whom', () => {
      expect(rowSums(graph.adjacent, n)).toEqual(fixture.adjacent);
      expect(Array.from(graph.border)).toEqual(fixture.border);
      expect(rowSums(twoRingWithBorder(graph), n)).toEqual(fixture.twoRing);
    });

    test('geodesic distances are those of scipy.sparse.csgraph.dijkstra', () => {
      expectNear(geodesicDistances(graph), fixture.geodesic, 0.02);
    });

    test('a limit reports longer paths as Infinity and leaves the others', () => {
      const all = geodesicDistances(graph);
      const near = geodesicDistances(graph, 0, 12);
      expect(near).toEqual(all.map((value) => (value > 12 ? Number.POSITIVE_INFINITY : value)));
      expect(near.some((value) => value === Number.POSITIVE_INFINITY)).toBe(true);
    });

    test('background probability, contrast and the solution agree with NumPy', () => {
      const background = backgroundProbability(graph, parameters);
      expectNear(background, fixture.background, 1e-3);
      expectNear(
        backgroundWeightedContrast(graph, background, parameters.spatialSigma),
        fixture.contrast,
        1e-3,
      );
      expectNear(robustBackgroundSaliency(graph, null, parameters), fixture.rbd, 1e-3);
      const cue = new Float32Array(n);
      labels.forEach((k, i) => {
        cue[k] += fixture.mbPlus[i] / graph.area[k];
      });
      expectNear(robustBackgroundSaliency(graph, cue, parameters), fixture.combined, 1e-3);
    });
  });
}

describe('solvePositiveDefinite', () => {
  test('solves random systems', () => {
    let state = 9;
    const random = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 32 - 0.5;
    };
    for (const n of [1, 2, 7, 40]) {
      const root = Float64Array.from({ length: n * n }, random);
      const matrix = new Float64Array(n * n);
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < n; j++) {
          for (let k = 0; k < n; k++) matrix[i * n + j] += root[i * n + k] * root[j * n + k];
        }
        matrix[i * n + i] += 0.1;
      }
      const right = Float64Array.from({ length: n }, random);
      const x = solvePositiveDefinite(matrix.slice(), right);
      for (let i = 0; i < n; i++) {
        let sum = 0;
        for (let j = 0; j < n; j++) sum += matrix[i * n + j] * x[j];
        expect(sum).toBeCloseTo(right[i], 9);
      }
    }
  });

  test('refuses a matrix that is not positive definite', () => {
    expect(() => solvePositiveDefinite(Float64Array.of(1, 2, 2, 1), Float64Array.of(1, 1))).toThrow(
      'Expected a positive definite matrix, got pivot -3 in row 1 of 2',
    );
  });
});

describe('otsuThreshold', () => {
  test('agrees with trying every level', () => {
    for (const { values, threshold } of read('pieces').otsu)
      expect(otsuThreshold(values)).toBeCloseTo(threshold, 9);
  });

  test('is 0 where there are no two groups', () => {
    expect(otsuThreshold([])).toBe(0);
    expect(otsuThreshold([0.3, 0.3, 0.3])).toBe(0);
  });
});
