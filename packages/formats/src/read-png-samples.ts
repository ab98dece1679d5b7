import { parsing } from './format-error.js';
import { type DecodedPng, decodePng } from './png-decode.js';
import { asBytes } from './tensors.js';

/**
 * Reads the samples of a PNG as they are stored, [H,W,channels]: palette indices, grey levels of any depth, 16 bits as 16 bits.
 *
 * For files whose meaning is not settled yet, such as label masks of unknown making; `readIndexedPng`, `readGrayPng` and
 * `readRgbPng` give what is usually wanted.
 *
 * @throws FormatError when it is no PNG, damaged or cut off.
 */
export function readPngSamples(bytes: Uint8Array): DecodedPng {
  const file = asBytes(bytes, 'PNG');
  return parsing('PNG', () => decodePng(file));
}
