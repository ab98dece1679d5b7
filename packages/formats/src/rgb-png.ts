import { FormatError, parsing } from './format-error.js';
import { samplesTo8Bits } from './grey-png.js';
import type { RgbImage } from './images.js';
import { decodePng } from './png-decode.js';
import { encodePng } from './png-encode.js';
import { asBytes } from './tensors.js';

/**
 * Reads a PNG of any kind as 8-bit RGB.
 *
 * Palettes are looked up, grey is repeated, 16 bits are scaled to 8; transparency is dropped, not blended.
 *
 * @throws FormatError when it is no PNG, damaged, cut off, or uses a colour that its palette lacks.
 */
export function readRgbPng(bytes: Uint8Array): RgbImage {
  const file = asBytes(bytes, 'PNG');
  return parsing('PNG', () => {
    const png = decodePng(file);
    const { width, height, colorType, channels, palette } = png;
    const count = width * height;
    if (colorType === 'rgb') return { width, height, data: samplesTo8Bits(png) };
    const data = new Uint8Array(count * 3);
    if (colorType === 'palette') {
      for (let i = 0; i < count; i++) {
        const at = 3 * png.samples[i];
        if (!palette || at >= palette.length) {
          throw new FormatError(
            'malformed',
            `Expected a palette entry for value ${png.samples[i]} at x=${i % width}, y=${Math.floor(i / width)}, the palette has ${png.paletteEntries}.`,
            { value: png.samples[i], paletteEntries: png.paletteEntries },
          );
        }
        data[3 * i] = palette[at];
        data[3 * i + 1] = palette[at + 1];
        data[3 * i + 2] = palette[at + 2];
      }
      return { width, height, data };
    }
    const samples = samplesTo8Bits(png);
    const grey = channels < 3;
    for (let i = 0, at = 0; i < count; i++, at += channels) {
      data[3 * i] = samples[at];
      data[3 * i + 1] = samples[grey ? at : at + 1];
      data[3 * i + 2] = samples[grey ? at : at + 2];
    }
    return { width, height, data };
  });
}

/** Writes an 8-bit RGB PNG; equal input gives equal bytes. */
export function writeRgbPng(image: RgbImage): Uint8Array {
  return encodePng({ ...image, colorType: 'rgb' });
}
