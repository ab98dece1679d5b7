import { MetricsError } from './metrics-error.js';

/** How {@link countLabelPairs} reads its arrays. */
export interface LabelCountOptions {
  numClasses: number;
  /** Truth pixels of this value are left out. */
  ignoreLabel: number;
  /** A predicted value that is counted in an extra, last column; null when there is none. */
  abstainLabel: number | null;
}

/**
 * Counts (truth, prediction) pairs of two label maps: the pure core of the accumulators.
 *
 * @returns [numClasses, columns] row-major, columns = numClasses, or one more with an abstainLabel.
 * @throws MetricsError `size-mismatch`, or `value-out-of-range` for the first label that is no class.
 */
export function countLabelPairs(
  prediction: ArrayLike<number>,
  truth: ArrayLike<number>,
  options: LabelCountOptions,
): Float64Array {
  const { numClasses, ignoreLabel, abstainLabel } = options;
  if (prediction.length !== truth.length) {
    throw new MetricsError(
      'size-mismatch',
      `Expected a prediction of ${truth.length} pixels to match the truth, got ${prediction.length}. Was one of them resized?`,
      { expected: truth.length, actual: prediction.length },
    );
  }
  const columns = abstainLabel === null ? numClasses : numClasses + 1;
  const counts = new Float64Array(numClasses * columns);
  for (let i = 0; i < truth.length; i++) {
    const row = truth[i];
    if (row === ignoreLabel) continue;
    let column = prediction[i];
    if (column === abstainLabel) column = numClasses;
    else if (!isClass(column, numClasses)) throw outOfRange('prediction', column, i, options);
    if (!isClass(row, numClasses)) throw outOfRange('truth', row, i, options);
    counts[row * columns + column]++;
  }
  return counts;
}

/** Written so that NaN fails too; a fraction would be counted nowhere. */
function isClass(label: number, numClasses: number): boolean {
  return label >= 0 && label < numClasses && label === (label | 0);
}

function outOfRange(which: string, value: number, index: number, options: LabelCountOptions): MetricsError {
  const { numClasses, ignoreLabel, abstainLabel } = options;
  const special = which === 'truth' ? ignoreLabel : abstainLabel;
  const also = special === null ? '' : ` or ${special}`;
  const hint =
    which === 'prediction' && value === ignoreLabel
      ? ' To score label maps that leave pixels out, use createPseudoLabelScore.'
      : ' Is numClasses right (it counts the background)?';
  return new MetricsError(
    'value-out-of-range',
    `Expected ${which} labels of 0..${numClasses - 1}${also}, got ${value} at pixel ${index}.${hint}`,
    { which, value, index, numClasses },
  );
}

/** @throws MetricsError unless numClasses is 1..255, which is what 8-bit labels allow beside an ignore label. */
export function checkNumClasses(numClasses: number): void {
  if (!Number.isInteger(numClasses) || numClasses < 1 || numClasses > 255) {
    throw new MetricsError('value-out-of-range', `Expected numClasses of 1..255, got ${numClasses}.`, {
      value: numClasses,
    });
  }
}

/** Checks counts that come from JSON or a caller. */
export function checkCounts(counts: ArrayLike<number>, expected: number): void {
  if (counts.length !== expected) {
    throw new MetricsError('size-mismatch', `Expected ${expected} counts, got ${counts.length}.`, {
      expected,
      actual: counts.length,
    });
  }
  for (let i = 0; i < expected; i++) {
    if (!(counts[i] >= 0) || !Number.isFinite(counts[i])) {
      throw new MetricsError('value-out-of-range', `Expected counts >= 0, got ${counts[i]} at ${i}.`, {
        value: counts[i],
        index: i,
      });
    }
  }
}

/** Mean of the numbers among `values`; NaN when all are null. */
export function meanOfPresent(values: readonly (number | null)[]): number {
  let sum = 0;
  let count = 0;
  for (const value of values) {
    if (value === null) continue;
    sum += value;
    count++;
  }
  return sum / count;
}
