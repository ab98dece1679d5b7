/** A colour image: `data` is [height, width, 3], 8 bits a channel. */
export interface RgbImage {
  width: number;
  height: number;
  data: Uint8Array;
}

/** A label map: `data` is [height, width]; 0 = background, 1.. = classes, 255 = ignore. */
export interface LabelMap {
  width: number;
  height: number;
  data: Uint8Array;
}

/** A grey image: `data` is [height, width], 0..255. */
export interface GrayImage {
  width: number;
  height: number;
  data: Uint8Array;
}

/** A map of probabilities, such as saliency: `data` is [height, width], 0..1. */
export interface ScoreMap {
  width: number;
  height: number;
  data: Float32Array;
}

/** Width and height in pixels. */
export interface ImageSize {
  width: number;
  height: number;
}
