import { parsing } from './format-error.js';
import type { GrayImage } from './images.js';
import { type DecodedPng, decodePng } from './png-decode.js';
import { encodePng } from './png-encode.js';
import { asBytes } from './tensors.js';

/**
 * Reads a PNG as 8-bit grey, such as a saliency map.
 *
 * Colours become luma 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601, in Pillow's rounding), also those of a palette;
 * 16 bits are scaled to 8, 1 to 4 bits are scaled up; transparency is ignored. A palette image without its
 * palette chunk is taken as grey values as they are.
 *
 * @throws FormatError when it is no PNG, damaged or cut off.
 */
export function readGrayPng(bytes: Uint8Array): GrayImage {
  const file = asBytes(bytes, 'PNG');
  return parsing('PNG', () => {
    const png = decodePng(file);
    const { width, height, colorType, palette } = png;
    const count = width * height;
    const data = new Uint8Array(count);
    if (colorType === 'palette') {
      const grey = new Uint8Array(256);
      for (let i = 0; i < 256; i++) {
        if (!palette) grey[i] = i;
        else if (3 * i < palette.length)
          grey[i] = luma(palette[3 * i], palette[3 * i + 1], palette[3 * i + 2]);
      }
      for (let i = 0; i < count; i++) data[i] = grey[png.samples[i]];
    } else {
      const samples = samplesTo8Bits(png);
      const channels = png.channels;
      if (channels < 3) for (let i = 0; i < count; i++) data[i] = samples[i * channels];
      else {
        for (let i = 0, at = 0; i < count; i++, at += channels) {
          data[i] = luma(samples[at], samples[at + 1], samples[at + 2]);
        }
      }
    }
    return { width, height, data };
  });
}

/** Writes an 8-bit grey PNG; equal input gives equal bytes. */
export function writeGrayPng(image: GrayImage): Uint8Array {
  return encodePng({ ...image, colorType: 'grey' });
}

function luma(red: number, green: number, blue: number): number {
  return (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16;
}

/** Samples scaled to 0..255, whatever their depth. */
export function samplesTo8Bits(png: DecodedPng): Uint8Array {
  const { samples, bitDepth } = png;
  if (bitDepth === 8) return samples as Uint8Array;
  const result = new Uint8Array(samples.length);
  // 65535 / 255 = 257, and 255 is a multiple of 15, 3 and 1.
  if (bitDepth === 16) for (let i = 0; i < result.length; i++) result[i] = Math.round(samples[i] / 257);
  else {
    const scale = 255 / ((1 << bitDepth) - 1);
    for (let i = 0; i < result.length; i++) result[i] = samples[i] * scale;
  }
  return result;
}
