import { presets, unaryFromSaliency } from '@auxseg/crf';
import type { RgbImage, ScoreMap } from '@auxseg/formats';
import { PseudoLabelError } from './errors.js';

/** The part of a dense CRF that the update needs; `createDenseCrf()` and `createDenseCrfPool()` both fit. */
export interface SaliencyCrf {
  infer(options: {
    width: number;
    height: number;
    labels: number;
    unary: Float32Array;
    image: Uint8Array;
    gaussian: { sxy: number; compat: number };
    bilateral: { sxy: number; srgb: number; compat: number };
    iterations: number;
  }): Float32Array | Promise<Float32Array>;
}

/** Kernel widths (px, and grey levels for `srgb`), weights and number of steps of the saliency CRF. */
export interface SaliencyCrfParameters {
  readonly gaussian: { readonly sxy: number; readonly compat: number };
  readonly bilateral: { readonly sxy: number; readonly srgb: number; readonly compat: number };
  readonly iterations: number;
}

/** The authors' CRF_sal: Gaussian 3 px weight 3, bilateral 60 px and 5 grey levels weight 5, one mean-field step. */
export const officialSaliencyCrf: SaliencyCrfParameters = presets.auxsegSaliency;

/** What one update of one image's saliency map looks at. */
export interface SaliencyUpdateInput {
  /** The network's refined saliency as a probability [H,W], 0..1: sigmoid of the logit, upsampled to the image. */
  readonly refined: Float32Array;
  /** The ORIGINAL off-the-shelf map [H,W], 0..1, never the previous stage's update. */
  readonly original: Float32Array;
  readonly image: RgbImage;
  /** null leaves the average as it is. */
  readonly crf: SaliencyCrf | null;
  /** Share of `refined` in the average, 0..1; default 0.5 (the authors' plain mean). */
  readonly refinedWeight?: number;
  /** CRF parameters; default `officialSaliencyCrf`. */
  readonly parameters?: SaliencyCrfParameters;
  readonly id?: string;
}

/**
 * Updates a saliency map after a stage: CRF_sal((refined + original) / 2).
 *
 * CRF_sal's unary is `unaryFromSaliency` of `@auxseg/crf`: bg -ln(1-p+1e-8) / (1.05 sigmoid(1-p)), fg the same of p.
 * All maps are [H,W] in 0..1 at the image's size; the result is the CRF's foreground probability, new memory.
 * Averaging with the original map each time keeps the loop from drifting (method facts 4; official `update` step).
 * Throws PseudoLabelError: BAD_SHAPE, BAD_VALUE (outside 0..1 or NaN), BAD_OPTION.
 */
export async function updateSaliency(input: SaliencyUpdateInput): Promise<ScoreMap> {
  const { refined, original, image, crf } = input;
  const { width, height } = image;
  const pixels = width * height;
  const where = input.id === undefined ? '' : ` for image ${input.id}`;
  const weight = input.refinedWeight ?? 0.5;
  const parameters = input.parameters ?? officialSaliencyCrf;
  if (!(weight >= 0 && weight <= 1)) {
    throw new PseudoLabelError('BAD_OPTION', `Expected refinedWeight in 0..1, got ${weight}.`, { weight });
  }
  if (image.data.length !== 3 * pixels) {
    throw new PseudoLabelError(
      'BAD_SHAPE',
      `Expected an RGB image [${height},${width},3] (${3 * pixels} bytes)${where}, got ${image.data.length} bytes.`,
      { expected: 3 * pixels, got: image.data.length },
    );
  }
  for (const [name, map] of [
    ['refined', refined],
    ['original', original],
  ] as const) {
    if (map.length !== pixels) {
      throw new PseudoLabelError(
        'BAD_SHAPE',
        `Expected the ${name} saliency [${height},${width}] (${pixels} numbers)${where}, got ${map.length}; upsample it to the image first.`,
        { map: name, expected: pixels, got: map.length },
      );
    }
  }
  const average = new Float32Array(pixels);
  for (let i = 0; i < pixels; i++) {
    const r = refined[i];
    const o = original[i];
    // Written so that NaN fails too.
    if (!(r >= 0 && r <= 1 && o >= 0 && o <= 1)) {
      throw new PseudoLabelError(
        'BAD_VALUE',
        `Expected saliency probabilities in 0..1${where}, got refined ${r} and original ${o} at x=${i % width}, y=${Math.floor(i / width)}; apply the sigmoid to logits, divide 8-bit maps by 255.`,
        { index: i, refined: r, original: o },
      );
    }
    average[i] = weight * r + (1 - weight) * o;
  }
  if (crf === null) return { width, height, data: average };
  const marginals = await crf.infer({
    width,
    height,
    labels: 2,
    unary: unaryFromSaliency(average),
    image: image.data,
    gaussian: { ...parameters.gaussian },
    bilateral: { ...parameters.bilateral },
    iterations: parameters.iterations,
  });
  if (marginals.length !== 2 * pixels) {
    throw new PseudoLabelError(
      'BAD_SHAPE',
      `Expected the CRF to return Q [2,${height},${width}] (${2 * pixels} numbers)${where}, got ${marginals.length}.`,
      { expected: 2 * pixels, got: marginals.length },
    );
  }
  return { width, height, data: marginals.slice(pixels) };
}
