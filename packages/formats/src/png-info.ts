import { parsing } from './format-error.js';
import { type PngInfo, readPngChunks } from './png-decode.js';
import { asBytes } from './tensors.js';

/**
 * Reads the header of a PNG without decoding its pixels: size, colour type, depth, palette.
 *
 * @throws FormatError when it is no PNG or cut off before its pixels.
 */
export function readPngInfo(bytes: Uint8Array): PngInfo {
  const file = asBytes(bytes, 'PNG');
  return parsing('PNG', () => {
    const { data: _, palette: __, ...info } = readPngChunks(file, true);
    return info;
  });
}
