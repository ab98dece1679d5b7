import { describe, expect, test } from '@jest/globals';
import { createConfusionMatrix } from './confusion-matrix.js';
import { createPseudoLabelScore, pseudoLabelScoreFromJSON } from './pseudo-label-score.js';

function randomMaps(length: number, numClasses: number): { prediction: Uint8Array; truth: Uint8Array } {
  let state = 12345;
  const next = () => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) / 2 ** 32;
  const prediction = new Uint8Array(length);
  const truth = new Uint8Array(length);
  for (let i = 0; i < length; i++) {
    truth[i] = next() < 0.1 ? 255 : Math.floor(next() * numClasses);
    prediction[i] =
      next() < 0.3 ? 255 : next() < 0.6 && truth[i] < 255 ? truth[i] : Math.floor(next() * numClasses);
  }
  return { prediction, truth };
}

describe('createPseudoLabelScore', () => {
  test('a worked example', () => {
    const score = createPseudoLabelScore(2);
    score.update([0, 255, 1, 1, 255, 1], [0, 0, 1, 0, 1, 255]);
    expect(score.perClassPrecision()).toEqual([1, 1 / 2]);
    expect(score.perClassRecall()).toEqual([1 / 3, 1 / 2]);
    expect(score.perClassIoU()).toEqual([1 / 3, 1 / 3]);
    expect(score.perClassLabelledIoU()).toEqual([1 / 2, 1 / 2]);
    expect(score.ignoredFraction()).toBe(2 / 5);
    expect(score.precision()).toBe(0.75);
    expect(score.recall()).toBeCloseTo(5 / 12, 12);
  });

  test('equals brute force on random maps', () => {
    const { prediction, truth } = randomMaps(5000, 5);
    const score = createPseudoLabelScore(5);
    score.update(prediction, truth);
    for (let c = 0; c < 5; c++) {
      let right = 0;
      let labelled = 0;
      let real = 0;
      let union = 0;
      truth.forEach((t, i) => {
        if (t === 255) return;
        const p = prediction[i];
        right += Number(t === c && p === c);
        labelled += Number(p === c);
        real += Number(t === c);
        union += Number(t === c || p === c);
      });
      expect(score.perClassPrecision()[c]).toBeCloseTo(right / labelled, 12);
      expect(score.perClassRecall()[c]).toBeCloseTo(right / real, 12);
      expect(score.perClassIoU()[c]).toBeCloseTo(right / union, 12);
    }
  });

  test('without unlabelled pixels it is the confusion matrix', () => {
    const { prediction, truth } = randomMaps(3000, 4);
    const filled = prediction.map((p) => (p === 255 ? 0 : p));
    const score = createPseudoLabelScore(4);
    const matrix = createConfusionMatrix(4);
    score.update(filled, truth);
    matrix.update(filled, truth);
    expect(score.meanIoU()).toBe(matrix.meanIoU());
    expect(score.labelledMeanIoU()).toBe(matrix.meanIoU());
    expect(score.ignoredFraction()).toBe(0);
  });

  test('merges and travels as JSON', () => {
    const { prediction, truth } = randomMaps(1000, 3);
    const whole = createPseudoLabelScore(3);
    whole.update(prediction, truth);
    const parts = createPseudoLabelScore(3);
    parts.update(prediction.subarray(0, 300), truth.subarray(0, 300));
    const rest = createPseudoLabelScore(3);
    rest.update(prediction.subarray(300), truth.subarray(300));
    parts.merge(rest);
    expect(pseudoLabelScoreFromJSON(JSON.parse(JSON.stringify(parts))).toJSON()).toEqual(whole.toJSON());
    expect(() => parts.merge(createPseudoLabelScore(4))).toThrow(/3 classes/);
    expect(() => parts.update([9], [0])).toThrow(/labels of 0\.\.2 or 255, got 9 at pixel 0/);
  });
});
