import { type LabelMap, readGrayPng, readIndexedPng } from '@auxseg/formats';
import { DatasetError } from './dataset-error.js';
import { readImageBytes } from './read-image.js';

/** How a PNG stores its pixels, from its header. */
export interface PngHeader {
  readonly width: number;
  readonly height: number;
  readonly bitDepth: number;
  readonly colorType: 'grey' | 'rgb' | 'palette' | 'grey-alpha' | 'rgba';
}

const COLOR_TYPES: Record<number, PngHeader['colorType']> = {
  0: 'grey',
  2: 'rgb',
  3: 'palette',
  4: 'grey-alpha',
  6: 'rgba',
};

/** Reads the IHDR chunk of a PNG (PNG specification, 11.2.2); null when the bytes are no PNG. */
export function readPngHeader(bytes: Uint8Array): PngHeader | null {
  const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
  if (bytes.length < 33 || signature.some((b, i) => bytes[i] !== b)) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const colorType = COLOR_TYPES[view.getUint8(25)];
  if (!colorType) return null;
  return { width: view.getUint32(16), height: view.getUint32(20), bitDepth: view.getUint8(24), colorType };
}

/**
 * Reads a label mask [H,W] as stored, without any class mapping: palette PNGs by index, 8-bit grey PNGs by value.
 * @throws DatasetError 'missing-file', or 'unreadable-mask' for RGB(A) masks, 16-bit masks, JPEGs and damaged files, each with its remedy.
 */
export async function readMask(file: string): Promise<LabelMap> {
  return decodeMask(await readImageBytes(file), file);
}

/** As `readMask`, from bytes; `where` is named in errors. */
export function decodeMask(bytes: Uint8Array, where: string): LabelMap {
  const reject = (reason: string, remedy: string): DatasetError =>
    new DatasetError(
      'unreadable-mask',
      `Expected a palette or 8-bit grey PNG mask in ${where}: ${reason}${/[.?!]$/.test(reason) ? '' : '.'} ${remedy}`,
      {
        file: where,
        reason,
      },
    );
  const header = readPngHeader(bytes);
  if (!header) {
    throw reject(
      bytes[0] === 0xff && bytes[1] === 0xd8
        ? 'it is a JPEG, whose compression changes labels'
        : 'it is no PNG',
      'Export the mask again as a palette PNG.',
    );
  }
  if (header.colorType !== 'palette' && header.colorType !== 'grey') {
    throw reject(
      `it is stored as ${header.colorType}, not as class indices`,
      'Masks painted in the VOC colours, or in colours that you list, can be repaired: "auxseg data convert DIR --repair-masks --out NEW".',
    );
  }
  if (header.bitDepth === 16) {
    throw reject(
      'it has 16 bits a pixel',
      'Labels are 0..255: save it with 8 bits, or run "auxseg data convert DIR --repair-masks --out NEW".',
    );
  }
  try {
    if (header.colorType === 'palette') {
      const { width, height, data } = readIndexedPng(bytes);
      return { width, height, data };
    }
    const { width, height, data } = readGrayPng(bytes);
    // 1, 2 and 4-bit grey samples are spread over 0..255 by a grey reader; as labels they are the plain numbers.
    if (header.bitDepth < 8) {
      const step = 255 / ((1 << header.bitDepth) - 1);
      return { width, height, data: data.map((v) => Math.round(v / step)) };
    }
    return { width, height, data };
  } catch (error) {
    throw reject((error as Error).message, 'Copy or export it again.');
  }
}
