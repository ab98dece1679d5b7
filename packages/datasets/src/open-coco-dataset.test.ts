import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeRle, rleToString } from '@auxseg/formats';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { streamJsonElements } from './json-element-stream.js';
import { locateCocoSplit } from './locate-coco-split.js';
import { openCocoDataset } from './open-coco-dataset.js';

let root = '';
let annotations = '';
const square = (x: number, y: number, side: number): number[] => [
  x,
  y,
  x + side,
  y,
  x + side,
  y + side,
  x,
  y + side,
];

// Key order, white space, escapes and unknown fields as real files have them.
function instances(): string {
  const rleMask = new Uint8Array(12 * 10).fill(0);
  for (let i = 0; i < 6; i++) rleMask[i * 12 + 11] = 1;
  const rle = encodeRle({ width: 12, height: 10, data: rleMask });
  return JSON.stringify(
    {
      info: { description: 'a "quoted" ] } \\ text', list: [1, [2, { images: [] }]] },
      images: [
        { id: 42, width: 12, height: 10, file_name: 'COCO_train2014_000000000042.jpg', note: 'ä ] }' },
        { id: 7, width: 5, height: 5, file_name: 'COCO_train2014_000000000007.jpg' },
        { id: 9, width: 4, height: 4, file_name: 'COCO_train2014_000000000009.jpg' },
      ],
      annotations: [
        {
          id: 1,
          image_id: 42,
          category_id: 90,
          iscrowd: 0,
          segmentation: [square(1, 1, 4), square(7, 6, 2)],
        },
        { id: 2, image_id: 42, category_id: 3, iscrowd: 0, segmentation: [square(3, 3, 3)] },
        {
          id: 3,
          image_id: 42,
          category_id: 1,
          iscrowd: 1,
          segmentation: { size: [10, 12], counts: [0, 120] },
        },
        {
          id: 4,
          image_id: 42,
          category_id: 3,
          iscrowd: 0,
          segmentation: { size: [10, 12], counts: rleToString(rle) },
        },
        { id: 5, image_id: 7, category_id: 1, iscrowd: 0, segmentation: { size: [5, 5], counts: [0, 25] } },
      ],
      categories: [
        { id: 90, name: 'toothbrush' },
        { id: 1, name: 'person' },
        { id: 3, name: 'car' },
      ],
    },
    null,
    1,
  );
}

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'auxseg-coco-'));
  mkdirSync(join(root, 'train2014'));
  for (const n of [42, 7, 9])
    writeFileSync(join(root, 'train2014', `COCO_train2014_${String(n).padStart(12, '0')}.jpg`), '');
  annotations = join(root, 'instances_train2014.json');
  writeFileSync(annotations, instances());
});
afterAll(() => rmSync(root, { recursive: true }));

describe('openCocoDataset', () => {
  test('classes in the order of category ids, crowds skipped, later regions on top', async () => {
    const dataset = await openCocoDataset({ annotations, images: join(root, 'train2014') });
    expect(dataset.classes).toEqual(['person', 'car', 'toothbrush']);
    expect(dataset.categoryIds).toEqual([1, 3, 90]);
    expect(dataset.ids).toEqual(['COCO_train2014_000000000042', 'COCO_train2014_000000000007']);
    expect(Array.from(dataset.imageLabels(dataset.ids[0]))).toEqual([0, 1, 1]);
    const { width, height, data } = await dataset.truth!(dataset.ids[0]);
    expect([width, height]).toEqual([12, 10]);
    const rows = Array.from({ length: 10 }, (_, y) =>
      Array.from(data.subarray(y * 12, y * 12 + 12)).join(''),
    );
    expect(rows).toEqual([
      '000000000002',
      '033330000002',
      '033330000002',
      '033222000002',
      '033222000002',
      '000222000002',
      '000000033000',
      '000000033000',
      '000000000000',
      '000000000000',
    ]);
    expect((await dataset.truth!(dataset.ids[1])).data.every((v) => v === 1)).toBe(true);
    await dataset.close();
  });

  test('both list conventions, lists of numbers or names, class subsets', async () => {
    const images = join(root, 'train2014');
    expect((await openCocoDataset({ annotations, images, include: 'all' })).ids).toHaveLength(3);
    const listFile = join(root, 'list.txt');
    writeFileSync(listFile, '9\r\nCOCO_train2014_000000000042.jpg');
    const listed = await openCocoDataset({ annotations, images, listFile });
    expect(listed.ids).toEqual(['COCO_train2014_000000000009', 'COCO_train2014_000000000042']);
    expect((await listed.truth!(listed.ids[0])).data.every((v) => v === 0)).toBe(true);
    const subset = await openCocoDataset({ annotations, images, classes: ['toothbrush', 'person'] });
    expect(Array.from(subset.imageLabels('COCO_train2014_000000000042'))).toEqual([1, 0]);
    expect(new Set((await subset.truth!('COCO_train2014_000000000042')).data)).toEqual(new Set([0, 1]));
    await Promise.all([listed.close(), subset.close()]);
  });

  test("COCO's ids 1 to 90, ten of them unused, become 1 to 80 in the field's order; both list conventions count", async () => {
    const unused = [12, 26, 29, 30, 45, 66, 68, 69, 71, 83];
    const used = Array.from({ length: 90 }, (_, i) => i + 1).filter((id) => !unused.includes(id));
    const file = join(root, 'eighty.json');
    // One image a category, one with a crowd alone and one without regions.
    const images = Array.from({ length: 82 }, (_, i) => ({
      id: i,
      width: 4,
      height: 4,
      file_name: `${i}.jpg`,
    }));
    const region = { segmentation: [square(0, 0, 4)] };
    const annotations = used.map((id, i) => ({ id: i, image_id: i, category_id: id, iscrowd: 0, ...region }));
    const runs = { size: [4, 4], counts: [0, 16] };
    annotations.push({ id: 80, image_id: 80, category_id: 1, iscrowd: 1, segmentation: runs } as never);
    const categories = used.map((id) => ({ id, name: `category ${id}` })).reverse();
    writeFileSync(file, JSON.stringify({ images, annotations, categories }));
    mkdirSync(join(root, 'eighty'));
    for (const { file_name: name } of images) writeFileSync(join(root, 'eighty', name), '');
    const open = (include: 'labelled' | 'all') =>
      openCocoDataset({ annotations: file, images: join(root, 'eighty'), include });
    const dataset = await open('labelled');
    expect([dataset.classes.length, dataset.ids.length]).toEqual([80, 80]);
    expect(dataset.categoryIds).toEqual(used);
    // person 1, stop sign 13 -> 12, toothbrush 90 -> 80: with background 81 classes.
    for (const [category, value] of [
      [1, 1],
      [13, 12],
      [27, 25],
      [90, 80],
    ]) {
      const id = String(used.indexOf(category));
      expect(new Set((await dataset.truth!(id)).data)).toEqual(new Set([value]));
      expect(dataset.imageLabels(id).indexOf(1)).toBe(value - 1);
    }
    const counts = new Array(80).fill(0);
    for (const id of dataset.ids)
      dataset.imageLabels(id).forEach((l, k) => {
        counts[k] += l;
      });
    expect(counts).toEqual(new Array(80).fill(1));
    const all = await open('all');
    expect(all.ids).toHaveLength(82);
    await Promise.all([dataset.close(), all.close()]);
  });

  test('images in <split>, images/<split> or images are found', async () => {
    const data = join(root, 'places');
    mkdirSync(join(data, 'annotations'), { recursive: true });
    writeFileSync(join(data, 'annotations/instances_a.json'), instances());
    const place = async () => (await locateCocoSplit(data, 'a')).images;
    expect(await place()).toBe(join(data, 'a'));
    for (const folder of ['images', 'images/a', 'a']) {
      mkdirSync(join(data, folder));
      expect(await place()).toBe(join(data, folder));
    }
    await expect(locateCocoSplit(data, 'b')).rejects.toThrow(/instances_b\.json.*splits there are: a\./);
  });

  test('file names with folders; labels without a segmentation', async () => {
    const data = join(root, 'nested');
    mkdirSync(join(data, 'x'), { recursive: true });
    mkdirSync(join(data, 'y'), { recursive: true });
    const file = join(data, 'instances.json');
    const images = ['x/a.jpg', 'y/a.jpg', 'b.jpg'].map((name, id) => ({
      id,
      file_name: name,
      width: 2,
      height: 2,
    }));
    for (const { file_name: name } of images) writeFileSync(join(data, name), '');
    const region = (id: number, segmentation?: unknown) => ({
      id,
      image_id: id,
      category_id: 1,
      segmentation,
    });
    const open = (annotations: unknown[], options = {}) => {
      const categories = [{ id: 1, name: 'cat' }];
      writeFileSync(file, JSON.stringify({ images, annotations, categories }));
      return openCocoDataset({ annotations: file, images: data, ...options });
    };
    const some = await open([region(0, [square(0, 0, 2)]), region(1, []), region(2)]);
    expect(some.ids).toEqual(['x__a', 'y__a', 'b']);
    expect(some.imageFile('x__a')).toBe(join(data, 'x/a.jpg'));
    expect(some.ids.map((id) => some.hasTruth(id))).toEqual([true, false, false]);
    expect(Array.from(some.imageLabels('y__a'))).toEqual([1]);
    await expect(some.truth!('y__a')).rejects.toThrow(/1 of the regions of y\/a\.jpg have no segmentation/);
    expect((await open([region(0), region(1)])).truth).toBeUndefined();
    const listFile = join(data, 'list.txt');
    writeFileSync(listFile, 'y/a.jpg\n2\n');
    expect((await open([region(0), region(1)], { listFile })).ids).toEqual(['y__a', 'b']);
    writeFileSync(listFile, 'a.jpg\n');
    await expect(open([region(0)], { listFile })).rejects.toThrow(/"a" is not there/);
    await some.close();
  });

  test('what cannot be used is an error, or left out and told', async () => {
    const data = join(root, 'unusable');
    mkdirSync(data);
    for (const name of ['a.jpg', 'b.jpg']) writeFileSync(join(data, name), '');
    const file = join(data, 'instances.json');
    const image = { id: 1, file_name: 'a.jpg', width: 2, height: 2 };
    const region = { id: 7, image_id: 1, category_id: 1, segmentation: [square(0, 0, 2)] };
    const category = { id: 1, name: 'cat' };
    const good = { images: [image], annotations: [region], categories: [category] };
    const open = (changes: object, options = {}) => {
      writeFileSync(file, JSON.stringify({ ...good, ...changes }));
      return openCocoDataset({ annotations: file, images: data, ...options });
    };
    for (const [changes, message] of [
      [{ annotations: [region, { ...region, image_id: 5 }] }, /image 5, which is not listed.*remove the ann/],
      [{ annotations: [region, { ...region, category_id: 5 }] }, /category 5, which is not listed/],
      [{ images: [image, { ...image, file_name: 'b.jpg' }] }, /image 1 \(b\.jpg\).*of a\.jpg/],
      [{ images: [image, { ...image, id: 2 }] }, /image 2 \(a\.jpg\).*file name of its own/],
    ] as const) {
      await expect(open(changes)).rejects.toThrow(message);
      const told: string[] = [];
      const rest = await open(changes, { skipUnusable: (reason: string) => told.push(reason) });
      expect(rest.ids).toEqual(['a']);
      expect(rest.imageFile('a')).toBe(join(data, 'a.jpg'));
      expect(told).toEqual([expect.stringMatching(message)]);
    }
    await expect(open({ categories: [category, { id: 1, name: 'dog' }] })).rejects.toThrow(
      /category 1 \(dog\)/,
    );
    await expect(open({ images: [{ ...image, id: '1' }] })).rejects.toThrow(/id "1".*as integers/);
    const noSize = await open({ images: [{ ...image, width: undefined }] });
    await expect(noSize.truth!('a')).rejects.toThrow(/a\.jpg has the size undefinedx2/);
    const flat = await open({ annotations: [{ ...region, segmentation: { size: [2, 2], counts: [1, 2] } }] });
    await expect(flat.truth!('a')).rejects.toThrow(/annotation 7 of a\.jpg.*4 pixels in all.*got 3/);
    await flat.close();
  });

  test('the file may be cut at any chunk boundary', async () => {
    const expected = JSON.parse(instances());
    for (const pad of [0, 1, 1048576 - 900, 1048576 - 431, 1048576 - 205]) {
      const file = join(root, 'padded.json');
      // White space moves the boundary of the 1 MiB chunks through strings, elements and escapes.
      writeFileSync(file, `${' '.repeat(pad)}${instances()}`);
      const seen: Record<string, unknown[]> = { images: [], annotations: [], categories: [] };
      await streamJsonElements(file, Object.keys(seen), ({ key, bytes }) =>
        seen[key].push(JSON.parse(bytes.toString())),
      );
      expect(seen).toEqual({
        images: expected.images,
        annotations: expected.annotations,
        categories: expected.categories,
      });
    }
  });

  test('what is wrong is named', async () => {
    const images = join(root, 'train2014');
    await expect(openCocoDataset({ annotations: join(root, 'no.json'), images })).rejects.toMatchObject({
      code: 'missing-file',
    });
    await expect(openCocoDataset({ annotations, images: join(root, 'val2014') })).rejects.toThrow(
      /2 are missing: COCO_train2014/,
    );
    await expect(openCocoDataset({ annotations, images, classes: ['cra'] })).rejects.toThrow(
      /person, car, toothbrush.*"cra"/,
    );
    const file = join(root, 'bad.json');
    for (const [text, message] of [
      [instances().slice(0, 700), /ends too early at byte 701/ /* the ä has two bytes */],
      ['[]', /another top level/],
      ['{"images":[{"id":1}]}', /no file_name.*not captions/],
      ['{"images":[],"annotations":[]}', /no categories/],
      [
        '{"annotations":[{"image_id":5,"category_id":1}],"categories":[{"id":1,"name":"a"}]}',
        /names the image 5/,
      ],
      ['{"images":[{"id": nul}]}', /no JSON/],
      ['{"categories":[{"id":1} {"id":2}]}', /expected a comma at byte 24/],
      ['{"categories":[{"id":1},]}', /something after the comma at byte 24/],
      ['{"a":[] "b":[]}', /expected a comma at byte 11/],
      ['{"a":1,,"b":[]}', /a comma too many at byte 7/],
    ] as const) {
      writeFileSync(file, text);
      await expect(openCocoDataset({ annotations: file, images })).rejects.toThrow(message);
    }
  });
});
