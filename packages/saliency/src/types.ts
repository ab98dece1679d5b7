import type { RgbImage, ScoreMap } from '@auxseg/formats';

/** Saliency values between which a source's maps say nothing; both 0..1, background <= foreground. */
export interface SaliencyThresholds {
  /** A pixel with saliency above this may be called salient. */
  readonly foreground: number;
  /** A pixel with saliency at or below this may be called background. */
  readonly background: number;
  /** The one threshold to use in a rule without a middle zone; where absent, `foreground`. */
  readonly single?: number;
}

/** What a source is given of an image; every `ImageSample` of `@auxseg/datasets` fits. */
export interface SaliencySample {
  readonly id: string;
  readonly image: RgbImage;
}

/** Anything that gives a saliency map for an image. */
export interface SaliencySource {
  readonly name: string;
  /** The fusion thresholds that suit this source's maps. */
  readonly thresholds: SaliencyThresholds;
  /** Saliency [H,W] of the sample's image at the image's size, every value finite and in 0..1; new memory each time. */
  map(sample: SaliencySample): Promise<ScoreMap>;
  /** Ends worker threads and the like; a source without it holds nothing. */
  close?(): Promise<void>;
}
