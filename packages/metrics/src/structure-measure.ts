import { MetricsError } from './metrics-error.js';

/** A saliency map and its truth, as {@link structureMeasure} takes them. */
export interface SaliencyPair {
  width: number;
  height: number;
  /** [H,W], 0..1. */
  prediction: ArrayLike<number>;
  /** [H,W]: 1 foreground, 0 background, anything else left out. */
  truth: ArrayLike<number>;
}

const EPSILON = Number.EPSILON;

/**
 * S-measure of one saliency map, 0..1: half object-aware, half region-aware similarity.
 *
 * Source: Fan et al., "Structure-measure", ICCV 2017, alpha = 0.5, as the authors' code computes it. Pixels
 * left out take part in nothing: not in the means, the centroid or the areas of the regions. NaN without pixels.
 *
 * @throws MetricsError `size-mismatch`.
 */
export function structureMeasure(pair: SaliencyPair): number {
  const { width, height, prediction, truth } = pair;
  const pixels = width * height;
  if (prediction.length !== pixels || truth.length !== pixels) {
    throw new MetricsError(
      'size-mismatch',
      `Expected ${pixels} pixels for ${width}x${height}, got ${prediction.length} predicted and ${truth.length} true. Was one of them resized?`,
      { expected: pixels, prediction: prediction.length, truth: truth.length },
    );
  }
  let foreground = 0;
  let valid = 0;
  let sumX = 0;
  let sumY = 0;
  let sum = 0;
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const t = truth[i];
      if (t !== 0 && t !== 1) continue;
      valid++;
      sum += prediction[i];
      if (t === 1) {
        foreground++;
        sumX += x;
        sumY += y;
      }
    }
  }
  if (foreground === 0) return 1 - sum / valid;
  if (foreground === valid) return sum / valid;
  const share = foreground / valid;
  const object =
    share * objectSimilarity(prediction, truth, 1) + (1 - share) * objectSimilarity(prediction, truth, 0);
  // The four regions meet behind the centroid's pixel.
  const cutX = roundHalfEven(sumX / foreground) + 1;
  const cutY = roundHalfEven(sumY / foreground) + 1;
  let region = 0;
  for (const [top, bottom] of [
    [0, cutY],
    [cutY, height],
  ]) {
    for (const [left, right] of [
      [0, cutX],
      [cutX, width],
    ]) {
      const { count, similarity } = regionSimilarity(pair, left, top, right, bottom);
      region += (count / valid) * similarity;
    }
  }
  return Math.max(0, 0.5 * object + 0.5 * region);
}

/** How bright and even the prediction is over one side of the truth (dark, for the background). */
function objectSimilarity(prediction: ArrayLike<number>, truth: ArrayLike<number>, side: 0 | 1): number {
  const value = (i: number) => (side === 1 ? prediction[i] : 1 - prediction[i]);
  let count = 0;
  let sum = 0;
  for (let i = 0; i < truth.length; i++) {
    if (truth[i] !== side) continue;
    count++;
    sum += value(i);
  }
  const mean = sum / count;
  let squares = 0;
  for (let i = 0; i < truth.length; i++) if (truth[i] === side) squares += (value(i) - mean) ** 2;
  const deviation = count > 1 ? Math.sqrt(squares / (count - 1)) : 0;
  return (2 * mean) / (mean * mean + 1 + deviation + EPSILON);
}

function regionSimilarity(
  pair: SaliencyPair,
  left: number,
  top: number,
  right: number,
  bottom: number,
): { count: number; similarity: number } {
  const { width, prediction, truth } = pair;
  let count = 0;
  let sumP = 0;
  let sumT = 0;
  const each = (visit: (p: number, t: number) => void) => {
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) {
        const t = truth[y * width + x];
        if (t === 0 || t === 1) visit(prediction[y * width + x], t);
      }
    }
  };
  each((p, t) => {
    count++;
    sumP += p;
    sumT += t;
  });
  if (count === 0) return { count, similarity: 0 };
  const meanP = sumP / count;
  const meanT = sumT / count;
  let varianceP = 0;
  let varianceT = 0;
  let covariance = 0;
  each((p, t) => {
    varianceP += (p - meanP) ** 2;
    varianceT += (t - meanT) ** 2;
    covariance += (p - meanP) * (t - meanT);
  });
  const degrees = Math.max(1, count - 1);
  const above = (4 * meanP * meanT * covariance) / degrees;
  const below = ((meanP ** 2 + meanT ** 2) * (varianceP + varianceT)) / degrees;
  if (above !== 0) return { count, similarity: above / (below + EPSILON) };
  return { count, similarity: below === 0 ? 1 : 0 };
}

/** Rounds as the authors' code and NumPy do: halves to the even neighbour. */
function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
