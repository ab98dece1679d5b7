import { FormatError, parsing } from './format-error.js';
import type { LabelMap } from './images.js';
import { decodePng } from './png-decode.js';
import { encodePng } from './png-encode.js';
import { asBytes } from './tensors.js';
import { vocPalette } from './voc-palette.js';

/** A label map with the colours its file gave it. */
export interface IndexedPng extends LabelMap {
  /** [entries * 3] RGB; absent for grey masks. */
  palette?: Uint8Array;
}

/**
 * Reads a label mask: the values as stored, never colours.
 *
 * Palette PNGs of 1 to 8 bits and grey PNGs of 1 to 8 bits (16 bits when no value exceeds 255) are label maps;
 * values below 8 bits are unpacked, not scaled.
 *
 * @throws FormatError; `unsupported` for RGB(A) and grey with alpha, whose colours are no label values.
 */
export function readIndexedPng(bytes: Uint8Array): IndexedPng {
  const file = asBytes(bytes, 'PNG');
  return parsing('PNG', () => {
    const { width, height, colorType, samples, palette, bitDepth } = decodePng(file);
    if (colorType !== 'palette' && colorType !== 'grey') {
      throw new FormatError(
        'unsupported',
        `Expected a palette or grey PNG as label mask, got ${colorType} (${width}x${height}): its colours are no label values. Save the class indices with a palette (mode "P"), for example with writeIndexedPng.`,
        { colorType, width, height },
      );
    }
    let data: Uint8Array;
    if (bitDepth === 16) {
      for (let i = 0; i < samples.length; i++) {
        if (samples[i] > 255) {
          throw new FormatError(
            'unsupported',
            `Expected label values of 0..255, got ${samples[i]} at x=${i % width}, y=${Math.floor(i / width)} of a 16-bit PNG.`,
            { value: samples[i], x: i % width, y: Math.floor(i / width) },
          );
        }
      }
      data = Uint8Array.from(samples);
    } else data = samples as Uint8Array;
    return colorType === 'palette' && palette ? { width, height, data, palette } : { width, height, data };
  });
}

/**
 * Writes a label mask as 8-bit palette PNG with all 256 entries; equal input gives equal bytes.
 *
 * @param palette [768] RGB bytes; default the VOC colours.
 * @throws FormatError `bad-value` when data or palette do not fit.
 */
export function writeIndexedPng(map: LabelMap, palette: Uint8Array = vocPalette()): Uint8Array {
  if (palette.length !== 768) {
    throw new FormatError(
      'bad-value',
      `Expected a palette of 256 RGB colours (768 bytes), got ${palette.length} bytes. A shorter one leaves 255 (ignore) without a colour.`,
      { expected: 768, actual: palette.length },
    );
  }
  return encodePng({ ...map, colorType: 'palette', palette });
}
