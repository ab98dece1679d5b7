import { type LabelMap, type RgbImage, vocPalette } from '@auxseg/formats';
import { checkImage } from './check-image.js';

export interface LabelColourOptions {
  /** Photo of the map's size to lay the labels over. */
  over?: RgbImage;
  /** Opacity of the classes over the photo, 0..1. */
  opacity?: number;
  /** Colours of the values 0..255, [256*3]; VOC's by default. */
  palette?: Uint8Array;
}

const DEFAULT_OPACITY = 0.62;
const IGNORE = 255;
/** Width in pixels of the light and dark stripes that mark ignored pixels. */
const STRIPE_PX = 4;
const IGNORE_LIGHT = [226, 226, 220];
const IGNORE_DARK = [150, 150, 146];

/**
 * Colours a label map with the VOC colours; 255 (ignore) is striped grey, class borders are drawn in the pure colour.
 *
 * Over a photo the background stays the photo, darkened a little so that the classes stand out. Returns a new [H,W,3] image.
 * @throws ReportError BAD_IMAGE, also for a photo of another size
 */
export function colourLabels(map: LabelMap, options: LabelColourOptions = {}): RgbImage {
  const { over, opacity = DEFAULT_OPACITY, palette = vocPalette() } = options;
  const { width, height, data: labels } = map;
  checkImage('a label map', map, 1);
  if (over) checkImage('the photo under a label map', { width, height, data: over.data }, 3);
  const data = new Uint8Array(width * height * 3);
  for (let y = 0, pixel = 0; y < height; y++) {
    for (let x = 0; x < width; x++, pixel++) {
      const label = labels[pixel];
      const at = 3 * pixel;
      const stripe = Math.floor((x + y) / STRIPE_PX) % 2 === 0 ? IGNORE_LIGHT : IGNORE_DARK;
      for (let channel = 0; channel < 3; channel++) {
        const colour = label === IGNORE ? stripe[channel] : palette[3 * label + channel];
        if (!over) data[at + channel] = colour;
        else if (label === 0) data[at + channel] = Math.round(over.data[at + channel] * (1 - opacity / 2));
        else {
          const alpha = isBorder(labels, width, height, x, y) ? 1 : opacity;
          data[at + channel] = Math.round(alpha * colour + (1 - alpha) * over.data[at + channel]);
        }
      }
    }
  }
  return { width, height, data };
}

/** Says whether a labelled pixel touches another label; the edge of the picture is no border. */
function isBorder(labels: Uint8Array, width: number, height: number, x: number, y: number): boolean {
  const pixel = y * width + x;
  const label = labels[pixel];
  return (
    label !== IGNORE &&
    ((x > 0 && labels[pixel - 1] !== label) ||
      (x + 1 < width && labels[pixel + 1] !== label) ||
      (y > 0 && labels[pixel - width] !== label) ||
      (y + 1 < height && labels[pixel + width] !== label))
  );
}
