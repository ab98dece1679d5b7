import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  type CocoSegmentation,
  rleFromBox,
  rleFromPolygon,
  rleFromPolygons,
  rleFromSegmentation,
} from './coco-polygons.js';
import {
  type CocoRle,
  decodeRle,
  encodeRle,
  mergeRle,
  paintRle,
  rleArea,
  rleFromCounts,
  rleFromString,
  rleToString,
} from './coco-rle.js';
import { FormatError } from './format-error.js';

interface Case {
  size: [number, number];
  counts: string;
  area: number;
  polygons?: number[][];
  box?: number[];
  pixels?: string;
  other?: string;
  union?: string;
  intersection?: string;
}

// tools/reference/formats/make_coco_fixtures.py makes longer lists for a comparison by hand.
const file = process.env.AUXSEG_COCO_SHAPES ?? new URL('./fixtures/coco.json', import.meta.url);
const cases = JSON.parse(readFileSync(file, 'utf8')) as Case[];

describe('COCO masks against pycocotools', () => {
  test(`${cases.length} shapes are equal bit for bit`, () => {
    const differing: number[] = [];
    cases.forEach((item, i) => {
      const size = { height: item.size[0], width: item.size[1] };
      const known = rleFromString(item.counts, size);
      const results: [string, string][] = [[rleToString(known), item.counts]];
      if (item.polygons) results.push([rleToString(rleFromPolygons(item.polygons, size)), item.counts]);
      if (item.box) results.push([rleToString(rleFromBox(item.box, size)), item.counts]);
      if (item.pixels) {
        const data = Uint8Array.from(item.pixels, Number);
        results.push([rleToString(encodeRle({ ...size, data })), item.counts]);
        results.push([Array.from(decodeRle(known).data).join(''), item.pixels]);
        const other = rleFromString(item.other as string, size);
        results.push([rleToString(mergeRle([known, other])), item.union as string]);
        results.push([rleToString(mergeRle([known, other], 'intersection')), item.intersection as string]);
      }
      if (rleArea(known) !== item.area || results.some(([ours, theirs]) => ours !== theirs))
        differing.push(i);
    });
    expect(differing).toEqual([]);
  });
});

const masks = fc
  .tuple(fc.integer({ min: 1, max: 23 }), fc.integer({ min: 1, max: 19 }))
  .chain(([width, height]) =>
    fc
      .uint8Array({ min: 0, max: 1, minLength: width * height, maxLength: width * height })
      .map((data) => ({ width, height, data: Uint8Array.from(data) })),
  );

describe('COCO masks', () => {
  test('every mask survives each form', () => {
    fc.assert(
      fc.property(masks, (mask) => {
        const rle = encodeRle(mask);
        expect(decodeRle(rle)).toEqual(mask);
        expect(rleFromString(rleToString(rle), mask)).toEqual(rle);
        expect(rleFromCounts(Array.from(rle.counts), mask)).toEqual(rle);
        expect(rleArea(rle)).toBe(mask.data.reduce((a, b) => a + b, 0));
      }),
    );
  });

  test('merging is a union or intersection of pixels', () => {
    fc.assert(
      fc.property(masks, fc.uint8Array({ min: 0, max: 1, minLength: 437, maxLength: 437 }), (a, bits) => {
        const b = { ...a, data: Uint8Array.from(bits.subarray(0, a.data.length)) };
        const pair = [encodeRle(a), encodeRle(b)];
        expect(decodeRle(mergeRle(pair)).data).toEqual(a.data.map((v, i) => v | b.data[i]));
        expect(decodeRle(mergeRle(pair, 'intersection')).data).toEqual(a.data.map((v, i) => v & b.data[i]));
      }),
    );
  });

  test('runs that stop early are background after their end, also in merges', () => {
    const size = { width: 2, height: 3 };
    const short: CocoRle = { ...size, counts: Uint32Array.of(1, 2) };
    const full: CocoRle = { ...size, counts: Uint32Array.of(0, 6) };
    const none: CocoRle = { ...size, counts: new Uint32Array(0) };
    expect(Array.from(decodeRle(short).data)).toEqual([0, 0, 1, 0, 1, 0]);
    expect(Array.from(decodeRle(mergeRle([short, full])).data)).toEqual([1, 1, 1, 1, 1, 1]);
    expect(Array.from(decodeRle(mergeRle([full, short], 'intersection')).data)).toEqual([0, 0, 1, 0, 1, 0]);
    expect(rleArea(mergeRle([none, full], 'intersection'))).toBe(0);
    expect(rleArea(mergeRle([none, full]))).toBe(6);
  });

  test('segmentations of every form', () => {
    const size = { width: 9, height: 7 };
    const polygon = [1, 1, 6.5, 1.2, 5, 6];
    const rle = rleFromPolygon(polygon, size);
    expect(rleFromSegmentation([polygon], size)).toEqual(rle);
    expect(rleFromSegmentation({ size: [7, 9], counts: rleToString(rle) }, size)).toEqual(rle);
    expect(rleFromSegmentation({ size: [7, 9], counts: Array.from(rle.counts) }, size)).toEqual(rle);
    expect(rleArea(rleFromSegmentation([], size))).toBe(0);
    expect(() => rleFromSegmentation({ size: [9, 7], counts: [63] }, size)).toThrow(/\[7, 9\].*got \[9,7\]/);
    const reject = (segmentation: unknown, message: RegExp) =>
      expect(() => rleFromSegmentation(segmentation as CocoSegmentation, size)).toThrow(message);
    reject({ size: [7, 9], counts: [50, 12] }, /63 pixels in all.*got 62/);
    reject({ size: [7, 9] }, /"counts".*got undefined/);
    reject(polygon, /\[\[x0, y0.*got 1 among/);
  });

  test('paints labels, later over earlier', () => {
    const map = { width: 3, height: 2, data: new Uint8Array(6) };
    paintRle(map, encodeRle({ ...map, data: Uint8Array.of(1, 1, 0, 1, 1, 0) }), 7);
    paintRle(map, encodeRle({ ...map, data: Uint8Array.of(0, 1, 1, 0, 0, 0) }), 9);
    expect(Array.from(map.data)).toEqual([7, 9, 9, 7, 7, 0]);
  });

  test('damaged codes are clear errors', () => {
    const size = { width: 4, height: 4 };
    expect(() => rleFromString('P', size)).toThrow(/ends inside a number/);
    expect(() => rleFromString('5 3', size)).toThrow(/got " " at 1/);
    expect(() => rleFromString('ooooooooo0', size)).toThrow(FormatError);
    expect(() => rleFromCounts([5, 20], size)).toThrow(/at most 16 pixels.*got 25/);
    expect(() => rleFromCounts([-1], size)).toThrow(/got -1 at 0/);
    expect(() => rleFromPolygon([0, 0, Number.NaN, 1, 2, 2], size)).toThrow(/corner 1/);
    expect(() => rleFromPolygon([0, 0, 1e9, 1, 2, 2], size)).toThrow(/outline/);
    expect(() => decodeRle({ width: 1e6, height: 1e6, counts: new Uint32Array(0) })).toThrow(/at most/);
    expect(() => mergeRle([])).toThrow(/at least one/);
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          decodeRle(rleFromString(text, size));
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }),
    );
  });
});
