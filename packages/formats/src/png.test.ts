import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { crc32 } from './crc32.js';
import { FormatError } from './format-error.js';
import { readGrayPng, writeGrayPng } from './grey-png.js';
import { readIndexedPng, writeIndexedPng } from './indexed-png.js';
import { readPngInfo } from './png-info.js';
import { readPngSamples } from './read-png-samples.js';
import { readRgbPng, writeRgbPng } from './rgb-png.js';
import { fromBase64, readFixture } from './testing/fixtures.js';
import { vocPalette } from './voc-palette.js';

interface Case {
  file: string;
  width: number;
  height: number;
  depth: number;
  colorType: number;
  samples: number[];
  rgb?: number[];
  grey?: number[];
}
const cases = readFixture<Case[]>('png.json');
const TYPES: Record<number, string> = { 0: 'grey', 2: 'rgb', 3: 'palette', 4: 'grey-alpha', 6: 'rgb-alpha' };

const images = (channels: number) =>
  fc
    .tuple(fc.integer({ min: 1, max: 19 }), fc.integer({ min: 1, max: 17 }))
    .chain(([width, height]) =>
      fc
        .uint8Array({ minLength: width * height * channels, maxLength: width * height * channels })
        .map((data) => ({ width, height, data: Uint8Array.from(data) })),
    );

describe('PNG', () => {
  test.each(cases.map((item, i) => [i, TYPES[item.colorType], item.depth, item] as const))(
    'case %i: %s of %i bits as Pillow reads it',
    (_, type, depth, item) => {
      const file = fromBase64(item.file);
      expect(readPngInfo(file)).toMatchObject({
        width: item.width,
        height: item.height,
        colorType: type,
        bitDepth: depth,
        paletteEntries: type === 'palette' ? 2 ** depth : 0,
      });
      if (type === 'palette' || (type === 'grey' && depth <= 8)) {
        expect(Array.from(readIndexedPng(file).data)).toEqual(item.samples);
      } else {
        expect(() => readIndexedPng(file)).toThrow(FormatError);
      }
      if (item.samples) expect(Array.from(readPngSamples(file).samples)).toEqual(item.samples);
      if (item.rgb) expect(Array.from(readRgbPng(file).data)).toEqual(item.rgb);
      if (item.grey) expect(Array.from(readGrayPng(file).data)).toEqual(item.grey);
      if (depth === 16 && type === 'grey') {
        expect(Array.from(readGrayPng(file).data)).toEqual(item.samples.map((v) => Math.round(v / 257)));
      }
    },
  );

  test('round trips', () => {
    fc.assert(
      fc.property(images(1), (image) => expect(readIndexedPng(writeIndexedPng(image))).toMatchObject(image)),
    );
    fc.assert(fc.property(images(1), (image) => expect(readGrayPng(writeGrayPng(image))).toEqual(image)));
    fc.assert(fc.property(images(3), (image) => expect(readRgbPng(writeRgbPng(image))).toEqual(image)));
  });

  test('label maps carry 256 VOC colours, so that 255 shows', () => {
    const file = writeIndexedPng({ width: 2, height: 1, data: Uint8Array.of(1, 255) });
    expect(readPngInfo(file)).toMatchObject({ colorType: 'palette', bitDepth: 8, paletteEntries: 256 });
    expect(readIndexedPng(file).palette).toEqual(vocPalette());
    expect(Array.from(readRgbPng(file).data)).toEqual([128, 0, 0, 224, 224, 192]);
    const palette = vocPalette();
    const color = (label: number) => Array.from(palette.subarray(3 * label, 3 * label + 3));
    // Aeroplane, bicycle, person and tv monitor of VOC's own table.
    expect([1, 2, 15, 20].map(color)).toEqual([
      [128, 0, 0],
      [0, 128, 0],
      [192, 128, 128],
      [0, 64, 128],
    ]);
    expect(() =>
      writeIndexedPng({ width: 1, height: 1, data: Uint8Array.of(0) }, palette.subarray(0, 63)),
    ).toThrow(/256 RGB colours/);
  });

  test('real VOC masks, when they are there', () => {
    const dir = new URL('../../../../shared/data/voc-animals/SegmentationClassAug/', import.meta.url);
    if (!existsSync(dir)) {
      console.warn('Skipped: ../shared/data/voc-animals is not there.');
      return;
    }
    for (const name of readdirSync(dir).sort().slice(0, 20)) {
      const mask = readIndexedPng(readFileSync(new URL(name, dir)));
      expect(mask.data.every((label) => label <= 20 || label === 255)).toBe(true);
      expect(Buffer.compare(readIndexedPng(writeIndexedPng(mask)).data, mask.data)).toBe(0);
    }
  });

  test('cut off or changed anywhere is a clear error', () => {
    const file = writeRgbPng({
      width: 7,
      height: 5,
      data: Uint8Array.from({ length: 105 }, (_, i) => i * 7),
    });
    // The closing chunk (12 bytes) may be missing: the pixels are complete without it.
    for (let length = 0; length < file.length - 12; length++) {
      expect(() => readRgbPng(file.subarray(0, length))).toThrow(FormatError);
    }
    expect(() => readRgbPng(file.subarray(0, 60))).toThrow(
      /Expected \d+ bytes for chunk IDAT at offset \d+ of this PNG, got \d+/,
    );
    for (let at = 0; at < file.length - 12; at++) {
      const bad = file.slice();
      bad[at] ^= 1;
      expect(() => readRgbPng(bad)).toThrow(FormatError);
    }
    expect(() => readIndexedPng(Uint8Array.of(0xff, 0xd8, 0xff, 0xe0, 0, 0, 0, 0, 0))).toThrow(/got a JPEG/);
    expect(() => readIndexedPng(writeRgbPng({ width: 1, height: 1, data: new Uint8Array(3) }))).toThrow(
      /mode "P"/,
    );
  });

  test('a bomb is refused before it is unpacked', () => {
    const file = writeGrayPng({ width: 1, height: 1, data: Uint8Array.of(9) });
    const view = new DataView(file.buffer);
    const resize = (width: number, height: number) => {
      view.setUint32(16, width, false);
      view.setUint32(20, height, false);
      view.setUint32(29, crc32(file.subarray(12, 29)), false);
      return file;
    };
    expect(() => readGrayPng(resize(100_000, 100_000))).toThrow(/at most 268435456 pixels/);
    expect(() => readGrayPng(resize(16_000, 16_000))).toThrow(/cannot hold that many/);
    expect(() => readGrayPng(resize(0, 5))).toThrow(/at least 1x1/);
    expect(() => readGrayPng(resize(2, 2))).toThrow(/unpack to 6 bytes, got 2/);
  });

  test('writers name what does not fit', () => {
    expect(() => writeGrayPng({ width: 2, height: 2, data: new Uint8Array(3) })).toThrow(/4 bytes.*got 3/);
    expect(() => writeGrayPng({ width: 0, height: 2, data: new Uint8Array(0) })).toThrow(/0x2/);
    expect(() =>
      writeGrayPng({ width: 1, height: 1, data: new Float32Array(1) as unknown as Uint8Array }),
    ).toThrow(/Uint8Array/);
  });
});
