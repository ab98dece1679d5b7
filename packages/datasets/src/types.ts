import type { LabelMap, RgbImage, ScoreMap } from '@auxseg/formats';
import type { Random } from './random.js';

/** One image with its image-level labels. */
export interface ImageSample {
  readonly id: string;
  readonly image: RgbImage; // [H,W,3], 0..255
  readonly labels: Uint8Array; // [K] multi-hot over the foreground classes
}

/**
 * Where a worker finds the pixels of one image: plain data, so that it can be posted to a worker thread.
 * `file` is decoded by `readImage`; `synthetic` is drawn again from its options.
 */
export type ImageSource =
  | { readonly type: 'file'; readonly file: string }
  | { readonly type: 'synthetic'; readonly options: SyntheticSceneOptions; readonly index: number };

/** A data set: ids, image-level labels, images on request, and (for evaluation only) truth masks. */
export interface Dataset {
  /** K foreground class names; the value of class k in a label map is k + 1. */
  readonly classes: readonly string[];
  readonly ids: readonly string[];
  sample(id: string): Promise<ImageSample>;
  imageLabels(id: string): Uint8Array;
  /** Evaluation only: [H,W] with 0 = background, k + 1 = class k, 255 = ignore. */
  truth?(id: string): Promise<LabelMap>;
  /** Whether there is truth for an image; without it, for all where `truth` is there, else for none. */
  hasTruth?(id: string): boolean;
  /** Lets the loader's workers decode the image themselves; without it the loader decodes on the calling thread. */
  imageSource?(id: string): ImageSource;
}

/** What determines a synthetic image apart from its index. */
export interface SyntheticSceneOptions {
  /** Any number; two seeds give two unrelated sets. */
  readonly seed: number;
  /** Names a disjoint stream of images of the same kind, e.g. 'train' and 'val'. */
  readonly split: string;
  readonly widthPx: number;
  readonly heightPx: number;
  /** How many of the patterns are in use, 2..6. */
  readonly numClasses: number;
  /** Objects per image, inclusive. */
  readonly minObjects: number;
  readonly maxObjects: number;
  /** 0 = smooth background, 1 = default clutter, larger = more shapes and distractors. */
  readonly clutter: number;
  /** How often a part keeps its class's preferred light tone (else any class's), 0..1. */
  readonly colorCue: number;
  /** 0 = exact saliency, 1 = default coarseness and noise. */
  readonly saliencyNoise: number;
  /** Width of the ring of 255 around every object in the truth, in pixels; 0 = none. */
  readonly borderPx: number;
}

/** Channel statistics subtracted from and divided into an image: 'imagenet' mean/std of x/255, 'mobilenet' x/127.5 - 1. */
export type Normalization =
  | 'imagenet'
  | 'mobilenet'
  | {
      readonly mean: readonly [number, number, number];
      readonly std: readonly [number, number, number];
    };

/**
 * A plain-data description of one augmentation pipeline (method.md 5), applied jointly to image, label map and saliency in the
 * order resize, flip, scale, crop, jitter, normalise. Everything absent is off.
 */
export interface TransformOptions {
  /** Fixed size before anything else: the longer or the shorter side in pixels, or an exact size. */
  readonly resize?:
    | { readonly longer: number }
    | { readonly shorter: number }
    | { readonly width: number; readonly height: number };
  /** Probability of a horizontal flip; `true` = 0.5. */
  readonly flip?: boolean | number;
  /** Random scale, uniform in min..max; `per` 'sample' (default) draws for each sample, 'batch' once for each batch (official code). */
  readonly scale?: { readonly min: number; readonly max: number; readonly per?: 'sample' | 'batch' };
  /** Output size; smaller images are padded, larger ones cut. `position` 'random' (default) or 'center'. */
  readonly crop?:
    | number
    | { readonly width: number; readonly height: number; readonly position?: 'random' | 'center' };
  /** Label of padded pixels: 255 (ignored, default) or 0 (background, as the official code teaches). */
  readonly padLabel?: number;
  /** Saliency of padded pixels, 0..1, default 0; -1 marks them, for a loss that leaves negative targets out. */
  readonly padSaliency?: number;
  /** Value of padded image pixels after normalisation; default 0 (the mean colour). */
  readonly padImage?: number;
  /** Colour jitter as torchvision defines it: each factor is uniform in max(0, 1 - x)..1 + x. */
  readonly jitter?: {
    readonly brightness?: number;
    readonly contrast?: number;
    readonly saturation?: number;
  };
  /** Your own steps, run in the workers on the cut-out before normalisation, in order. */
  readonly custom?: readonly CustomTransform[];
  /** Default 'imagenet'. */
  readonly normalization?: Normalization;
}

/** A step of your own: a module (URL or package name, since functions cannot be posted to a worker) and options for it. */
export interface CustomTransform {
  /** Its default export is a `CustomTransformFunction`; e.g. `new URL('./cut-out.js', import.meta.url).href`. */
  readonly module: string;
  /** Plain data handed to the function. */
  readonly options?: unknown;
}

/**
 * Changes one augmented sample in place. Draw only from `random`, which is keyed by (seed, epoch, id): then the batches stay the same for any number of
 * workers.
 */
export type CustomTransformFunction = (
  sample: {
    readonly id: string;
    readonly width: number;
    readonly height: number;
    readonly image: Uint8Array; // [H,W,3], padding is 0
    readonly segmentation?: Uint8Array; // [H,W]
    readonly saliency?: Float32Array; // [H,W]
    /** 1 where the sample has pixels, 0 where it is padded: [H,W]. */
    readonly valid: Uint8Array;
  },
  random: Random,
  options: unknown,
) => void | Promise<void>;

/** One training batch; every sample has the same size. */
export interface Batch {
  readonly ids: string[];
  readonly count: number; // N
  readonly height: number;
  readonly width: number;
  readonly images: Float32Array; // [N,H,W,3] normalised
  readonly labels: Float32Array; // [N,K]
  readonly segmentation?: Uint8Array; // [N,H,W]
  readonly saliency?: Float32Array; // [N,H,W], 0..1
}

/** Label maps by id: a function, or the file of each id (then workers decode it themselves). */
export type LabelTarget = ((id: string) => Promise<LabelMap>) | { file(id: string): string };

/** Saliency maps by id: a function, or the 8-bit grey PNG of each id (then workers decode it themselves). */
export type SaliencyTarget = ((id: string) => Promise<ScoreMap>) | { file(id: string): string };
