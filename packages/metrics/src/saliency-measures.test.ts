import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { createSaliencyMeasures } from './saliency-measures.js';
import { structureMeasure } from './structure-measure.js';

interface Case {
  kind: string;
  width: number;
  height: number;
  prediction: number[];
  truth: number[];
  mae: number;
  sMeasure: number;
  maxF: number;
}
const { saliency } = JSON.parse(
  readFileSync(new URL('./fixtures/metrics.json', import.meta.url), 'utf8'),
) as { saliency: { cases: Case[]; maxF: number } };

const input = (item: Case) => ({
  width: item.width,
  height: item.height,
  prediction: Float32Array.from(item.prediction, (v) => v / 255),
  truth: Uint8Array.from(item.truth),
});

describe('createSaliencyMeasures', () => {
  test.each(saliency.cases)('equals PySODMetrics on $kind', (item) => {
    const measures = createSaliencyMeasures();
    const own = measures.update(input(item));
    const result = measures.result();
    expect(own.mae).toBeCloseTo(item.mae, 6);
    expect(own.sMeasure).toBeCloseTo(item.sMeasure, 5);
    expect(result.maxF).toBeCloseTo(item.maxF, 2);
    expect(result.images).toBe(1);
  });

  test('takes the mean over images before the maximum over thresholds', () => {
    const measures = createSaliencyMeasures({ rescale: true });
    for (const item of saliency.cases) measures.update(input(item));
    const result = measures.result();
    // PySODMetrics truncates where we round, so a pixel can fall to the next of 256 thresholds.
    expect(Math.abs(result.maxF - saliency.maxF)).toBeLessThan(5e-3);
    expect(result.maxFOfMeans).toBeGreaterThan(0);
    expect(result.mae).toBeCloseTo(saliency.cases.reduce((a, c) => a + c.mae, 0) / saliency.cases.length, 6);
  });

  test('shards merge to the whole', () => {
    const whole = createSaliencyMeasures();
    const a = createSaliencyMeasures();
    const b = createSaliencyMeasures();
    saliency.cases.forEach((item, i) => {
      whole.update(input(item));
      (i < 2 ? a : b).update(input(item));
    });
    a.merge(JSON.parse(JSON.stringify(b)));
    const merged = a.result();
    const expected = whole.result();
    for (const key of Object.keys(expected) as (keyof typeof expected)[]) {
      expect(merged[key]).toBeCloseTo(expected[key], 12);
    }
  });

  test('pixels left out are as if cut away', () => {
    const { width, height, prediction, truth } = input(saliency.cases[0]);
    const left = 3;
    const top = 2;
    const w = 24;
    const h = 15;
    const masked = truth.map((t, i) => {
      const x = i % width;
      const y = Math.floor(i / width);
      return x >= left && x < left + w && y >= top && y < top + h ? t : 255;
    });
    const crop = (from: ArrayLike<number>) =>
      Float32Array.from(
        { length: w * h },
        (_, i) => from[(top + Math.floor(i / w)) * width + left + (i % w)],
      );
    const whole = createSaliencyMeasures();
    const cut = createSaliencyMeasures();
    whole.update({ width, height, prediction, truth: masked });
    cut.update({ width: w, height: h, prediction: crop(prediction), truth: crop(truth) });
    expect(whole.result()).toEqual(cut.result());
  });

  test('a perfect map, its inverse, and masks of 0 and 255', () => {
    const truth = Uint8Array.from({ length: 100 }, (_, i) => (i % 10 > 4 && i > 30 ? 255 : 0));
    const perfect = createSaliencyMeasures({ ignoreLabel: null });
    perfect.update({ width: 10, height: 10, prediction: truth.map((t) => t / 255), truth });
    expect(perfect.result()).toMatchObject({ mae: 0, maxF: 1, maxFOfMeans: 1 });
    expect(perfect.result().sMeasure).toBeCloseTo(1, 6);
    const inverse = createSaliencyMeasures({ ignoreLabel: null });
    inverse.update({ width: 10, height: 10, prediction: truth.map((t) => 1 - t / 255), truth });
    expect(inverse.result().mae).toBe(1);
    expect(inverse.result().sMeasure).toBeLessThan(0.1);
  });

  test('wrong input is named; nothing yet is NaN', () => {
    const measures = createSaliencyMeasures();
    expect(measures.result().maxF).toBeNaN();
    expect(() => measures.update({ width: 2, height: 1, prediction: [1], truth: [1, 0] })).toThrow(
      /2 pixels/,
    );
    expect(() => measures.update({ width: 1, height: 1, prediction: [255], truth: [1] })).toThrow(/Divide/);
    expect(() => measures.update({ width: 1, height: 1, prediction: [1], truth: [255] })).toThrow(
      /ignoreLabel: null/,
    );
  });

  test('structureMeasure refuses maps of another size', () => {
    const truth = new Uint8Array(12);
    expect(() => structureMeasure({ width: 4, height: 3, prediction: new Float32Array(6), truth })).toThrow(
      /12 pixels for 4x3, got 6 predicted and 12 true/,
    );
  });

  test('structureMeasure stays in 0..1 on small and thin maps', () => {
    for (const [width, height] of [
      [1, 1],
      [1, 7],
      [9, 1],
      [2, 2],
    ]) {
      for (let bits = 0; bits < 2 ** Math.min(width * height, 4); bits++) {
        const truth = Uint8Array.from({ length: width * height }, (_, i) => (bits >> i) & 1);
        const prediction = Float32Array.from(truth, (_, i) => ((i * 37 + bits) % 11) / 10);
        const value = structureMeasure({ width, height, prediction, truth });
        expect(value).toBeGreaterThanOrEqual(0);
        expect(value).toBeLessThanOrEqual(1);
      }
    }
  });
});
