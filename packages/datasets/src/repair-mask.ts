import { type LabelMap, readPngSamples, readRgbPng, vocPalette } from '@auxseg/formats';
import { DatasetError } from './dataset-error.js';
import { decodeMask, readPngHeader } from './read-mask.js';

/**
 * Turns a mask as people have them into class indices. The result, written with `writeIndexedPng`, is a proper palette mask.
 *
 * - Palette and 8-bit grey PNGs as they are; 16-bit grey where every value fits into 8 bits; grey with alpha without its alpha.
 * - RGB and RGBA: every colour looked up in a palette (default VOC's 256). Where all pixels are grey and one of the greys is in no palette
 *   entry, the file holds class indices repeated over the channels, as OpenCV writes them, and the grey level is the index.
 * @param where named in errors.
 * @throws DatasetError 'unreadable-mask' when a colour is in no palette entry (smoothed edges, JPEG remains), naming it.
 */
export function repairMask(bytes: Uint8Array, where: string, palette: Uint8Array = vocPalette()): LabelMap {
  const header = readPngHeader(bytes);
  if (header?.colorType === 'grey-alpha' || (header?.colorType === 'grey' && header.bitDepth === 16))
    return indicesOfGrey(bytes, where);
  if (!header || (header.colorType !== 'rgb' && header.colorType !== 'rgba')) return decodeMask(bytes, where);
  const { width, height, data } = readRgbPng(bytes);
  const indexOf = new Map<number, number>();
  // The first entry wins: palettes repeat colours at the end.
  for (let i = palette.length / 3 - 1; i >= 0; i--)
    indexOf.set((palette[i * 3] << 16) | (palette[i * 3 + 1] << 8) | palette[i * 3 + 2], i);
  const out = new Uint8Array(width * height);
  for (let p = 0; p < out.length; p++) {
    const color = (data[p * 3] << 16) | (data[p * 3 + 1] << 8) | data[p * 3 + 2];
    const index = indexOf.get(color);
    if (index === undefined) {
      if (isGrey(data)) return { width, height, data: out.map((_, i) => data[i * 3]) };
      throw new DatasetError(
        'unreadable-mask',
        `Expected only colours of the palette in ${where}, found rgb(${data[p * 3]}, ${data[p * 3 + 1]}, ${data[p * 3 + 2]}) at pixel (${p % width}, ${Math.floor(p / width)}). ` +
          'Export the mask without smoothing, or give the palette it was painted with.',
        { file: where, color: [data[p * 3], data[p * 3 + 1], data[p * 3 + 2]] },
      );
    }
    out[p] = index;
  }
  return { width, height, data: out };
}

function isGrey(rgb: Uint8Array): boolean {
  for (let i = 0; i < rgb.length; i += 3) if (rgb[i] !== rgb[i + 1] || rgb[i] !== rgb[i + 2]) return false;
  return true;
}

function indicesOfGrey(bytes: Uint8Array, where: string): LabelMap {
  const { width, height, channels, samples } = readPngSamples(bytes);
  const data = new Uint8Array(width * height);
  for (let p = 0; p < data.length; p++) {
    const value = samples[p * channels];
    if (value > 255) {
      throw new DatasetError(
        'unreadable-mask',
        `Expected class indices up to 255 in the 16-bit mask ${where}, found ${value} at pixel (${p % width}, ${Math.floor(p / width)}). ` +
          'Instance ids and depth maps look like this: export the class mask.',
        { file: where, value },
      );
    }
    data[p] = value;
  }
  return { width, height, data };
}
