import { meanOfPresent } from './label-counts.js';
import { MetricsError } from './metrics-error.js';

/**
 * Average precision of one class: the sum over ranks of (recall gained) x precision, equal scores as one rank.
 *
 * The definition of scikit-learn's `average_precision_score`, without interpolation.
 *
 * @param scores [N], any order-preserving score.
 * @param labels [N], 0 or not 0.
 * @returns 0..1, or null when no label is set.
 * @throws MetricsError `size-mismatch`, or `value-out-of-range` for a NaN score.
 */
export function averagePrecision(scores: ArrayLike<number>, labels: ArrayLike<number>): number | null {
  if (scores.length !== labels.length) {
    throw new MetricsError(
      'size-mismatch',
      `Expected ${labels.length} scores to match the labels, got ${scores.length}.`,
      {
        expected: labels.length,
        actual: scores.length,
      },
    );
  }
  const order = new Uint32Array(scores.length);
  let positives = 0;
  for (let i = 0; i < order.length; i++) {
    if (Number.isNaN(scores[i])) {
      throw new MetricsError('value-out-of-range', `Expected a score, got NaN at ${i}.`, { index: i });
    }
    order[i] = i;
    if (labels[i] !== 0) positives++;
  }
  if (positives === 0) return null;
  order.sort((i, j) => scores[j] - scores[i] || i - j);
  let sum = 0;
  let found = 0;
  let counted = 0;
  for (let i = 0; i < order.length; i++) {
    if (labels[order[i]] !== 0) found++;
    const tied = i + 1 < order.length && scores[order[i + 1]] === scores[order[i]];
    if (tied) continue;
    sum += (found - counted) * (found / (i + 1));
    counted = found;
  }
  return sum / positives;
}

/**
 * {@link averagePrecision} of every class of a multi-label classifier.
 *
 * @param scores N images of K scores.
 * @param labels N images of K labels, 0 or not 0.
 * @returns [K]; null for a class that no image has.
 */
export function perClassAveragePrecision(
  scores: readonly ArrayLike<number>[],
  labels: readonly ArrayLike<number>[],
): (number | null)[] {
  if (scores.length !== labels.length || scores.length === 0) {
    throw new MetricsError(
      'size-mismatch',
      `Expected scores and labels of the same images (at least one), got ${scores.length} and ${labels.length}.`,
      { expected: labels.length, actual: scores.length },
    );
  }
  const classes = labels[0].length;
  for (let i = 0; i < scores.length; i++) {
    if (scores[i].length !== classes || labels[i].length !== classes) {
      throw new MetricsError(
        'size-mismatch',
        `Expected ${classes} scores and labels for image ${i}, got ${scores[i].length} and ${labels[i].length}.`,
        { index: i, expected: classes },
      );
    }
  }
  return Array.from({ length: classes }, (_, c) =>
    averagePrecision(
      scores.map((row) => row[c]),
      labels.map((row) => row[c]),
    ),
  );
}

/** Mean of {@link perClassAveragePrecision} over the classes that occur; NaN when none does. */
export function meanAveragePrecision(
  scores: readonly ArrayLike<number>[],
  labels: readonly ArrayLike<number>[],
): number {
  return meanOfPresent(perClassAveragePrecision(scores, labels));
}
