import type { LabelMap, RgbImage } from '@auxseg/formats';

/** What a labeler may look at for one image; all maps have the image's size. */
export interface PseudoLabelInput {
  /** Class activation maps [K,H,W], 0..1 (ReLU, divided by each class's maximum); channel k is class k+1. */
  readonly cam: Float32Array;
  readonly width: number;
  readonly height: number;
  /** Image-level labels [K], non-zero = present. */
  readonly labels: ArrayLike<number>;
  /** Saliency [H,W], 0..1. */
  readonly saliency: Float32Array;
  /** The photograph, for labelers that look at it; the fusion rule does not. */
  readonly image?: RgbImage;
  readonly id?: string;
}

/** Turns CAMs, image labels and saliency into a label map [H,W]: 0 background, k+1 class k, 255 ignore. */
export interface PseudoLabeler {
  readonly name: string;
  label(input: PseudoLabelInput): LabelMap;
}
