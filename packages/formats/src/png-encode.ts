import { crc32 } from './crc32.js';
import { zlibDeflate } from './deflate.js';
import { FormatError } from './format-error.js';
import { MAX_PNG_PIXELS } from './limits.js';
import { paeth } from './png-decode.js';

/** Pixels for {@link encodePng}, 8 bits a sample. */
export interface PngInput {
  width: number;
  height: number;
  data: Uint8Array; // [H,W,channels]
  colorType: 'grey' | 'rgb' | 'palette';
  palette?: Uint8Array; // [entries,3]
}

const SIGNATURE = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/**
 * Encodes an 8-bit PNG; equal input gives equal bytes on the same platform.
 *
 * Label maps stay unfiltered (neighbouring label values say nothing about each other), photographs and maps use
 * the Paeth filter.
 *
 * @throws FormatError `bad-value` when data does not fit the size.
 */
export function encodePng(input: PngInput): Uint8Array {
  const { width, height, data, colorType, palette } = input;
  const channels = colorType === 'rgb' ? 3 : 1;
  if (
    !Number.isInteger(width) ||
    !Number.isInteger(height) ||
    width < 1 ||
    height < 1 ||
    width * height > MAX_PNG_PIXELS
  ) {
    throw new FormatError(
      'bad-value',
      `Expected an image of 1..${MAX_PNG_PIXELS} pixels to write as PNG, got ${width}x${height}.`,
      { width, height },
    );
  }
  if (!ArrayBuffer.isView(data) || (data as Uint8Array).BYTES_PER_ELEMENT !== 1) {
    throw new FormatError('bad-value', 'Expected the pixels to write as PNG in a Uint8Array.');
  }
  if (data.length !== width * height * channels) {
    throw new FormatError(
      'bad-value',
      `Expected ${width * height * channels} bytes for a ${width}x${height} PNG with ${channels} channel(s), got ${data.length}.`,
      { expected: width * height * channels, actual: data.length },
    );
  }
  const lineBytes = width * channels;
  const raw = new Uint8Array(height * (1 + lineBytes));
  for (let y = 0; y < height; y++) {
    const to = y * (1 + lineBytes);
    const from = y * lineBytes;
    if (colorType === 'palette') {
      raw.set(data.subarray(from, from + lineBytes), to + 1);
      continue;
    }
    raw[to] = 4;
    for (let i = 0; i < lineBytes; i++) {
      const left = i >= channels ? data[from + i - channels] : 0;
      const above = y > 0 ? data[from + i - lineBytes] : 0;
      const corner = y > 0 && i >= channels ? data[from + i - lineBytes - channels] : 0;
      raw[to + 1 + i] = data[from + i] - paeth(left, above, corner);
    }
  }
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width, false);
  view.setUint32(4, height, false);
  header[8] = 8;
  header[9] = colorType === 'palette' ? 3 : colorType === 'rgb' ? 2 : 0;
  const chunks: [string, Uint8Array][] = [['IHDR', header]];
  if (palette) chunks.push(['PLTE', palette]);
  chunks.push(['IDAT', zlibDeflate(raw)], ['IEND', new Uint8Array(0)]);

  let total = SIGNATURE.length;
  for (const [, body] of chunks) total += 12 + body.length;
  const file = new Uint8Array(total);
  const out = new DataView(file.buffer);
  file.set(SIGNATURE, 0);
  let at = SIGNATURE.length;
  for (const [type, body] of chunks) {
    out.setUint32(at, body.length, false);
    for (let i = 0; i < 4; i++) file[at + 4 + i] = type.charCodeAt(i);
    file.set(body, at + 8);
    out.setUint32(at + 8 + body.length, crc32(file.subarray(at + 4, at + 8 + body.length)), false);
    at += 12 + body.length;
  }
  return file;
}
