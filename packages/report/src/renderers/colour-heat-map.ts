import { type RgbImage, resizeBilinear, resizeNearest, type ScoreMap } from '@auxseg/formats';
import { checkImage } from './check-image.js';
import { writeHeatColour } from './heat-colours.js';

export interface HeatMapOptions {
  /** Photo to lay the map over; the map is resized to it. */
  over?: RgbImage;
  /** `heat` (black, violet, orange, yellow) or `grey`; heat over a photo, grey without one. */
  colours?: 'heat' | 'grey';
  /** Opacity of the map over the photo where the score is 1, 0..1; half of it remains where the score is 0. */
  opacity?: number;
  /** How a map of another size is resized to the photo: smoothly, or in visible cells. */
  resize?: 'bilinear' | 'nearest';
}

const DEFAULT_OPACITY = 0.85;

/**
 * Colours scores of 0..1 (clamped), alone or over a photo, which shines through in grey where scores are low.
 *
 * Returns a new [H,W,3] image of the photo's size, or the map's without one.
 * @throws ReportError BAD_IMAGE
 */
export function colourHeatMap(map: ScoreMap, options: HeatMapOptions = {}): RgbImage {
  const { over, opacity = DEFAULT_OPACITY, resize = 'bilinear' } = options;
  const { colours = over ? 'heat' : 'grey' } = options;
  checkImage('a score map', map, 1);
  if (over) checkImage('a photo', over, 3);
  const { width, height } = over ?? map;
  const scores = fit(map, { width, height }, resize);
  const data = new Uint8Array(width * height * 3);
  for (let pixel = 0, at = 0; pixel < scores.length; pixel++, at += 3) {
    const score = Math.min(1, Math.max(0, scores[pixel] || 0));
    if (colours === 'heat') writeHeatColour(score, data, at);
    else data.fill(Math.round(255 * score), at, at + 3);
    if (!over) continue;
    const alpha = opacity * (0.5 + 0.5 * score);
    const grey = 0.299 * over.data[at] + 0.587 * over.data[at + 1] + 0.114 * over.data[at + 2];
    for (let channel = at; channel < at + 3; channel++) {
      data[channel] = Math.round(alpha * data[channel] + (1 - alpha) * grey);
    }
  }
  return { width, height, data };
}

function fit(
  map: ScoreMap,
  size: { width: number; height: number },
  resize: 'bilinear' | 'nearest',
): Float32Array {
  if (map.width === size.width && map.height === size.height) return map.data;
  if (resize === 'bilinear') return resizeBilinear(map.data, map, size);
  const bytes = resizeNearest(
    Uint8Array.from(map.data, (score) => Math.round(255 * Math.min(1, Math.max(0, score || 0)))),
    map,
    size,
  );
  return Float32Array.from(bytes, (byte) => byte / 255);
}
