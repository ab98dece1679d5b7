import { classTotals, ratio } from './confusion-matrix.js';
import { checkCounts, checkNumClasses, countLabelPairs, meanOfPresent } from './label-counts.js';
import { MetricsError } from './metrics-error.js';

/**
 * Scores label maps that may leave pixels unlabelled (255) against masks; all results are fractions of 1.
 *
 * An unlabelled pixel counts as missed, never as predicted: it lowers recall and IoU, not precision.
 */
export interface PseudoLabelScore {
  readonly numClasses: number;
  readonly ignoreLabel: number;
  /** [numClasses, numClasses + 1]: the last column counts unlabelled pixels by true class. */
  readonly counts: Float64Array;
  /**
   * Adds one image. Truth pixels of ignoreLabel are left out whatever the prediction says.
   *
   * @throws MetricsError `size-mismatch` or `value-out-of-range`; nothing is added then.
   */
  update(prediction: ArrayLike<number>, truth: ArrayLike<number>): void;
  /** Adds the counts of another score. */
  merge(other: PseudoLabelScore | PseudoLabelScoreJSON): void;
  /** Right / labelled pixels per class; null for a class that no pixel was labelled with. */
  perClassPrecision(): (number | null)[];
  /** Right / true pixels per class, unlabelled ones included in the latter; null for a class not in the truth. */
  perClassRecall(): (number | null)[];
  /** IoU per class, unlabelled pixels counted as wrong; null for a class in neither. */
  perClassIoU(): (number | null)[];
  /** IoU per class over the labelled pixels alone; null for a class in neither. */
  perClassLabelledIoU(): (number | null)[];
  /** Class means of the four above, without nulls; NaN before any pixel was counted. */
  precision(): number;
  recall(): number;
  meanIoU(): number;
  labelledMeanIoU(): number;
  /** Unlabelled / all pixels; NaN before any pixel was counted. */
  ignoredFraction(): number;
  toJSON(): PseudoLabelScoreJSON;
}

/** A pseudo-label score as plain data. */
export interface PseudoLabelScoreJSON {
  numClasses: number;
  ignoreLabel: number;
  counts: number[];
}

/**
 * Makes an empty pseudo-label score.
 *
 * @param numClasses background included.
 * @param options.ignoreLabel the value of unlabelled pixels, and of truth pixels to leave out; default 255.
 */
export function createPseudoLabelScore(
  numClasses: number,
  options: { ignoreLabel?: number } = {},
): PseudoLabelScore {
  const { ignoreLabel = 255 } = options;
  checkNumClasses(numClasses);
  return overCounts(new Float64Array(numClasses * (numClasses + 1)), numClasses, ignoreLabel);
}

/** Makes a pseudo-label score from what {@link PseudoLabelScore.toJSON} gave. */
export function pseudoLabelScoreFromJSON(json: PseudoLabelScoreJSON): PseudoLabelScore {
  checkNumClasses(json.numClasses);
  checkCounts(json.counts, json.numClasses * (json.numClasses + 1));
  return overCounts(Float64Array.from(json.counts), json.numClasses, json.ignoreLabel);
}

function overCounts(counts: Float64Array, numClasses: number, ignoreLabel: number): PseudoLabelScore {
  const columns = numClasses + 1;
  const totals = () => classTotals(counts, numClasses, columns);
  const unlabelled = (c: number) => counts[c * columns + numClasses];
  const score: PseudoLabelScore = {
    numClasses,
    ignoreLabel,
    counts,
    update(prediction, truth) {
      const more = countLabelPairs(prediction, truth, { numClasses, ignoreLabel, abstainLabel: ignoreLabel });
      for (let i = 0; i < counts.length; i++) counts[i] += more[i];
    },
    merge(other) {
      if (other.numClasses !== numClasses || other.ignoreLabel !== ignoreLabel) {
        throw new MetricsError(
          'incompatible',
          `Expected a score of ${numClasses} classes that ignores ${ignoreLabel}, got ${other.numClasses} and ${other.ignoreLabel}.`,
          { expected: { numClasses, ignoreLabel } },
        );
      }
      checkCounts(other.counts, counts.length);
      for (let i = 0; i < counts.length; i++) counts[i] += other.counts[i];
    },
    perClassPrecision: () => {
      const { right, predicted } = totals();
      return right.map((value, c) => ratio(value, predicted[c]));
    },
    perClassRecall: () => {
      const { right, truth } = totals();
      return right.map((value, c) => ratio(value, truth[c]));
    },
    perClassIoU: () => {
      const { right, truth, predicted } = totals();
      return right.map((value, c) => ratio(value, truth[c] + predicted[c] - value));
    },
    perClassLabelledIoU: () => {
      const { right, truth, predicted } = totals();
      return right.map((value, c) => ratio(value, truth[c] - unlabelled(c) + predicted[c] - value));
    },
    precision: () => meanOfPresent(score.perClassPrecision()),
    recall: () => meanOfPresent(score.perClassRecall()),
    meanIoU: () => meanOfPresent(score.perClassIoU()),
    labelledMeanIoU: () => meanOfPresent(score.perClassLabelledIoU()),
    ignoredFraction: () => {
      const { truth } = totals();
      let all = 0;
      let left = 0;
      for (let c = 0; c < numClasses; c++) {
        all += truth[c];
        left += unlabelled(c);
      }
      return left / all;
    },
    toJSON: () => ({ numClasses, ignoreLabel, counts: Array.from(counts) }),
  };
  return score;
}
