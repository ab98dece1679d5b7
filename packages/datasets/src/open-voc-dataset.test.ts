import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeGrayPng, writeIndexedPng, writeRgbPng } from '@auxseg/formats';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openVocDataset } from './open-voc-dataset.js';
import { parseList } from './parse-list.js';
import { parseVocAnnotation } from './parse-voc-annotation.js';
import { vocXml, writeVocFolder } from './voc-folder.test.helper.js';

let root = '';
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'auxseg-voc-'));
  await writeVocFolder(root, [
    { id: 'a', width: 20, height: 14, values: [0, 8, 255] },
    { id: 'b', width: 13, height: 17, values: [0, 15, 12, 9] },
    { id: 'c', width: 8, height: 8, values: [20, 0] },
  ]);
  writeFileSync(join(root, 'Annotations/a.xml'), vocXml('cat', 'cat'));
  writeFileSync(join(root, 'Annotations/b.xml'), vocXml('person', 'dog', 'chair'));
  writeFileSync(join(root, 'Annotations/c.xml'), vocXml('tvmonitor'));
});
afterAll(() => rmSync(root, { recursive: true }));

const names = (
  dataset: { classes: readonly string[]; imageLabels(id: string): Uint8Array },
  id: string,
): string[] => dataset.classes.filter((_, k) => dataset.imageLabels(id)[k] === 1);

describe('openVocDataset', () => {
  test('all 20 classes, labels from Annotations', async () => {
    const dataset = await openVocDataset({ root, split: 'train' });
    expect(dataset.labelsFrom).toBe('annotations');
    expect(dataset.classes).toHaveLength(20);
    expect(dataset.ids).toEqual(['a', 'b', 'c']);
    expect(names(dataset, 'a')).toEqual(['cat']);
    expect(names(dataset, 'b')).toEqual(['chair', 'dog', 'person']);
    const { image, labels } = await dataset.sample('b');
    expect([image.width, image.height, image.data.length, labels.length]).toEqual([13, 17, 13 * 17 * 3, 20]);
    expect(Array.from((await dataset.truth!('b')).data.subarray(0, 5))).toEqual([0, 15, 12, 9, 0]);
    expect(() => dataset.imageLabels('zzz')).toThrow(/one of the 3 ids.*zzz/);
  });

  test('labels from masks agree with the annotations', async () => {
    const dataset = await openVocDataset({ root, split: 'train', labelsFrom: 'masks' });
    expect(names(dataset, 'a')).toEqual(['cat']);
    expect(names(dataset, 'b')).toEqual(['chair', 'dog', 'person']);
    expect(names(dataset, 'c')).toEqual(['tvmonitor']);
  });

  test('a class subset is numbered in its own order; other VOC classes become background', async () => {
    const dataset = await openVocDataset({ root, split: 'train', classes: ['person', 'cat'] });
    expect(dataset.classes).toEqual(['person', 'cat']);
    expect(Array.from(dataset.imageLabels('a'))).toEqual([0, 1]);
    expect(Array.from(dataset.imageLabels('c'))).toEqual([0, 0]);
    expect(Array.from((await dataset.truth!('a')).data.subarray(0, 3))).toEqual([0, 2, 255]);
    expect(Array.from((await dataset.truth!('b')).data.subarray(0, 4))).toEqual([0, 1, 0, 0]);
  });

  test('vocIds of image-labels.json map the masks', async () => {
    const file = join(root, 'labels.json');
    writeFileSync(
      file,
      JSON.stringify({
        classes: ['background', 'cat', 'person', 'dog'],
        vocIds: [0, 8, 15, 12],
        labels: { a: ['cat'], b: ['person', 'dog'], c: [] },
      }),
    );
    const dataset = await openVocDataset({ root, split: 'train', labelsFile: file });
    expect(dataset.classes).toEqual(['cat', 'person', 'dog']);
    expect(names(dataset, 'b')).toEqual(['person', 'dog']);
    expect(Array.from((await dataset.truth!('b')).data.subarray(0, 4))).toEqual([0, 2, 3, 0]);
  });

  test('list styles: bare, path pairs, CRLF, no final newline; SegmentationClassAug when paths say so', async () => {
    mkdirSync(join(root, 'Other'), { recursive: true });
    writeFileSync(
      join(root, 'Other/b.png'),
      writeIndexedPng({ width: 13, height: 17, data: new Uint8Array(221).fill(3) }),
    );
    const listFile = join(root, 'pairs.txt');
    writeFileSync(
      listFile,
      '\uFEFF/JPEGImages/a.jpg /SegmentationClass/a.png\r\n\r\n/JPEGImages/b.jpg /Other/b.png',
    );
    const dataset = await openVocDataset({ root, listFile });
    expect(dataset.ids).toEqual(['a', 'b']);
    expect((await dataset.truth!('b')).data[0]).toBe(3);
    expect(parseList('x\n', 'l')).toEqual([{ id: 'x' }]);
    expect(parseList('/JPEGImages/2008_1.jpg\r\n', 'l')[0]).toMatchObject({
      id: '2008_1',
      image: 'JPEGImages/2008_1.jpg',
    });
    expect(() => parseList('\n \n', 'l.txt')).toThrow(/at least one image id in l\.txt/);
    expect(() => parseList('a\nb\na', 'l.txt')).toThrow(/Line 3 of l\.txt.*stands on line 1/);
    expect(() => parseList('a -1\nb 1', 'l.txt')).toThrow(/per-class list/);
  });

  test('lists of names with spaces, and of file names without a folder', async () => {
    expect(parseList('bolt 1\nmy photo v1.2 x', 'l').map(({ id }) => id)).toEqual([
      'bolt 1',
      'my photo v1.2 x',
    ]);
    const pair = { id: 'a b', image: 'JPEGImages/a b.jpg', mask: 'SegmentationClass/a b.png' };
    for (const gap of [' ', '\t'])
      expect(parseList(`/JPEGImages/a b.jpg${gap}/SegmentationClass/a b.png`, 'l')).toEqual([pair]);
    expect(parseList('my photo 1.jpg', 'l')).toEqual([{ id: 'my photo 1' }]);
    // With ids that end in a number, only marks as ImageSets/Main writes them make a per-class list.
    expect(parseList('bolt 1\nbolt 0', 'l')).toHaveLength(2);
    expect(() => parseList('bolt 1\nim01  1\nim02 -1', 'l.txt')).toThrow(/Line 2.*per-class list/);
    const listFile = join(root, 'names.txt');
    writeFileSync(listFile, 'a.jpg\nb.jpg\n');
    const dataset = await openVocDataset({ root, listFile });
    expect(dataset.imageFile('a')).toBe(join(root, 'JPEGImages/a.jpg'));
  });

  test('masks for none or some of the images', async () => {
    const few = join(root, 'few');
    await writeVocFolder(few, [
      { id: 'a', width: 4, height: 4, values: [8] },
      { id: 'b', width: 4, height: 4, values: [8] },
    ]);
    rmSync(join(few, 'SegmentationClass/b.png'));
    const open = (labelsFrom: 'none' | 'masks') => openVocDataset({ root: few, split: 'train', labelsFrom });
    const some = await open('none');
    expect([some.hasTruth('a'), some.hasTruth('b')]).toEqual([true, false]);
    await expect(open('masks')).rejects.toMatchObject({
      code: 'missing-labels',
      details: { missing: ['b'] },
    });
    rmSync(join(few, 'SegmentationClass'), { recursive: true });
    const none = await open('none');
    expect([none.truth, none.hasTruth('a')]).toEqual([undefined, false]);
  });

  test('a byte-order mark in image-labels.json, a list in UTF-16', async () => {
    const json = JSON.stringify({ classes: ['cat'], labels: { a: ['cat'], b: [], c: [] } });
    const labelsFile = join(root, 'mark.json');
    writeFileSync(labelsFile, `\uFEFF${json}`);
    expect((await openVocDataset({ root, split: 'train', labelsFile })).classes).toEqual(['cat']);
    const listFile = join(root, 'utf16.txt');
    writeFileSync(listFile, Buffer.from('\uFEFFa\r\nb\r\n', 'utf16le'));
    expect((await openVocDataset({ root, listFile })).ids).toEqual(['a', 'b']);
  });

  test('grey masks are read by value; RGB masks are refused with a remedy', async () => {
    const other = join(root, 'Grey');
    mkdirSync(other, { recursive: true });
    const size = { width: 20, height: 14 };
    writeFileSync(join(other, 'a.png'), writeGrayPng({ ...size, data: new Uint8Array(280).fill(8) }));
    writeFileSync(
      join(other, 'b.png'),
      writeRgbPng({ width: 13, height: 17, data: new Uint8Array(221 * 3) }),
    );
    writeFileSync(
      join(other, 'c.png'),
      writeGrayPng({ width: 8, height: 8, data: new Uint8Array(64).fill(77) }),
    );
    const dataset = await openVocDataset({ root, split: 'train', maskFolder: 'Grey' });
    expect((await dataset.truth!('a')).data[0]).toBe(8);
    await expect(dataset.truth!('b')).rejects.toThrow(/Grey.b\.png.*stored as rgb.*convert/);
    await expect(dataset.truth!('c')).rejects.toThrow(/found 77 at pixel 0/);
  });

  test('every bad input has an error that names file and remedy', async () => {
    await expect(openVocDataset({ root, split: 'val' })).rejects.toThrow(/val\.txt.*splits there are: train/);
    await expect(openVocDataset({ root })).rejects.toThrow(/split or a listFile/);
    await expect(openVocDataset({ root, split: 'train', classes: ['cta'] })).rejects.toMatchObject({
      code: 'unknown-class',
    });
    await expect(openVocDataset({ root, split: 'train', classes: [] })).rejects.toMatchObject({
      code: 'bad-option',
    });
    const list = (text: string): string => {
      writeFileSync(join(root, 'list.txt'), text);
      return join(root, 'list.txt');
    };
    await expect(openVocDataset({ root, listFile: list('') })).rejects.toMatchObject({ code: 'empty-list' });
    await expect(openVocDataset({ root, listFile: list('a\nmissing_1') })).rejects.toThrow(
      /1 of them are missing: .*missing_1\.jpg/,
    );
    const labelsFile = join(root, 'few.json');
    writeFileSync(labelsFile, JSON.stringify({ classes: ['cat'], labels: { a: ['cat'] } }));
    await expect(openVocDataset({ root, split: 'train', labelsFile })).rejects.toThrow(/2 have none: b, c/);
    writeFileSync(
      labelsFile,
      JSON.stringify({ classes: ['cat'], labels: { a: ['cat'], b: ['unicorn'], c: [] } }),
    );
    await expect(openVocDataset({ root, split: 'train', labelsFile })).rejects.toThrow(
      /id b.*cat.*"unicorn"/,
    );
    writeFileSync(labelsFile, '{');
    await expect(openVocDataset({ root, split: 'train', labelsFile })).rejects.toMatchObject({
      code: 'bad-labels',
    });
    mkdirSync(join(root, 'Small'), { recursive: true });
    writeFileSync(
      join(root, 'Small/a.png'),
      writeIndexedPng({ width: 10, height: 7, data: new Uint8Array(70) }),
    );
    const small = await openVocDataset({
      root,
      listFile: list('a'),
      maskFolder: 'Small',
      labelsFrom: 'none',
    });
    await expect(small.truth!('a')).rejects.toThrow(/a\.png \(10x7\).*a\.jpg \(20x14\)/);
    expect(() => parseVocAnnotation('oops', 'x.xml')).toThrow(/x\.xml/);
  });
});

describe('the data at hand', () => {
  const shared = join(import.meta.dirname, '../../../../shared/data');
  test('voc-animals: labels of the json equal those of its masks', async () => {
    const animals = join(shared, 'voc-animals');
    if (!existsSync(animals)) {
      console.warn('skipped: ../shared/data/voc-animals is absent');
      return;
    }
    const lines = readFileSync(join(animals, 'ImageSets/Segmentation/train.txt'), 'utf8')
      .trim()
      .split('\n')
      .slice(0, 40);
    const listFile = join(root, 'animals.txt');
    writeFileSync(listFile, lines.join('\r\n'));
    const json = await openVocDataset({ root: animals, listFile });
    const masks = await openVocDataset({
      root: animals,
      listFile,
      labelsFrom: 'masks',
      classes: json.classes,
    });
    expect(json.classes).toEqual(['cat', 'cow', 'dog', 'horse', 'person', 'sheep']);
    let equal = 0;
    for (const id of json.ids) if (names(json, id).join() === names(masks, id).join()) equal++;
    expect(equal).toBeGreaterThanOrEqual(38);
  });

  test('cls_labels.npy labels the 10,582 ids of train_aug', async () => {
    const lists = join(shared, 'voc12-lists');
    if (!existsSync(lists)) {
      console.warn('skipped: ../shared/data/voc12-lists is absent');
      return;
    }
    // Only the ids whose photographs are here; the label file holds all of them.
    const animals = join(shared, 'voc-animals');
    const dataset = await openVocDataset({
      root: animals,
      split: 'train_aug',
      labelsFile: join(lists, 'cls_labels.npy'),
      labelsFrom: 'cls_labels.npy',
    });
    const json = await openVocDataset({ root: animals, split: 'train_aug' });
    expect(dataset.ids).toHaveLength(1000);
    const agree = json.ids.filter((id) => names(dataset, id).sort().join() === names(json, id).sort().join());
    expect(agree.length).toBeGreaterThan(950);
    const ids = parseList(readFileSync(join(lists, 'val_id.txt'), 'utf8'), 'val_id.txt');
    expect(ids).toHaveLength(1449);
    expect(parseList(readFileSync(join(lists, 'test.txt'), 'utf8'), 'test.txt')).toHaveLength(1456);
  });
});
