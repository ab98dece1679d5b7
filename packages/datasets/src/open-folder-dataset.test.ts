import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { writeIndexedPng, writeRgbPng } from '@auxseg/formats';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openFolderDataset } from './open-folder-dataset.js';
import { parseCsv } from './parse-csv.js';

let root = '';
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'auxseg-folder-'));
});
afterAll(() => rmSync(root, { recursive: true }));

function put(folder: string, files: Record<string, string | null>): string {
  const base = join(root, folder);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(base, name)), { recursive: true });
    writeFileSync(
      join(base, name),
      text ?? writeRgbPng({ width: 4, height: 3, data: new Uint8Array(36).fill(name.length) }),
    );
  }
  return base;
}

describe('openFolderDataset', () => {
  test('labels.csv with a list of labels, splits, quotes and CRLF', async () => {
    const base = put('csv', {
      'images/a.png': null,
      'images/sub/b.png': null,
      'images/c, d.png': null,
      'labels.csv':
        '\uFEFFfile,labels,split\r\na.png,rust|crack,train\r\nsub/b,,train\r\n"c, d.png","rust",val\r\n',
    });
    const train = await openFolderDataset({ root: base, split: 'train' });
    expect([train.layout, train.classes, train.ids]).toEqual([
      'labels.csv',
      ['crack', 'rust'],
      ['a', 'sub__b'],
    ]);
    expect([...train.imageLabels('a'), ...train.imageLabels('sub__b')]).toEqual([1, 1, 0, 0]);
    expect((await train.sample('sub__b')).image).toMatchObject({ width: 4, height: 3 });
    expect(train.truth).toBeUndefined();
    expect((await openFolderDataset({ root: base, split: 'val' })).ids).toEqual(['c, d']);
    expect((await openFolderDataset({ root: base })).ids).toHaveLength(3);
    await expect(openFolderDataset({ root: base, split: 'test' })).rejects.toMatchObject({
      code: 'empty-list',
    });
  });

  test('labels.csv with one column per class, semicolons; classes.txt orders; masks', async () => {
    const base = put('columns', {
      'a.png': null,
      'b.png': null,
      'labels.csv': 'image;zebra;ant\na.png;1;0\nb.png;0;1\n',
      'masks/a.png': null,
    });
    expect((await openFolderDataset({ root: base })).classes).toEqual(['zebra', 'ant']);
    put('columns', { 'classes.txt': 'background\nant\nzebra\n' });
    writeFileSync(
      join(base, 'masks/a.png'),
      writeIndexedPng({ width: 4, height: 3, data: Uint8Array.from([0, 1, 2, 255, 0, 0, 0, 0, 0, 0, 0, 0]) }),
    );
    writeFileSync(
      join(base, 'masks/b.png'),
      writeIndexedPng({ width: 4, height: 3, data: new Uint8Array(12).fill(3) }),
    );
    const dataset = await openFolderDataset({ root: base });
    expect(dataset.classes).toEqual(['ant', 'zebra']);
    expect(Array.from(dataset.imageLabels('a'))).toEqual([0, 1]);
    expect(Array.from((await dataset.truth?.('a'))?.data ?? []).slice(0, 4)).toEqual([0, 1, 2, 255]);
    await expect(dataset.truth?.('b')).rejects.toThrow(/found 3/);
    writeFileSync(
      join(base, 'masks/b.png'),
      writeIndexedPng({ width: 3, height: 4, data: new Uint8Array(12) }),
    );
    await expect(dataset.truth?.('b')).rejects.toThrow(/b\.png \(3x4\).*b\.png \(4x3\)/);
  });

  test('labels.json, plain and with classes and splits', async () => {
    const base = put('json', { 'a.png': null, 'b.png': null, 'labels.json': '{"a.png": ["x"], "b": "y"}' });
    const plain = await openFolderDataset({ root: base });
    expect([plain.layout, plain.classes, [...plain.imageLabels('b')]]).toEqual([
      'labels.json',
      ['x', 'y'],
      [0, 1],
    ]);
    put('json', {
      'labels.json':
        '{"classes": ["y", "x"], "labels": {"a.png": ["x"], "b.png": []}, "splits": {"val": ["b.png"]}}',
    });
    const val = await openFolderDataset({ root: base, split: 'val' });
    expect([val.classes, val.ids]).toEqual([['y', 'x'], ['b']]);
  });

  test('one folder per class, with and without a split', async () => {
    const base = put('folders', {
      'train/cat/1.png': null,
      'train/dog/1.png': null,
      'val/dog/deep/2.png': null,
    });
    const train = await openFolderDataset({ root: base, split: 'train' });
    expect([train.layout, train.classes, train.ids]).toEqual([
      'class-folders',
      ['cat', 'dog'],
      ['cat__1', 'dog__1'],
    ]);
    expect(Array.from(train.imageLabels('dog__1'))).toEqual([0, 1]);
    expect((await openFolderDataset({ root: join(base, 'val'), classes: ['cat', 'dog'] })).ids).toEqual([
      'dog__deep__2',
    ]);
  });

  test('every bad input is named with its remedy', async () => {
    const bad = async (files: Record<string, string | null>, message: RegExp, more = {}): Promise<void> => {
      const base = put(
        `bad-${Math.abs(message.source.length * 31 + Object.keys(files).length)}-${message.source.replace(/\W/g, '')}`,
        files,
      );
      await expect(openFolderDataset({ root: base, ...more })).rejects.toThrow(message);
    };
    await bad({ 'labels.csv': 'file,labels\nnone.png,x\n' }, /1 are missing or ambiguous: none\.png/);
    await bad(
      { 'a.png': null, 'b.png': null, 'labels.csv': 'file,labels\na.png,x\n' },
      /1 have none: b\.png.*unlabelled/,
    );
    await bad({ 'a.png': null, 'labels.csv': 'file,labels\na.png,x\na.png,x\n' }, /a\.png has two rows/);
    await bad({ 'a.png': null, 'labels.csv': 'file,x\na.png,maybe\n' }, /row 2, column x reads "maybe"/);
    await bad({ 'a.png': null, 'labels.csv': 'file\na.png\n' }, /fewer than two columns/);
    await bad({ 'a.png': null, 'labels.csv': 'file,labels\na.png,y\n' }, /among x; came "y"/, {
      classes: ['x'],
    });
    await bad({ 'a.png': null, 'labels.json': '[1]' }, /it holds no object/);
    await bad({ 'a.png': null, 'labels.json': '{"a.png": [1]}' }, /labels of a\.png are no list/);
    await bad({ 'a.png': null }, /labels\.csv, labels\.json or one folder of images per class/);
    await bad(
      { 'x/a.png': null, 'y/a.png': null, 'labels.csv': 'file,labels\na.png,x\n' },
      /missing or ambiguous: a\.png/,
      { unlabelled: 'skip' },
    );
    await expect(openFolderDataset({ root: join(root, 'nowhere') })).rejects.toThrow(
      /Expected a folder at .*nowhere/,
    );
    const base = put('skip', { 'a.png': null, 'b.png': null, 'labels.csv': 'file,labels\na.png,x\n' });
    expect((await openFolderDataset({ root: base, unlabelled: 'skip' })).ids).toEqual(['a']);
  });
});

test('parseCsv follows RFC 4180', () => {
  expect(parseCsv('a,"b ""c"", d"\r\n"line\nbreak",2\n\n')).toEqual([
    ['a', 'b "c", d'],
    ['line\nbreak', '2'],
  ]);
  expect(parseCsv('a\tb\n1\t2')).toEqual([
    ['a', 'b'],
    ['1', '2'],
  ]);
  expect(parseCsv('')).toEqual([]);
});

test('splits: from a column, and from folders named like splits', async () => {
  const csv = put('splits-csv', {
    'a.png': null,
    'b.png': null,
    'labels.csv': 'file,x,split\na.png,1,val\nb.png,0,\n',
  });
  const all = await openFolderDataset({ root: csv });
  expect([all.splits, all.splitOf('a'), all.splitOf('b')]).toEqual([['val'], 'val', '']);
  const folders = put('splits-folders', {
    'train/cat/1.png': null,
    'train/dog/2.png': null,
    'val/dog/3.png': null,
  });
  const both = await openFolderDataset({ root: folders });
  expect([both.classes, both.splits, both.ids]).toEqual([
    ['cat', 'dog'],
    ['train', 'val'],
    ['train__cat__1', 'train__dog__2', 'val__dog__3'],
  ]);
  expect(both.splitOf('val__dog__3')).toBe('val');
  const val = await openFolderDataset({ root: folders, split: 'val' });
  expect(val.classes).toEqual(['cat', 'dog']); // those of all splits: both have the same labels
  expect([val.ids, Array.from(val.imageLabels('dog__3'))]).toEqual([['dog__3'], [0, 1]]);
});

test('class names with spaces: with | between labels, or listed in classes.txt', async () => {
  const table = (rows: string) => `file,labels\n${rows}`;
  const bars = put('names-bars', {
    'a.png': null,
    'b.png': null,
    'labels.csv': table('a.png,potted plant|sofa bed\nb.png,potted plant\n'),
  });
  expect((await openFolderDataset({ root: bars })).classes).toEqual(['potted plant', 'sofa bed']);
  const listed = put('names-listed', {
    'a.png': null,
    'b.png': null,
    'classes.txt': 'potted plant\ncat\ndog\n',
    'labels.csv': table('a.png,potted plant\nb.png,cat dog\n'),
  });
  const dataset = await openFolderDataset({ root: listed });
  expect([...dataset.imageLabels('a'), ...dataset.imageLabels('b')]).toEqual([1, 0, 0, 0, 1, 1]);
});
