import { checkCounts, checkNumClasses, countLabelPairs, meanOfPresent } from './label-counts.js';
import { MetricsError } from './metrics-error.js';

/** Pixel counts by true and predicted class, and what follows from them; all results are fractions of 1. */
export interface ConfusionMatrix {
  readonly numClasses: number;
  readonly ignoreLabel: number;
  /** [numClasses, numClasses]: `counts[truth * numClasses + prediction]`. */
  readonly counts: Float64Array;
  /**
   * Adds one image (or any number of pixels).
   *
   * Adds nothing when it throws.
   *
   * @param prediction classes of 0..numClasses-1; anything under a truth of ignoreLabel is not looked at.
   * @param truth classes, or ignoreLabel for pixels to leave out.
   * @throws MetricsError `size-mismatch` or `value-out-of-range`.
   */
  update(prediction: ArrayLike<number>, truth: ArrayLike<number>): void;
  /** Adds the counts of another matrix, such as another shard's. */
  merge(other: ConfusionMatrix | ConfusionMatrixJSON): void;
  /** Intersection over union per class; null for a class in neither truth nor prediction. */
  perClassIoU(): (number | null)[];
  /** Mean of {@link perClassIoU} without its nulls; NaN before any pixel was counted. */
  meanIoU(): number;
  /** Right pixels / all pixels; NaN before any pixel was counted. */
  pixelAccuracy(): number;
  /** Right / predicted pixels per class; null for a class never predicted. */
  perClassPrecision(): (number | null)[];
  /** Right / true pixels per class; null for a class not in the truth. */
  perClassRecall(): (number | null)[];
  /** Mean of {@link perClassPrecision} without its nulls. */
  precision(): number;
  /** Mean of {@link perClassRecall} without its nulls. */
  recall(): number;
  toJSON(): ConfusionMatrixJSON;
}

/** A confusion matrix as plain data. */
export interface ConfusionMatrixJSON {
  numClasses: number;
  ignoreLabel: number;
  counts: number[];
}

/**
 * Makes an empty confusion matrix.
 *
 * The VOC measure is ONE matrix over the whole list of images; a mean of per-image IoUs is another number.
 *
 * @param numClasses background included: 21 for VOC, 81 for COCO.
 * @param options.ignoreLabel truth value to leave out; default 255.
 */
export function createConfusionMatrix(
  numClasses: number,
  options: { ignoreLabel?: number } = {},
): ConfusionMatrix {
  const { ignoreLabel = 255 } = options;
  checkNumClasses(numClasses);
  return overCounts(new Float64Array(numClasses * numClasses), numClasses, ignoreLabel);
}

/**
 * Makes a confusion matrix from what {@link ConfusionMatrix.toJSON} gave.
 *
 * @throws MetricsError when the counts do not fit numClasses.
 */
export function confusionMatrixFromJSON(json: ConfusionMatrixJSON): ConfusionMatrix {
  checkNumClasses(json.numClasses);
  checkCounts(json.counts, json.numClasses ** 2);
  return overCounts(Float64Array.from(json.counts), json.numClasses, json.ignoreLabel);
}

function overCounts(counts: Float64Array, numClasses: number, ignoreLabel: number): ConfusionMatrix {
  const matrix: ConfusionMatrix = {
    numClasses,
    ignoreLabel,
    counts,
    update(prediction, truth) {
      const more = countLabelPairs(prediction, truth, { numClasses, ignoreLabel, abstainLabel: null });
      for (let i = 0; i < counts.length; i++) counts[i] += more[i];
    },
    merge(other) {
      if (other.numClasses !== numClasses || other.ignoreLabel !== ignoreLabel) {
        throw new MetricsError(
          'incompatible',
          `Expected a matrix of ${numClasses} classes that ignores ${ignoreLabel}, got ${other.numClasses} and ${other.ignoreLabel}.`,
          { expected: { numClasses, ignoreLabel }, actual: { ...other, counts: undefined } },
        );
      }
      checkCounts(other.counts, counts.length);
      for (let i = 0; i < counts.length; i++) counts[i] += other.counts[i];
    },
    perClassIoU: () => {
      const { right, truth, predicted } = classTotals(counts, numClasses);
      return right.map((value, c) => ratio(value, truth[c] + predicted[c] - value));
    },
    meanIoU: () => meanOfPresent(matrix.perClassIoU()),
    pixelAccuracy: () => {
      const { right, truth } = classTotals(counts, numClasses);
      return sum(right) / sum(truth);
    },
    perClassPrecision: () => {
      const { right, predicted } = classTotals(counts, numClasses);
      return right.map((value, c) => ratio(value, predicted[c]));
    },
    perClassRecall: () => {
      const { right, truth } = classTotals(counts, numClasses);
      return right.map((value, c) => ratio(value, truth[c]));
    },
    precision: () => meanOfPresent(matrix.perClassPrecision()),
    recall: () => meanOfPresent(matrix.perClassRecall()),
    toJSON: () => ({ numClasses, ignoreLabel, counts: Array.from(counts) }),
  };
  return matrix;
}

/** Per class: right pixels, true pixels, predicted pixels. */
export function classTotals(
  counts: ArrayLike<number>,
  numClasses: number,
  columns = numClasses,
): { right: number[]; truth: number[]; predicted: number[] } {
  const right = new Array<number>(numClasses).fill(0);
  const truth = new Array<number>(numClasses).fill(0);
  const predicted = new Array<number>(numClasses).fill(0);
  for (let t = 0; t < numClasses; t++) {
    for (let p = 0; p < columns; p++) {
      const count = counts[t * columns + p];
      truth[t] += count;
      if (p < numClasses) predicted[p] += count;
    }
    right[t] = counts[t * columns + t];
  }
  return { right, truth, predicted };
}

/** part / whole, or null when there is nothing to divide by. */
export function ratio(part: number, whole: number): number | null {
  return whole > 0 ? part / whole : null;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
