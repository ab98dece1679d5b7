import { type RgbImage, resizeBilinear, type ScoreMap } from '@auxseg/formats';
import { type DetectorParameters, defaultDetectorParameters } from './detector-parameters.js';
import { SaliencyError } from './errors.js';
import { findPicture } from './find-picture.js';
import { mbPlusSaliency } from './mb-plus.js';
import type { Planes } from './planes.js';
import { rgbToLab } from './rgb-to-lab.js';
import { robustBackgroundSaliency } from './robust-background.js';
import { type PixelRect, shrinkImage, shrunkSize } from './shrink-image.js';
import { slic } from './slic.js';
import { measureSuperpixels } from './superpixel-graph.js';

/** `mbplus`: minimum barrier distance; `rbd`: robust background detection; `combined`: MB+ as foreground cue of RBD's optimisation. */
export type SaliencyMethod = 'mbplus' | 'rbd' | 'combined';

/** Options of the detector; group by group, given parameters replace the default ones. */
export interface DetectSaliencyOptions {
  /** Default `combined`. */
  readonly method?: SaliencyMethod;
  readonly parameters?: {
    readonly frame?: Partial<DetectorParameters['frame']>;
    readonly mbPlus?: Partial<DetectorParameters['mbPlus']>;
    readonly rbd?: Partial<DetectorParameters['rbd']>;
    readonly minRange?: number;
  };
}

/**
 * Detects what stands out in a photograph, without any training; the result is [H,W], 0..1, at the image's size.
 *
 * Pure arrays, no state, no Node: the same function runs in workers and browsers. Plain images (nothing but noise of a few grey
 * levels) give all 0. A 500x375 photograph takes 50 to 90 ms on one core.
 * Throws SaliencyError: BAD_SHAPE, BAD_OPTION. Source: Zhang et al. ICCV 2015, Zhu et al. CVPR 2014.
 */
export function detectSaliency(image: RgbImage, options: DetectSaliencyOptions = {}): ScoreMap {
  const { width, height } = image;
  const method = options.method ?? 'combined';
  if (!Number.isInteger(width) || !Number.isInteger(height) || width < 1 || height < 1) {
    throw new SaliencyError('BAD_SHAPE', `Expected a positive integer image size, got ${width}x${height}.`, {
      width,
      height,
    });
  }
  if (image.data.length !== 3 * width * height) {
    throw new SaliencyError(
      'BAD_SHAPE',
      `Expected RGB bytes [${height},${width},3] (${3 * width * height}), got ${image.data.length}; grey and RGBA images must be converted first.`,
      { expected: 3 * width * height, got: image.data.length },
    );
  }
  if (method !== 'mbplus' && method !== 'rbd' && method !== 'combined') {
    throw new SaliencyError(
      'BAD_OPTION',
      `Expected saliency method 'mbplus', 'rbd' or 'combined', got ${JSON.stringify(method)}.`,
      { method },
    );
  }
  const parameters = mergeParameters(options);
  const picture = findPicture(image, parameters.frame);
  const data = new Float32Array(width * height);
  const result = { width, height, data };

  let mbPlus: { map: Float32Array; width: number; height: number } | null = null;
  if (method !== 'rbd') {
    const lab = shrinkToLab(image, picture, parameters.mbPlus.maxSidePx);
    if (isPlain(lab, parameters)) return result;
    mbPlus = { map: mbPlusSaliency(lab, parameters.mbPlus), width: lab.width, height: lab.height };
    if (method === 'mbplus') {
      paste(resizeBilinear(mbPlus.map, mbPlus, picture), picture, result);
      return result;
    }
  }
  const lab = shrinkToLab(image, picture, parameters.rbd.maxSidePx);
  if (isPlain(lab, parameters)) return result;
  const superpixels = slic(lab, parameters.rbd.superpixels);
  const graph = measureSuperpixels(lab, superpixels);
  let cue: Float32Array | null = null;
  if (mbPlus) {
    const resized = resizeBilinear(mbPlus.map, mbPlus, lab);
    cue = new Float32Array(superpixels.count);
    for (let i = 0; i < resized.length; i++) cue[superpixels.labels[i]] += resized[i];
    for (let k = 0; k < cue.length; k++) cue[k] /= graph.area[k];
  }
  const values = robustBackgroundSaliency(graph, cue, parameters.rbd);
  const painted = new Float32Array(superpixels.labels.length);
  for (let i = 0; i < painted.length; i++) painted[i] = values[superpixels.labels[i]];
  paste(resizeBilinear(painted, { width: lab.width, height: lab.height }, picture), picture, result);
  return result;
}

function mergeParameters(options: DetectSaliencyOptions): DetectorParameters {
  const given = options.parameters ?? {};
  const base = defaultDetectorParameters;
  return {
    frame: { ...base.frame, ...given.frame },
    mbPlus: { ...base.mbPlus, ...given.mbPlus },
    rbd: { ...base.rbd, ...given.rbd },
    minRange: given.minRange ?? base.minRange,
  };
}

function shrinkToLab(image: RgbImage, picture: PixelRect, maxSidePx: number): Planes {
  const size = shrunkSize(picture.width, picture.height, maxSidePx);
  return rgbToLab(shrinkImage(image, picture, size.width, size.height));
}

/** Whether the image holds nothing but noise: every later step stretches its range, so this one must look at the raw one. */
function isPlain(lab: Planes, parameters: DetectorParameters): boolean {
  const pixels = lab.width * lab.height;
  for (let c = 0; c < 3; c++) {
    let low = Number.POSITIVE_INFINITY;
    let high = Number.NEGATIVE_INFINITY;
    for (let i = c * pixels; i < (c + 1) * pixels; i++) {
      const value = lab.data[i];
      if (value < low) low = value;
      if (value > high) high = value;
    }
    if ((high - low) * (c === 0 ? parameters.mbPlus.lightnessWeight : 1) > parameters.minRange) return false;
  }
  return true;
}

/** Copies a map of the picture into the whole image; the frame stays 0. Rounding may leave 0..1 by an ulp, hence the clamp. */
function paste(map: Float32Array, picture: PixelRect, target: ScoreMap): void {
  for (let y = 0; y < picture.height; y++) {
    const to = (picture.y + y) * target.width + picture.x;
    const from = y * picture.width;
    for (let x = 0; x < picture.width; x++) {
      const value = map[from + x];
      target.data[to + x] = value < 0 ? 0 : value > 1 ? 1 : value;
    }
  }
}
