import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { confusionMatrixFromJSON, createConfusionMatrix } from './confusion-matrix.js';
import { MetricsError } from './metrics-error.js';

const { segmentation } = JSON.parse(
  readFileSync(new URL('./fixtures/metrics.json', import.meta.url), 'utf8'),
) as {
  segmentation: {
    numClasses: number;
    prediction: number[];
    truth: number[];
    counts: number[];
    perClassIoU: (number | null)[];
  };
};

describe('createConfusionMatrix', () => {
  test('counts and scores as scikit-learn does', () => {
    const matrix = createConfusionMatrix(segmentation.numClasses);
    matrix.update(Uint8Array.from(segmentation.prediction), Uint8Array.from(segmentation.truth));
    expect(Array.from(matrix.counts)).toEqual(segmentation.counts);
    const iou = matrix.perClassIoU();
    segmentation.perClassIoU.forEach((expected, c) => {
      if (expected === null) expect(iou[c]).toBeNull();
      else expect(iou[c]).toBeCloseTo(expected, 12);
    });
    const present = segmentation.perClassIoU.filter((v): v is number => v !== null);
    expect(present.length).toBeLessThan(segmentation.numClasses);
    expect(matrix.meanIoU()).toBeCloseTo(present.reduce((a, b) => a + b, 0) / present.length, 12);
  });

  test('a worked example', () => {
    const matrix = createConfusionMatrix(3);
    matrix.update([0, 0, 1, 1, 2, 0], [0, 1, 1, 1, 255, 0]);
    expect(matrix.perClassIoU()).toEqual([2 / 3, 2 / 3, null]);
    expect(matrix.pixelAccuracy()).toBe(4 / 5);
    expect(matrix.perClassPrecision()).toEqual([2 / 3, 1, null]);
    expect(matrix.perClassRecall()).toEqual([1, 2 / 3, null]);
    expect(matrix.precision()).toBeCloseTo(5 / 6, 12);
    expect(matrix.recall()).toBeCloseTo(5 / 6, 12);
  });

  test('shards merge to the whole, also through JSON', () => {
    const { numClasses, prediction, truth } = segmentation;
    const whole = createConfusionMatrix(numClasses);
    whole.update(prediction, truth);
    const first = createConfusionMatrix(numClasses);
    const second = createConfusionMatrix(numClasses);
    first.update(prediction.slice(0, 100), truth.slice(0, 100));
    second.update(prediction.slice(100), truth.slice(100));
    first.merge(JSON.parse(JSON.stringify(second)));
    expect(first.toJSON()).toEqual(whole.toJSON());
    expect(confusionMatrixFromJSON(JSON.parse(JSON.stringify(whole))).meanIoU()).toBe(whole.meanIoU());
  });

  test('another ignore label, and an empty matrix', () => {
    const matrix = createConfusionMatrix(2, { ignoreLabel: 7 });
    expect(matrix.meanIoU()).toBeNaN();
    expect(matrix.perClassIoU()).toEqual([null, null]);
    matrix.update([0, 9], [0, 7]);
    expect(matrix.meanIoU()).toBe(1);
  });

  test('wrong input is named and changes nothing', () => {
    const matrix = createConfusionMatrix(2);
    expect(() => matrix.update([0], [0, 1])).toThrow(/prediction of 2 pixels.*got 1/);
    expect(() => matrix.update([0, 2], [0, 1])).toThrow(/prediction labels of 0\.\.1, got 2 at pixel 1/);
    expect(() => matrix.update([0, 1], [0, 3])).toThrow(/truth labels of 0\.\.1 or 255, got 3 at pixel 1/);
    expect(() => matrix.update([0, 255], [0, 1])).toThrow(/createPseudoLabelScore/);
    // Labels that were resized or averaged: no cell would count them.
    expect(() => matrix.update([0, 0.5], [0, 1])).toThrow(/prediction labels of 0\.\.1, got 0\.5 at pixel 1/);
    expect(() => matrix.update([0, 1], [0, 0.5])).toThrow(/truth labels .* got 0\.5 at pixel 1/);
    expect(Array.from(matrix.counts)).toEqual([0, 0, 0, 0]);
    expect(() => createConfusionMatrix(0)).toThrow(MetricsError);
    expect(() => matrix.merge(createConfusionMatrix(3))).toThrow(/2 classes/);
    expect(() => confusionMatrixFromJSON({ numClasses: 2, ignoreLabel: 255, counts: [1] })).toThrow(
      /Expected 4 counts/,
    );
    expect(() => confusionMatrixFromJSON({ numClasses: 1, ignoreLabel: 255, counts: [-1] })).toThrow(
      /counts >= 0/,
    );
  });
});
