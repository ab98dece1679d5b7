import type { LabelMap, ScoreMap } from '@auxseg/formats';
import { DatasetError } from './dataset-error.js';
import { drawSyntheticScene, SYNTHETIC_CLASSES, type SyntheticScene } from './synthetic-scene.js';
import type { Dataset, ImageSample, SyntheticSceneOptions } from './types.js';

export interface SyntheticDatasetOptions {
  /** Number of images. */
  readonly count: number;
  /** Side in pixels, or width and height; default 96. */
  readonly size?: number | { readonly width: number; readonly height: number };
  /** How many classes, 2..6; default 4 (stripes, checks, rings, cross; then dots, halves). */
  readonly classes?: number;
  /** Default 0. */
  readonly seed?: number;
  /** Another split of the same seed has other images; default 'train'. */
  readonly split?: string;
  /** Objects per image, inclusive; default 1..3. */
  readonly minObjects?: number;
  readonly maxObjects?: number;
  /** Amount of background clutter and distractors; default 1. */
  readonly clutter?: number;
  /** How often a part keeps its class's preferred tone, 0..1; default 0.85. At 0 only the pattern tells the class. */
  readonly colorCue?: number;
  /** Coarseness and noise of the saliency maps; default 1, 0 = exact. */
  readonly saliencyNoise?: number;
  /** Ring of 255 around objects in the truth, pixels; default 0. */
  readonly borderPx?: number;
}

/** The built-in data set that needs no download. */
export interface SyntheticDataset extends Dataset {
  truth(id: string): Promise<LabelMap>;
  /** Coarse noisy saliency [H,W] in 0..1, in steps of 1/255 so that an 8-bit PNG holds it exactly. */
  saliency(id: string): Promise<ScoreMap>;
  /** [H,W], 1 where a class-specific part is visible: for measuring how far labels grow beyond it, never for training. */
  parts(id: string): Promise<LabelMap>;
  /** Thresholds that suit these saliency maps: above `foreground` salient, below `background` not. */
  readonly saliencyThresholds: { readonly foreground: number; readonly background: number };
  imageSource(id: string): { type: 'synthetic'; options: SyntheticSceneOptions; index: number };
}

/** Drawn scenes kept in memory, in bytes: a set of 1,000 images of 112 x 112 pixels. */
const CACHE_BYTES = 96 * 2 ** 20;

/**
 * Creates a seeded set of drawn images for weak supervision: each object is a plain body, whose colour says nothing about its class, with a small
 * patterned part that does; backgrounds hold look-alikes without the part.
 *
 * Images are drawn on demand; the same options give the same bytes on every machine.
 * @throws DatasetError 'bad-option', 'unknown-id'.
 */
export function createSyntheticDataset(options: SyntheticDatasetOptions): SyntheticDataset {
  const size =
    typeof options.size === 'object'
      ? options.size
      : { width: options.size ?? 96, height: options.size ?? 96 };
  const scene: SyntheticSceneOptions = {
    seed: options.seed ?? 0,
    split: options.split ?? 'train',
    widthPx: size.width,
    heightPx: size.height,
    numClasses: options.classes ?? 4,
    minObjects: options.minObjects ?? 1,
    maxObjects: options.maxObjects ?? Math.max(3, options.minObjects ?? 1),
    clutter: options.clutter ?? 1,
    colorCue: options.colorCue ?? 0.85,
    saliencyNoise: options.saliencyNoise ?? 1,
    borderPx: options.borderPx ?? 0,
  };
  const demand = (ok: boolean, name: string, expected: string, came: unknown): void => {
    if (!ok)
      throw new DatasetError('bad-option', `Expected ${name} to be ${expected}, came ${String(came)}.`, {
        option: name,
        came,
      });
  };
  const whole = (v: number, min: number, max: number): boolean => Number.isInteger(v) && v >= min && v <= max;
  demand(whole(options.count, 1, 1e6), 'count', 'an integer in 1..1000000', options.count);
  demand(
    whole(scene.numClasses, 2, SYNTHETIC_CLASSES.length),
    'classes',
    `an integer in 2..${SYNTHETIC_CLASSES.length}`,
    scene.numClasses,
  );
  demand(
    whole(scene.widthPx, 32, 4096) && whole(scene.heightPx, 32, 4096),
    'size',
    'integers in 32..4096 pixels',
    `${size.width}x${size.height}`,
  );
  demand(
    whole(scene.minObjects, 1, 8) && whole(scene.maxObjects, scene.minObjects, 8),
    'maxObjects',
    'minObjects..8',
    scene.maxObjects,
  );
  demand(scene.clutter >= 0 && scene.clutter <= 10, 'clutter', 'a number in 0..10', scene.clutter);
  demand(
    scene.saliencyNoise >= 0 && scene.saliencyNoise <= 10,
    'saliencyNoise',
    'a number in 0..10',
    scene.saliencyNoise,
  );
  demand(scene.colorCue >= 0 && scene.colorCue <= 1, 'colorCue', 'a number in 0..1', scene.colorCue);
  demand(whole(scene.borderPx, 0, 16), 'borderPx', 'an integer in 0..16', scene.borderPx);

  const prefix = `syn_${scene.split}_`;
  const ids = Array.from({ length: options.count }, (_, i) => `${prefix}${String(i).padStart(5, '0')}`);
  const indexOf = (id: string): number => {
    const index = id.startsWith(prefix) ? Number(id.slice(prefix.length)) : Number.NaN;
    if (ids[index] !== id) {
      throw new DatasetError(
        'unknown-id',
        `Expected an id in ${ids[0]}..${ids[ids.length - 1]}, came "${id}". Use an id of dataset.ids.`,
        { id },
      );
    }
    return index;
  };
  const cache = new Map<number, SyntheticScene>();
  const maxCached = Math.max(16, Math.floor(CACHE_BYTES / (scene.widthPx * scene.heightPx * 6)));
  const draw = (id: string): SyntheticScene => {
    const index = indexOf(id);
    let drawn = cache.get(index);
    if (!drawn) {
      drawn = drawSyntheticScene(scene, index);
      if (cache.size >= maxCached) cache.delete(cache.keys().next().value as number);
      cache.set(index, drawn);
    }
    return drawn;
  };
  const { widthPx: width, heightPx: height } = scene;

  return {
    classes: SYNTHETIC_CLASSES.slice(0, scene.numClasses),
    ids,
    saliencyThresholds: { foreground: 0.35, background: 0.2 },
    imageLabels: (id) => draw(id).labels.slice(),
    imageSource: (id) => ({ type: 'synthetic', options: scene, index: indexOf(id) }),
    async sample(id): Promise<ImageSample> {
      const drawn = draw(id);
      return { id, image: { width, height, data: drawn.image.slice() }, labels: drawn.labels.slice() };
    },
    async truth(id) {
      return { width, height, data: draw(id).truth.slice() };
    },
    async parts(id) {
      return { width, height, data: draw(id).parts.slice() };
    },
    async saliency(id) {
      return { width, height, data: Float32Array.from(draw(id).saliency, (v) => v / 255) };
    },
  };
}
