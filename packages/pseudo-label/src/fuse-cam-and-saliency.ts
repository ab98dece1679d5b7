import type { LabelMap } from '@auxseg/formats';
import { PseudoLabelError } from './errors.js';
import type { PseudoLabelInput } from './types.js';

/** Value of a pixel that no loss and no score counts. */
export const IGNORE_LABEL = 255;

/** Thresholds and conflict rule of the fusion; the defaults are the paper's. */
export interface FusionOptions {
  /** A pixel belongs to an object when its largest CAM among the present classes is above this; 0..1, default 0.2. */
  readonly camThreshold?: number;
  /**
   * Saliency above this is salient; 0..1, default 0.06. The default fits the nearly binary maps of a trained
   * detector; raw unsupervised maps need a higher one, so take it from the source's `thresholds.foreground`.
   */
  readonly saliencyThreshold?: number;
  /** Same as `saliencyThreshold`, and wins over it when both are given (reads better in three-zone rules). */
  readonly saliencyForeground?: number;
  /**
   * Saliency at or below this is surely background; between this and the foreground threshold nothing is known.
   * 0..foreground threshold; default: the foreground threshold itself, that is, no middle zone.
   */
  readonly saliencyBackground?: number;
  /**
   * What becomes of a pixel that a CAM claims and the saliency does not: `ignore` (the paper) makes it 255,
   * `keep` gives it the class when its CAM is above `keepAbove`.
   */
  readonly confidentCam?: 'ignore' | 'keep';
  /** CAM above which `keep` keeps a pixel in the middle zone; 0..1, default 0.5. */
  readonly keepAbove?: number;
  /** The same where saliency says background; default `keepAbove`; 1 or more never keeps. */
  readonly keepAboveInBackground?: number;
}

/** All fusion options with their values, as a report or a resolved recipe prints them. */
export type ResolvedFusionOptions = Required<Omit<FusionOptions, 'saliencyThreshold'>>;

/**
 * Fills in the defaults of the fusion options and checks that they make sense together.
 *
 * Throws PseudoLabelError BAD_OPTION for a threshold that is no finite number, is outside 0..1, or for a
 * background threshold above the foreground one.
 */
export function resolveFusionOptions(options: FusionOptions = {}): ResolvedFusionOptions {
  const saliencyForeground = options.saliencyForeground ?? options.saliencyThreshold ?? 0.06;
  const keepAbove = options.keepAbove ?? 0.5;
  const resolved: ResolvedFusionOptions = {
    camThreshold: options.camThreshold ?? 0.2,
    saliencyForeground,
    saliencyBackground: options.saliencyBackground ?? saliencyForeground,
    confidentCam: options.confidentCam ?? 'ignore',
    keepAbove,
    keepAboveInBackground: options.keepAboveInBackground ?? keepAbove,
  };
  for (const name of [
    'camThreshold',
    'saliencyForeground',
    'saliencyBackground',
    'keepAbove',
    'keepAboveInBackground',
  ] as const) {
    const value = resolved[name];
    const upper = name === 'keepAboveInBackground' ? Number.POSITIVE_INFINITY : 1;
    if (typeof value !== 'number' || !(value >= 0 && value <= upper)) {
      throw new PseudoLabelError(
        'BAD_OPTION',
        `Expected fusion option ${name} to be a number in 0..1, got ${String(value)}; CAM and saliency are both scaled to 0..1.`,
        { option: name, value },
      );
    }
  }
  if (resolved.saliencyBackground > resolved.saliencyForeground) {
    throw new PseudoLabelError(
      'BAD_OPTION',
      `Expected saliencyBackground (${resolved.saliencyBackground}) not above the foreground threshold (${resolved.saliencyForeground}); swap them, or leave saliencyBackground out for a single threshold.`,
      { saliencyBackground: resolved.saliencyBackground, saliencyForeground: resolved.saliencyForeground },
    );
  }
  if (resolved.confidentCam !== 'ignore' && resolved.confidentCam !== 'keep') {
    throw new PseudoLabelError(
      'BAD_OPTION',
      `Expected confidentCam to be 'ignore' or 'keep', got ${JSON.stringify(resolved.confidentCam)}.`,
      { option: 'confidentCam', value: resolved.confidentCam },
    );
  }
  return resolved;
}

function checkInput(input: PseudoLabelInput): number {
  const { cam, width, height, labels, saliency } = input;
  const where = input.id === undefined ? '' : ` for image ${input.id}`;
  const pixels = width * height;
  const classes = labels.length;
  if (!Number.isInteger(width) || !Number.isInteger(height) || width < 1 || height < 1) {
    throw new PseudoLabelError(
      'BAD_SHAPE',
      `Expected a positive integer size${where}, got ${width}x${height}.`,
      {
        width,
        height,
      },
    );
  }
  if (classes < 1 || classes > 254) {
    throw new PseudoLabelError(
      'BAD_SHAPE',
      `Expected 1 to 254 image-level labels${where}, got ${classes}; label maps are 8-bit and keep 0 for background and 255 for ignore.`,
      { classes },
    );
  }
  if (cam.length !== classes * pixels) {
    throw new PseudoLabelError(
      'BAD_SHAPE',
      `Expected CAMs [${classes},${height},${width}] (${classes * pixels} numbers)${where}, got ${cam.length}; resize the CAMs to the image before fusing.`,
      { expected: classes * pixels, got: cam.length },
    );
  }
  if (saliency.length !== pixels) {
    throw new PseudoLabelError(
      'BAD_SHAPE',
      `Expected saliency [${height},${width}] (${pixels} numbers)${where}, got ${saliency.length}; resize the saliency map to the image before fusing.`,
      { expected: pixels, got: saliency.length },
    );
  }
  return pixels;
}

/**
 * Fuses normalised CAMs and a saliency map into a pseudo label.
 *
 * `cam` [K,H,W] and `saliency` [H,W] in 0..1, `labels` [K]; the result is [H,W] with 0 = background, k+1 =
 * class k, 255 = ignore. With obj = (max over present classes of CAM > camThreshold), each pixel becomes
 *
 * | | background zone | middle zone | salient |
 * |---|---|---|---|
 * | obj | 255, or the class (`keep`) | 255, or the class (`keep`) | the class |
 * | no obj | 0 | 255 | 255 |
 *
 * Two equal CAMs give the lower class. Thresholds are compared in float32, as the data are stored.
 * With the defaults this is the authors' rule (paper section 3.3 and their code: CAM 0.2, saliency 0.06).
 * Throws PseudoLabelError: BAD_SHAPE, BAD_OPTION, BAD_VALUE (NaN in a CAM of a present class, saliency outside 0..1).
 */
export function fuseCamAndSaliency(input: PseudoLabelInput & FusionOptions): LabelMap {
  const options = resolveFusionOptions(input);
  const pixels = checkInput(input);
  const { cam, labels, saliency, width, height } = input;
  // Rounded to float32 first: 0.2 as a double lies below the stored 0.2, and a pixel exactly at the threshold would pass.
  const camThreshold = Math.fround(options.camThreshold);
  const foreground = Math.fround(options.saliencyForeground);
  const background = Math.fround(options.saliencyBackground);
  const keep = options.confidentCam === 'keep';
  const keepMiddle = Math.fround(options.keepAbove);
  const keepBackground = Math.fround(options.keepAboveInBackground);

  const best = new Float32Array(pixels).fill(Number.NEGATIVE_INFINITY);
  const data = new Uint8Array(pixels);
  for (let k = 0; k < labels.length; k++) {
    if (!labels[k]) continue;
    const offset = k * pixels;
    for (let i = 0; i < pixels; i++) {
      const value = cam[offset + i];
      if (value > best[i]) {
        best[i] = value;
        data[i] = k + 1;
      } else if (Number.isNaN(value)) {
        throw notANumber(i, input, k);
      }
    }
  }
  for (let i = 0; i < pixels; i++) {
    const s = saliency[i];
    const object = best[i] > camThreshold;
    // Written so that NaN fails too.
    if (!(s >= 0 && s <= 1)) throw notSaliency(s, i, input);
    if (s > foreground) {
      if (!object) data[i] = IGNORE_LABEL;
    } else if (s <= background) {
      if (!object) data[i] = 0;
      else if (!(keep && best[i] > keepBackground)) data[i] = IGNORE_LABEL;
    } else if (!(object && keep && best[i] > keepMiddle)) {
      data[i] = IGNORE_LABEL;
    }
  }
  return { width, height, data };
}

function notANumber(index: number, input: PseudoLabelInput, classIndex: number): PseudoLabelError {
  const { x, y, where } = placeOf(index, input);
  return new PseudoLabelError(
    'BAD_VALUE',
    `Expected finite numbers, got NaN in the CAM of class index ${classIndex}${where}; the model that made it has diverged.`,
    { x, y, id: input.id, classIndex },
  );
}

function notSaliency(value: number, index: number, input: PseudoLabelInput): PseudoLabelError {
  const { x, y, where } = placeOf(index, input);
  return new PseudoLabelError(
    'BAD_VALUE',
    `Expected saliency in 0..1, got ${value}${where}; divide 8-bit maps by 255, apply the sigmoid to logits.`,
    { x, y, id: input.id, value },
  );
}

function placeOf(index: number, { width, id }: PseudoLabelInput): { x: number; y: number; where: string } {
  const x = index % width;
  const y = (index - x) / width;
  return { x, y, where: `${id === undefined ? '' : ` of image ${id}`} at x=${x}, y=${y}` };
}
