import { classTotals } from './confusion-matrix.js';
import { checkCounts, checkNumClasses } from './label-counts.js';
import { MetricsError } from './metrics-error.js';

// Bound once: a global costs a look-up in some sandboxes, and these run for every draw.
const { floor, imul } = Math;

/** What {@link pairedBootstrap} compares. */
export interface PairedBootstrapOptions {
  /** One confusion matrix (or pseudo-label score) per image, of the first method. */
  a: readonly { counts: ArrayLike<number> }[];
  /** The same images in the same order, of the second method. */
  b: readonly { counts: ArrayLike<number> }[];
  numClasses: number;
  /** Resamples of the image list; default 1000. */
  samples?: number;
  /** Whole number; the same seed gives the same interval. Default 0. */
  seed?: number;
  /** Coverage of the interval, 0..1; default 0.95. */
  level?: number;
}

/** Difference of two methods' mIoU, with its bootstrap interval; fractions of 1. */
export interface PairedBootstrapResult {
  /** meanIoU(a) - meanIoU(b) over all images. */
  difference: number;
  low: number;
  high: number;
  level: number;
}

/**
 * Is method a better than b on these images, or could it be their choice?
 *
 * Draws images with replacement, the same for both methods, and gives the percentile interval of the
 * difference in mIoU (one confusion matrix per resample). An interval without 0 speaks for a real difference.
 * Source: Efron & Tibshirani, An Introduction to the Bootstrap, chapter 13.
 *
 * @throws MetricsError `size-mismatch` when a and b differ in length, or are empty.
 */
export function pairedBootstrap(options: PairedBootstrapOptions): PairedBootstrapResult {
  const { a, b, numClasses, samples = 1000, seed = 0, level = 0.95 } = options;
  checkNumClasses(numClasses);
  if (a.length !== b.length || a.length === 0) {
    throw new MetricsError(
      'size-mismatch',
      `Expected the confusion matrices of the same images (at least one) for both methods, got ${a.length} and ${b.length}.`,
      { expected: a.length, actual: b.length },
    );
  }
  if (!Number.isInteger(samples) || samples < 1 || !(level > 0 && level < 1)) {
    throw new MetricsError(
      'value-out-of-range',
      `Expected samples >= 1 and a level between 0 and 1, got ${samples} and ${level}.`,
      { samples, level },
    );
  }
  const left = a.map((matrix) => compact(matrix.counts, numClasses));
  const right = b.map((matrix) => compact(matrix.counts, numClasses));
  const sumLeft = new Float64Array(3 * numClasses);
  const sumRight = new Float64Array(3 * numClasses);
  const add = (i: number) => {
    for (let k = 0; k < sumLeft.length; k++) {
      sumLeft[k] += left[i][k];
      sumRight[k] += right[i][k];
    }
  };
  for (let i = 0; i < a.length; i++) add(i);
  const difference = meanIoU(sumLeft, numClasses) - meanIoU(sumRight, numClasses);

  const random = createRandom(seed);
  const differences = new Float64Array(samples);
  for (let s = 0; s < samples; s++) {
    sumLeft.fill(0);
    sumRight.fill(0);
    for (let i = 0; i < a.length; i++) add(floor(random() * a.length));
    differences[s] = meanIoU(sumLeft, numClasses) - meanIoU(sumRight, numClasses);
  }
  differences.sort();
  return {
    difference,
    low: quantile(differences, (1 - level) / 2),
    high: quantile(differences, (1 + level) / 2),
    level,
  };
}

/** [right, true, predicted] pixels per class: all that IoU needs of a confusion matrix. */
function compact(counts: ArrayLike<number>, numClasses: number): Float64Array {
  // Pseudo-label scores have one more column, for pixels that they leave unlabelled.
  const columns = counts.length === numClasses * (numClasses + 1) ? numClasses + 1 : numClasses;
  checkCounts(counts, numClasses * columns);
  const { right, truth, predicted } = classTotals(counts, numClasses, columns);
  return Float64Array.from([...right, ...truth, ...predicted]);
}

function meanIoU(totals: Float64Array, numClasses: number): number {
  let sum = 0;
  let present = 0;
  for (let c = 0; c < numClasses; c++) {
    const union = totals[numClasses + c] + totals[2 * numClasses + c] - totals[c];
    if (union <= 0) continue;
    sum += totals[c] / union;
    present++;
  }
  // Images whose pixels are all ignored can make a resample empty; it then counts as no difference.
  return present === 0 ? 0 : sum / present;
}

/** Linear interpolation between order statistics, as NumPy's default. */
function quantile(sorted: Float64Array, q: number): number {
  const position = q * (sorted.length - 1);
  const low = Math.floor(position);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (position - low);
}

/** SplitMix-style 32-bit generator (mulberry32): numbers in [0, 1) that depend on the seed alone. */
function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = imul(t ^ (t >>> 15), t | 1);
    t ^= t + imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
