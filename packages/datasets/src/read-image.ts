import { readFile } from 'node:fs/promises';
import type { RgbImage } from '@auxseg/formats';
import sharp from 'sharp';
import { DatasetError } from './dataset-error.js';

// One libvips thread an image: parallelism comes from the loader's workers, and a decode gains nothing from more.
sharp.concurrency(1);
// Each file is read once per epoch, so libvips' cache of operations would only hold memory.
sharp.cache(false);

export interface ReadImageOptions {
  /** Largest number of pixels to decode; default 2^28 - about a gigabyte of RGB and working space. */
  readonly maxPixels?: number;
}

const DEFAULT_MAX_PIXELS = 2 ** 28;

/**
 * Decodes a photograph to 8-bit RGB [H,W,3] from a path or from bytes.
 *
 * JPEG, PNG, WebP (and what else libvips reads: TIFF, AVIF, GIF's first frame). Grey images are repeated over three channels, CMYK is
 * converted through its profile, 16-bit is reduced to its high byte, EXIF orientation is applied, alpha is dropped (as
 * OpenCV's IMREAD_COLOR does). ICC profiles of RGB and grey images are ignored, as OpenCV, PIL and every published result do.
 * @throws DatasetError 'missing-file' when the path does not exist, 'unreadable-image' for anything that cannot be decoded whole:
 * a truncated file is an error, never a picture with a grey bottom. Damage inside a JPEG is an error where its data run out early; bytes that still
 * decode, to wrong colours, cannot be told from a photograph.
 */
export async function readImage(
  input: string | Uint8Array,
  options: ReadImageOptions = {},
): Promise<RgbImage> {
  const where = typeof input === 'string' ? input : `${input.byteLength} bytes in memory`;
  const bytes = typeof input === 'string' ? await readImageBytes(input) : input;
  const maxPixels = options.maxPixels ?? DEFAULT_MAX_PIXELS;
  const reject = (reason: string, remedy: string): DatasetError =>
    new DatasetError('unreadable-image', `Expected a complete image in ${where}: ${reason}. ${remedy}`, {
      file: typeof input === 'string' ? input : undefined,
      bytes: bytes.byteLength,
      reason,
    });
  if (bytes.byteLength === 0) {
    throw reject('the file is empty', 'Copy or download it again.');
  }
  // libjpeg fills a stream that stops early with grey and only warns, so the end marker is looked for here too.
  const jpeg = inspectJpeg(bytes);
  if (jpeg && !jpeg.complete) {
    throw reject(
      `the JPEG stream ends after ${bytes.byteLength} bytes without its end marker, so it is truncated`,
      'Copy or download it again, or leave its id out of the list.',
    );
  }
  const decode = (failOn: 'warning' | 'truncated') =>
    sharp(bytes, {
      failOn,
      limitInputPixels: maxPixels,
      ignoreIcc: jpeg?.components !== 4,
      autoOrient: true,
      sequentialRead: true,
    })
      .removeAlpha()
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
  try {
    const { data, info } = await decode('warning').catch((error: Error) => {
      // Photographs of many Samsung phones: a wrong header of a whole picture.
      if (/Invalid SOS parameters/.test(error.message)) return decode('truncated');
      throw error;
    });
    return {
      width: info.width,
      height: info.height,
      data: toThreeChannels(data, info.channels, info.width * info.height),
    };
  } catch (error) {
    const reason = (error as Error).message.replace(/\s+/g, ' ').trim();
    if (/pixel limit/i.test(reason)) {
      throw reject(
        `it has more than ${maxPixels} pixels`,
        'Cut it into tiles, scale it down, or raise maxPixels.',
      );
    }
    if (/unsupported image format/i.test(reason)) {
      throw reject(
        'its content is in no known image format',
        'Expected JPEG, PNG or WebP; check that it is not a web page or a text file.',
      );
    }
    throw reject(reason, 'Copy or download it again, or leave its id out of the list.');
  }
}

/** Reads a file, turning "no such file" into an error that names the remedy. */
export async function readImageBytes(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new DatasetError(
        'missing-file',
        `Expected a file at ${file}, found none. Check the data folder and the list, or remove the id from the list.`,
        { file },
      );
    }
    throw new DatasetError(
      'unreadable-image',
      `Could not read ${file}: ${(error as Error).message}. Check its permissions and the disk.`,
      {
        file,
        reason: code,
      },
    );
  }
}

/** Size of an image in pixels after EXIF rotation, from its header alone. */
export async function readImageSize(file: string): Promise<{ width: number; height: number }> {
  try {
    const meta = await sharp(file, { failOn: 'none', limitInputPixels: false }).metadata();
    return { width: meta.autoOrient.width, height: meta.autoOrient.height };
  } catch {
    // The full decoder words the error better.
    const image = await readImage(file);
    return { width: image.width, height: image.height };
  }
}

function toThreeChannels(data: Uint8Array, channels: number, pixels: number): Uint8Array {
  if (channels === 3) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const rgb = new Uint8Array(pixels * 3);
  for (let i = 0, j = 0, k = 0; i < pixels; i++, j += channels, k += 3) {
    const grey = data[j];
    rgb[k] = grey;
    rgb[k + 1] = grey;
    rgb[k + 2] = grey;
  }
  return rgb;
}

/** What the markers of a JPEG tell: null when the bytes are no JPEG. */
function inspectJpeg(bytes: Uint8Array): { complete: boolean; components: number } | null {
  if (bytes.length < 4 || bytes[0] !== 0xff || bytes[1] !== 0xd8 || bytes[2] !== 0xff) return null;
  let components = 3;
  let at = 2;
  while (at + 1 < bytes.length) {
    if (bytes[at] !== 0xff) {
      // Entropy-coded data: on to the next marker.
      at = bytes.indexOf(0xff, at);
      if (at < 0) break;
      continue;
    }
    const marker = bytes[at + 1];
    if (marker === 0xd9) return { complete: true, components };
    if (marker === 0xff) {
      at += 1;
    } else if (marker === 0x00 || marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) {
      at += 2; // stuffed byte, restart markers
    } else {
      if (
        at + 9 < bytes.length &&
        marker >= 0xc0 &&
        marker <= 0xcf &&
        marker !== 0xc4 &&
        marker !== 0xc8 &&
        marker !== 0xcc
      ) {
        components = bytes[at + 9];
      }
      if (at + 3 >= bytes.length) break;
      at += 2 + ((bytes[at + 2] << 8) | bytes[at + 3]);
    }
  }
  return { complete: false, components };
}
