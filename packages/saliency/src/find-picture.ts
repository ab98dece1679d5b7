import type { RgbImage } from '@auxseg/formats';
import type { PixelRect } from './shrink-image.js';

/** Numbers of the frame search; grey levels 0..255. */
export interface FrameParameters {
  /** Largest standard deviation of a channel along a row or column of the frame. */
  readonly maxDeviation: number;
  /** Largest difference of a channel's mean from the outermost row's. */
  readonly maxDrift: number;
  /** A side that is plain for more than this share of the image is a plain background, not a frame. */
  readonly maxShare: number;
  /** Thinnest frame, px. */
  readonly minWidthPx: number;
  /** Largest difference of colour between opposite sides. */
  readonly maxSideDifference: number;
  /** Cut this much more, px: a frame's inner edge is blurred. */
  readonly paddingPx: number;
}

interface Side {
  readonly widthPx: number;
  readonly mean: readonly number[];
}

/** Walks inwards from one side while rows (or columns) stay plain and of the same colour. */
function measureSide(
  image: RgbImage,
  lines: number,
  length: number,
  offsetOf: (line: number, i: number) => number,
  parameters: FrameParameters,
): Side {
  const limit = Math.floor(parameters.maxShare * lines);
  let outermost: number[] = [0, 0, 0];
  for (let line = 0; line < lines; line++) {
    const sum = [0, 0, 0];
    const squares = [0, 0, 0];
    for (let i = 0; i < length; i++) {
      const at = offsetOf(line, i);
      for (let c = 0; c < 3; c++) {
        const value = image.data[at + c];
        sum[c] += value;
        squares[c] += value * value;
      }
    }
    const mean = sum.map((s) => s / length);
    if (line === 0) outermost = mean;
    const plain = mean.every((m, c) => {
      const variance = Math.max(0, squares[c] / length - m * m);
      return (
        Math.sqrt(variance) <= parameters.maxDeviation && Math.abs(m - outermost[c]) <= parameters.maxDrift
      );
    });
    if (!plain) return { widthPx: line, mean: outermost };
    if (line >= limit) return { widthPx: 0, mean: outermost };
  }
  return { widthPx: 0, mean: outermost };
}

/**
 * Finds the picture inside an artificial frame (black bars, a drawn border); the whole image when there is none.
 *
 * A frame would be connected to no border seed of its own colour and make the whole picture salient. Opposite sides must both
 * be framed, in a similar colour: a plain sky alone is no frame (saliency facts, step 1).
 */
export function findPicture(image: RgbImage, parameters: FrameParameters): PixelRect {
  const { width, height } = image;
  const row = (y: number, x: number) => 3 * (y * width + x);
  const top = measureSide(image, height, width, row, parameters);
  const bottom = measureSide(image, height, width, (y, x) => row(height - 1 - y, x), parameters);
  const left = measureSide(image, width, height, (x, y) => row(y, x), parameters);
  const right = measureSide(image, width, height, (x, y) => row(y, width - 1 - x), parameters);
  const framed = (a: Side, b: Side) =>
    a.widthPx >= parameters.minWidthPx &&
    b.widthPx >= parameters.minWidthPx &&
    a.mean.every((m, c) => Math.abs(m - b.mean[c]) <= parameters.maxSideDifference);
  const pad = parameters.paddingPx;
  let x = 0;
  let y = 0;
  let right_ = width;
  let bottom_ = height;
  if (framed(top, bottom)) {
    y = top.widthPx + pad;
    bottom_ = height - bottom.widthPx - pad;
  }
  if (framed(left, right)) {
    x = left.widthPx + pad;
    right_ = width - right.widthPx - pad;
  }
  if (right_ - x < 1 || bottom_ - y < 1) return { x: 0, y: 0, width, height };
  return { x, y, width: right_ - x, height: bottom_ - y };
}
