import { crc32 } from './crc32.js';
import { FormatError } from './format-error.js';
import { inflateExact } from './inflate-exact.js';
import { MAX_PNG_BYTES, MAX_PNG_PIXELS } from './limits.js';

// Our own decoder rather than fast-png's: that one reads a cut-off image as zeros, mixes up pixels of interlaced
// images below 8 bits, unpacks without a bound and checks no CRC, all of which matter for label masks.

// Bound once: a global costs a look-up in some sandboxes, and paeth runs for every byte.
const { abs } = Math;

/** PNG colour types, as in the IHDR chunk. */
export type PngColorType = 'grey' | 'rgb' | 'palette' | 'grey-alpha' | 'rgb-alpha';

const COLOR_TYPES: Readonly<
  Record<number, { name: PngColorType; channels: number; depths: readonly number[] }>
> = {
  0: { name: 'grey', channels: 1, depths: [1, 2, 4, 8, 16] },
  2: { name: 'rgb', channels: 3, depths: [8, 16] },
  3: { name: 'palette', channels: 1, depths: [1, 2, 4, 8] },
  4: { name: 'grey-alpha', channels: 2, depths: [8, 16] },
  6: { name: 'rgb-alpha', channels: 4, depths: [8, 16] },
};

/** What the header of a PNG says, without its pixels. */
export interface PngInfo {
  width: number;
  height: number;
  colorType: PngColorType;
  /** Bits per sample: 1, 2, 4, 8 or 16. */
  bitDepth: number;
  channels: number;
  interlaced: boolean;
  /** Entries of the palette chunk, 0 when there is none. */
  paletteEntries: number;
}

/** A decoded PNG; samples below 8 bits are unpacked, one a byte, not scaled. */
export interface DecodedPng extends PngInfo {
  samples: Uint8Array | Uint16Array; // [H,W,channels]
  palette?: Uint8Array; // [entries,3]
}

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** Adam7: x and y of the first pixel, and the steps, of each pass. */
const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

interface PngChunks extends PngInfo {
  palette?: Uint8Array;
  data: Uint8Array[];
}

/** Whether the bytes begin with the signature of PNG. */
export function isPng(bytes: Uint8Array): boolean {
  return bytes.length >= 8 && SIGNATURE.every((byte, i) => bytes[i] === byte);
}

/** Reads the chunks; `headerOnly` stops at the first pixel data. */
export function readPngChunks(bytes: Uint8Array, headerOnly: boolean): PngChunks {
  if (!isPng(bytes)) {
    const jpeg = bytes[0] === 0xff && bytes[1] === 0xd8;
    throw new FormatError(
      bytes.length < 8 ? 'truncated' : 'bad-magic',
      `Expected a PNG file${jpeg ? ', got a JPEG' : ''} (${bytes.length} bytes). ${jpeg ? 'Masks must not be JPEG: its compression changes label values.' : 'Is this another format?'}`,
      { offset: 0, actual: bytes.length },
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let info: PngInfo | undefined;
  let palette: Uint8Array | undefined;
  const data: Uint8Array[] = [];
  let at = 8;
  let ended = false;
  while (!ended) {
    if (at + 8 > bytes.length) {
      // The pixels can be complete although the closing chunk is gone; the decoder below finds out.
      if (info && data.length > 0) break;
      throw truncated('a chunk header', 8, bytes.length - at, at);
    }
    const length = view.getUint32(at, false);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const start = at + 8;
    if (start + length + 4 > bytes.length) {
      throw truncated(`chunk ${type}`, length + 4, bytes.length - start, start);
    }
    const body = bytes.subarray(start, start + length);
    if (!info && type !== 'IHDR') {
      throw new FormatError('malformed', `Expected the IHDR chunk first in a PNG, got ${type}.`, {
        offset: at,
      });
    }
    const critical = type === 'IHDR' || type === 'PLTE' || type === 'IDAT';
    if (critical && headerOnly && type === 'IDAT') break;
    if (critical && crc32(bytes.subarray(at + 4, start + length)) !== view.getUint32(start + length, false)) {
      throw new FormatError(
        'malformed',
        `The checksum of chunk ${type} at offset ${at} does not match: this PNG is damaged. Copy or download it again.`,
        { chunk: type, offset: at },
      );
    }
    if (type === 'IHDR') info = readHeader(body, at);
    else if (type === 'PLTE' && info) {
      if (length % 3 !== 0 || length > 768 || length === 0) {
        throw new FormatError('malformed', `Expected a palette of 1..256 colours, got ${length} bytes.`, {
          offset: at,
        });
      }
      palette = body.slice();
      info.paletteEntries = length / 3;
    } else if (type === 'IDAT') data.push(body);
    else if (type === 'IEND') ended = true;
    at = start + length + 4;
  }
  if (!info) throw truncated('chunk IHDR', 13, 0, 8);
  return { ...info, palette, data };
}

function readHeader(body: Uint8Array, at: number): PngInfo {
  if (body.length !== 13) {
    throw new FormatError('malformed', `Expected 13 bytes in the IHDR chunk, got ${body.length}.`, {
      offset: at,
    });
  }
  const view = new DataView(body.buffer, body.byteOffset, 13);
  const width = view.getUint32(0, false);
  const height = view.getUint32(4, false);
  const bitDepth = body[8];
  const kind = COLOR_TYPES[body[9]];
  if (!kind?.depths.includes(bitDepth) || body[10] !== 0 || body[11] !== 0 || body[12] > 1) {
    throw new FormatError(
      'malformed',
      `Expected a known PNG colour type, depth, compression, filter and interlace, got ${body[9]}, ${bitDepth}, ${body[10]}, ${body[11]}, ${body[12]}.`,
      { offset: at },
    );
  }
  if (width === 0 || height === 0) {
    throw new FormatError('malformed', `Expected a PNG of at least 1x1 pixel, got ${width}x${height}.`, {
      width,
      height,
    });
  }
  if (width * height > MAX_PNG_PIXELS) {
    throw new FormatError(
      'limit',
      `Expected a PNG of at most ${MAX_PNG_PIXELS} pixels, got ${width}x${height}.`,
      {
        width,
        height,
      },
    );
  }
  return {
    width,
    height,
    colorType: kind.name,
    bitDepth,
    channels: kind.channels,
    interlaced: body[12] === 1,
    paletteEntries: 0,
  };
}

/** Decodes a PNG of any colour type, depth and interlacing. */
export function decodePng(bytes: Uint8Array): DecodedPng {
  const { data, ...png } = readPngChunks(bytes, false);
  const { width, height, bitDepth, channels, interlaced } = png;
  const bitsPerPixel = bitDepth * channels;
  const passes = interlaced
    ? ADAM7.map(([x, y, dx, dy]) => ({
        x,
        y,
        dx,
        dy,
        width: Math.ceil((width - x) / dx),
        height: Math.ceil((height - y) / dy),
      })).filter((pass) => pass.width > 0 && pass.height > 0)
    : [{ x: 0, y: 0, dx: 1, dy: 1, width, height }];
  let rawBytes = 0;
  for (const pass of passes) rawBytes += pass.height * (1 + Math.ceil((pass.width * bitsPerPixel) / 8));

  if (rawBytes > MAX_PNG_BYTES) {
    throw new FormatError(
      'limit',
      `Expected a PNG of at most ${MAX_PNG_BYTES} bytes unpacked, got ${rawBytes} (${width}x${height}).`,
      {
        width,
        height,
        rawBytes,
      },
    );
  }
  const raw = inflateExact(joinZlib(data), rawBytes, `the pixels of this ${width}x${height} PNG`);
  const samples =
    bitDepth === 16 ? new Uint16Array(width * height * channels) : new Uint8Array(width * height * channels);
  const filterDistance = Math.max(1, bitsPerPixel >> 3);
  let at = 0;
  for (const pass of passes) {
    const lineBytes = Math.ceil((pass.width * bitsPerPixel) / 8);
    const blank = new Uint8Array(lineBytes);
    let above: Uint8Array = blank;
    for (let row = 0; row < pass.height; row++) {
      const filter = raw[at];
      const line = raw.subarray(at + 1, at + 1 + lineBytes);
      unfilter(filter, line, above, filterDistance, at);
      above = line;
      at += 1 + lineBytes;
      const to = ((pass.y + row * pass.dy) * width + pass.x) * channels;
      scatter(line, samples, to, pass.width, channels, pass.dx * channels, bitDepth);
    }
  }
  return { ...png, samples };
}

/** The DEFLATE stream inside the zlib wrapper that the IDAT chunks make up together. */
function joinZlib(chunks: readonly Uint8Array[]): Uint8Array {
  let total = 0;
  for (const chunk of chunks) total += chunk.length;
  let joined = chunks[0];
  if (chunks.length !== 1) {
    joined = new Uint8Array(total);
    let at = 0;
    for (const chunk of chunks) {
      joined.set(chunk, at);
      at += chunk.length;
    }
  }
  if (total < 2) throw truncated('the pixel data', 2, total, 8);
  if (
    (joined[0] & 15) !== 8 ||
    joined[0] >> 4 > 7 ||
    ((joined[0] << 8) | joined[1]) % 31 !== 0 ||
    joined[1] & 32
  ) {
    throw new FormatError(
      'malformed',
      'Expected zlib data in the IDAT chunks of this PNG. The file is damaged.',
    );
  }
  return joined.subarray(2);
}

/** Undoes a scanline filter in place. */
function unfilter(filter: number, line: Uint8Array, above: Uint8Array, distance: number, at: number): void {
  const length = line.length;
  switch (filter) {
    case 0:
      return;
    case 1:
      for (let i = distance; i < length; i++) line[i] += line[i - distance];
      return;
    case 2:
      for (let i = 0; i < length; i++) line[i] += above[i];
      return;
    case 3:
      for (let i = 0; i < length; i++) {
        const left = i >= distance ? line[i - distance] : 0;
        line[i] += (left + above[i]) >> 1;
      }
      return;
    case 4:
      for (let i = 0; i < length; i++) {
        const left = i >= distance ? line[i - distance] : 0;
        const corner = i >= distance ? above[i - distance] : 0;
        line[i] += paeth(left, above[i], corner);
      }
      return;
    default:
      throw new FormatError('malformed', `Expected a PNG filter of 0..4, got ${filter} in the pixel data.`, {
        filter,
        offset: at,
      });
  }
}

/** The Paeth predictor of the PNG specification, 9.4. */
export function paeth(left: number, above: number, corner: number): number {
  const toLeft = abs(above - corner);
  const toAbove = abs(left - corner);
  const toCorner = abs(left + above - 2 * corner);
  if (toLeft <= toAbove && toLeft <= toCorner) return left;
  return toAbove <= toCorner ? above : corner;
}

/** Unpacks one scanline to its pixels, `step` samples apart. */
function scatter(
  line: Uint8Array,
  samples: Uint8Array | Uint16Array,
  start: number,
  width: number,
  channels: number,
  step: number,
  bitDepth: number,
): void {
  if (bitDepth === 8 && step === channels) {
    samples.set(line, start);
    return;
  }
  let to = start;
  if (bitDepth >= 8) {
    const wide = bitDepth === 16;
    let from = 0;
    for (let x = 0; x < width; x++, to += step) {
      for (let c = 0; c < channels; c++) {
        if (wide) {
          samples[to + c] = (line[from] << 8) | line[from + 1];
          from += 2;
        } else samples[to + c] = line[from++];
      }
    }
    return;
  }
  // Below 8 bits there is one channel, packed from the highest bits down.
  const mask = (1 << bitDepth) - 1;
  for (let x = 0; x < width; x++, to += step) {
    const bit = x * bitDepth;
    samples[to] = (line[bit >> 3] >> (8 - bitDepth - (bit & 7))) & mask;
  }
}

function truncated(what: string, expected: number, actual: number, offset: number): FormatError {
  return new FormatError(
    'truncated',
    `Expected ${expected} bytes for ${what} at offset ${offset} of this PNG, got ${Math.max(0, actual)}. Was the file cut off?`,
    { expected, actual: Math.max(0, actual), offset },
  );
}
