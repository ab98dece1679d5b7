import { type LabelMap, readRgbPng, vocPalette } from '@auxseg/formats';
import { DatasetError } from './dataset-error.js';
import { decodeMask, readPngHeader } from './read-mask.js';

/**
 * Turns a mask as people have them into class indices: palette and grey PNGs as they are, RGB and RGBA PNGs by looking every colour up in a
 * palette (default VOC's 256). The result, written with `writeIndexedPng`, is a proper palette mask.
 * @param where named in errors.
 * @throws DatasetError 'unreadable-mask' when a colour is in no palette entry (smoothed edges, JPEG remains), naming it.
 */
export function repairMask(bytes: Uint8Array, where: string, palette: Uint8Array = vocPalette()): LabelMap {
  const header = readPngHeader(bytes);
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
