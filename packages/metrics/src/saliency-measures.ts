import { MetricsError } from './metrics-error.js';
import { structureMeasure } from './structure-measure.js';

/** The weight of precision over recall that the saliency field uses (Achanta et al., CVPR 2009). */
const BETA_SQUARED = 0.3;

/** Thresholds t / 255 for t = 0..255: a pixel is salient when its 8-bit value is at least t. */
const THRESHOLDS = 256;

/** One image for {@link SaliencyMeasures.update}. */
export interface SaliencyMeasureInput {
  width: number;
  height: number;
  /** [H,W], 0..1. */
  prediction: ArrayLike<number>;
  /** [H,W]: 0 background, ignoreLabel left out, any other value foreground. */
  truth: ArrayLike<number>;
}

/** Means over the images so far. */
export interface SaliencyMeasureResult {
  /** Mean absolute error, 0..1; lower is better. */
  mae: number;
  /** Largest over the thresholds of the mean F-measure of the images (beta^2 = 0.3). */
  maxF: number;
  /** The threshold of maxF, 0..1. */
  maxFThreshold: number;
  /** Largest F-measure of the mean precision and mean recall: the older convention, usually a little higher. */
  maxFOfMeans: number;
  /** S-measure. */
  sMeasure: number;
  images: number;
}

/** Accumulates the usual measures of saliency maps. */
export interface SaliencyMeasures {
  /**
   * Adds one image; returns its own MAE and S-measure.
   *
   * @throws MetricsError `size-mismatch`, or `value-out-of-range` for a prediction outside 0..1 or an image whose
   * truth leaves out every pixel.
   */
  update(input: SaliencyMeasureInput): { mae: number; sMeasure: number };
  /** Adds another accumulator's sums. */
  merge(other: SaliencyMeasures | SaliencyMeasuresJSON): void;
  /** The means so far; NaN before the first image. */
  result(): SaliencyMeasureResult;
  toJSON(): SaliencyMeasuresJSON;
}

/** The sums of a {@link SaliencyMeasures} as plain data. */
export interface SaliencyMeasuresJSON {
  images: number;
  mae: number;
  sMeasure: number;
  precision: number[];
  recall: number[];
  f: number[];
}

/**
 * Makes an empty accumulator of saliency measures: MAE, max F-beta, S-measure.
 *
 * An image without foreground in its truth counts with F = 0, as in the field's toolboxes.
 *
 * @param options.ignoreLabel truth value to leave out, default 255; null for masks in which 255 is the foreground.
 * @param options.rescale stretch each prediction to 0..1 first, as those toolboxes do; default false.
 */
export function createSaliencyMeasures(
  options: { ignoreLabel?: number | null; rescale?: boolean } = {},
): SaliencyMeasures {
  const { ignoreLabel = 255, rescale = false } = options;
  const sums: SaliencyMeasuresJSON = {
    images: 0,
    mae: 0,
    sMeasure: 0,
    precision: new Array<number>(THRESHOLDS).fill(0),
    recall: new Array<number>(THRESHOLDS).fill(0),
    f: new Array<number>(THRESHOLDS).fill(0),
  };
  return {
    update(input) {
      const { width, height } = input;
      const pixels = width * height;
      if (input.prediction.length !== pixels || input.truth.length !== pixels) {
        throw new MetricsError(
          'size-mismatch',
          `Expected ${pixels} pixels for ${width}x${height}, got ${input.prediction.length} predicted and ${input.truth.length} true. Was one of them resized?`,
          { expected: pixels, prediction: input.prediction.length, truth: input.truth.length },
        );
      }
      const { prediction, truth } = prepare(input, ignoreLabel, rescale);
      const salient = new Float64Array(THRESHOLDS);
      const right = new Float64Array(THRESHOLDS);
      let absolute = 0;
      let valid = 0;
      let foreground = 0;
      for (let i = 0; i < pixels; i++) {
        const t = truth[i];
        if (t === LEFT_OUT) continue;
        const p = prediction[i];
        const level = Math.round(p * 255);
        valid++;
        absolute += Math.abs(p - t);
        salient[level]++;
        if (t === 1) {
          foreground++;
          right[level]++;
        }
      }
      if (valid === 0) {
        throw new MetricsError(
          'value-out-of-range',
          `Expected a truth with pixels to score, but all ${pixels} are ${ignoreLabel}. In masks where 255 is the foreground, set ignoreLabel: null.`,
          { pixels, ignoreLabel },
        );
      }
      const sMeasure = structureMeasure({ width, height, prediction, truth });
      let above = 0;
      let hits = 0;
      for (let level = THRESHOLDS - 1; level >= 0; level--) {
        above += salient[level];
        hits += right[level];
        const precision = above > 0 ? hits / above : 0;
        const recall = foreground > 0 ? hits / foreground : 0;
        sums.precision[level] += precision;
        sums.recall[level] += recall;
        sums.f[level] += fMeasure(precision, recall);
      }
      const mae = absolute / valid;
      sums.mae += mae;
      sums.sMeasure += sMeasure;
      sums.images++;
      return { mae, sMeasure };
    },
    merge(other) {
      const more = 'toJSON' in other ? other.toJSON() : other;
      if ([more.precision, more.recall, more.f].some((list) => list.length !== THRESHOLDS)) {
        throw new MetricsError('incompatible', `Expected sums over ${THRESHOLDS} thresholds.`, {});
      }
      sums.images += more.images;
      sums.mae += more.mae;
      sums.sMeasure += more.sMeasure;
      for (let t = 0; t < THRESHOLDS; t++) {
        sums.precision[t] += more.precision[t];
        sums.recall[t] += more.recall[t];
        sums.f[t] += more.f[t];
      }
    },
    result() {
      const { images } = sums;
      let maxF = images > 0 ? -1 : Number.NaN;
      let maxFThreshold = Number.NaN;
      let maxFOfMeans = images > 0 ? 0 : Number.NaN;
      for (let t = 0; t < THRESHOLDS; t++) {
        const f = sums.f[t] / images;
        if (f > maxF) {
          maxF = f;
          maxFThreshold = t / 255;
        }
        maxFOfMeans = Math.max(maxFOfMeans, fMeasure(sums.precision[t] / images, sums.recall[t] / images));
      }
      return {
        mae: sums.mae / images,
        maxF,
        maxFThreshold,
        maxFOfMeans,
        sMeasure: sums.sMeasure / images,
        images,
      };
    },
    toJSON: () => structuredClone(sums),
  };
}

/** Marks a truth pixel that is not scored. */
const LEFT_OUT = 2;

function prepare(
  input: SaliencyMeasureInput,
  ignoreLabel: number | null,
  rescale: boolean,
): { prediction: Float64Array; truth: Uint8Array } {
  const prediction = Float64Array.from(input.prediction);
  const truth = new Uint8Array(prediction.length);
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < prediction.length; i++) {
    const p = prediction[i];
    if (!(p >= 0 && p <= 1)) {
      throw new MetricsError(
        'value-out-of-range',
        `Expected saliency of 0..1, got ${p} at pixel ${i}. Divide 8-bit maps by 255.`,
        {
          value: p,
          index: i,
        },
      );
    }
    if (p < low) low = p;
    if (p > high) high = p;
    const t = input.truth[i];
    truth[i] = t === 0 ? 0 : t === ignoreLabel ? LEFT_OUT : 1;
  }
  if (rescale && high > low) {
    for (let i = 0; i < prediction.length; i++) prediction[i] = (prediction[i] - low) / (high - low);
  }
  return { prediction, truth };
}

function fMeasure(precision: number, recall: number): number {
  const below = BETA_SQUARED * precision + recall;
  return below > 0 ? ((1 + BETA_SQUARED) * precision * recall) / below : 0;
}
