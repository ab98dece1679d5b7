import type { RgbImage } from '@auxseg/formats';
import { checkImage } from './check-image.js';

export interface MarkPointOptions {
  /** Pixel coordinates, 0-based; may have fractions. */
  x: number;
  y: number;
  /** Radius of the ring in pixels; 1/24 of the shorter side by default, at least 4. */
  radiusPx?: number;
  /** Colour of the ring, RGB; a fresh green by default, which no heat colour comes near. */
  colour?: readonly [number, number, number];
}

/**
 * Draws a ring around one pixel, dark edges on both sides so that it shows on any ground.
 *
 * Returns a new [H,W,3] image; what falls outside the picture is cut off.
 * @throws ReportError BAD_IMAGE
 */
export function markPoint(image: RgbImage, options: MarkPointOptions): RgbImage {
  checkImage('a picture', image, 3);
  const { width, height } = image;
  const { x, y, colour = [80, 255, 120] } = options;
  const radius = options.radiusPx ?? Math.max(4, Math.min(width, height) / 24);
  const data = image.data.slice();
  const halfWidth = Math.max(1, radius / 5);
  const reach = Math.ceil(radius + halfWidth + 2);
  for (let row = Math.max(0, Math.floor(y - reach)); row <= Math.min(height - 1, y + reach); row++) {
    for (
      let column = Math.max(0, Math.floor(x - reach));
      column <= Math.min(width - 1, x + reach);
      column++
    ) {
      const distance = Math.abs(Math.hypot(column - x, row - y) - radius);
      // Coverage of the ring and of its dark edge, each softened over one pixel.
      const ring = clamp(halfWidth + 0.5 - distance);
      const edge = clamp(halfWidth + 1.5 - distance);
      const at = 3 * (row * width + column);
      for (let channel = 0; channel < 3; channel++) {
        const edged = data[at + channel] * (1 - edge);
        data[at + channel] = Math.round(edged * (1 - ring) + colour[channel] * ring);
      }
    }
  }
  return { width, height, data };
}

function clamp(value: number): number {
  return Math.min(1, Math.max(0, value));
}
