import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
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
      ['train__cat__1', 'train__dog__1'],
    ]);
    expect(Array.from(train.imageLabels('train__dog__1'))).toEqual([0, 1]);
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
    await bad({ 'a.png': null, 'labels.csv': 'file,x\na.png,maybe\n' }, /line 2, column x reads "maybe"/);
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
  const fields = (text: string) => parseCsv(text, 'x.csv').map((row) => row.fields);
  expect(fields('a,"b ""c"", d"\r\n"line\nbreak",2\n\n5" bolt,3')).toEqual([
    ['a', 'b "c", d'],
    ['line\nbreak', '2'],
    ['5" bolt', '3'],
  ]);
  expect(fields('a\tb\n1\t2')).toEqual([
    ['a', 'b'],
    ['1', '2'],
  ]);
  expect(fields('')).toEqual([]);
  expect(parseCsv('a\r\n\r\n"b\r\n"\r\nc\rd', 'x.csv').map((row) => row.line)).toEqual([1, 3, 5, 6]);
  expect(() => parseCsv('a,b\n1,2\n"c,d\n3,4\n', 'x.csv')).toThrow(/quote.*x\.csv.*line 3/);
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
  expect([val.ids, Array.from(val.imageLabels('val__dog__3'))]).toEqual([['val__dog__3'], [0, 1]]);
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

const refused = async (folder: string, files: Record<string, string | null>, message: RegExp, more = {}) =>
  expect(openFolderDataset({ root: put(folder, files), ...more })).rejects.toThrow(message);

describe('splits', () => {
  test('a split is never the whole of data that name no splits, and a wrong name lists the right ones', async () => {
    const unsplit = {
      'a.png': null,
      'b.png': null,
      'labels.csv': 'file,labels\na.png,x\nb.png,y\n',
    };
    await refused(
      'no-splits',
      unsplit,
      /split "val" in .*labels\.csv, found no splits.*column "split".*"all"/,
      {
        split: 'val',
      },
    );
    expect((await openFolderDataset({ root: join(root, 'no-splits'), split: 'all' })).ids).toEqual([
      'a',
      'b',
    ]);
    await refused('no-splits-folders', { 'x/a.png': null }, /found no splits/, { split: 'train' });
    await refused('no-splits-json', { 'a.png': null, 'labels.json': '{"a": ["x"]}' }, /found no splits/, {
      split: 'train',
    });
    const split = { ...unsplit, 'labels.csv': 'file,labels,split\na.png,x,train\nb.png,y,test\n' };
    await refused('other-splits', split, /split "val" in .*found the splits train, test\./, { split: 'val' });
  });

  test('labels.json: images by any name, each in one split, none that is absent', async () => {
    const json = (splits: unknown) => ({
      'p0.png': null,
      'p1.png': null,
      'labels.json': JSON.stringify({ labels: { 'p0.png': ['a'], p1: ['b'] }, splits }),
    });
    const base = put('json-splits', json({ train: ['p0'], val: ['p1.png'] }));
    expect((await openFolderDataset({ root: base, split: 'train' })).ids).toEqual(['p0']);
    expect((await openFolderDataset({ root: base, split: 'val' })).ids).toEqual(['p1']);
    await refused('json-two', json({ train: ['p0', 'p1'], val: ['p1'] }), /p1\.png is in train and in val/);
    await refused('json-absent', json({ train: ['p0', 'p9'] }), /missing or ambiguous: p9/, {
      split: 'train',
    });
    await refused('json-text', json({ train: 'p0.png' }), /the split "train" is no list of images/);
    await refused(
      'json-classes',
      { 'labels.json': '{"classes": "a", "labels": {}}' },
      /"classes" is no list/,
    );
  });

  test('a row that is too short is refused, an empty split is none', async () => {
    const rows = (text: string) => ({
      'a.png': null,
      'b.png': null,
      'labels.csv': `file,labels,split\n${text}`,
    });
    await refused('short-row', rows('\na.png,x\nb.png,x,val\n'), /line 3 has 2 fields, the header 3/);
    const base = put('empty-split', rows('a.png,x,\nb.png,x,val\n'));
    const all = await openFolderDataset({ root: base });
    expect([all.ids, all.splitOf('a')]).toEqual([['a', 'b'], '']);
    expect((await openFolderDataset({ root: base, split: 'val' })).ids).toEqual(['b']);
  });

  test('class folders: names of splits, also beside other folders, and stray images', async () => {
    const base = put('training', { 'training/x/a.png': null, 'testing/y/a.png': null });
    const testing = await openFolderDataset({ root: base, split: 'testing' });
    expect([testing.classes, testing.splits, testing.ids]).toEqual([
      ['x', 'y'],
      ['testing', 'training'],
      ['testing__y__a'],
    ]);
    const maps = { 'train/x/a.png': null, 'val/x/b.png': null, 'maps/sal/a.png': null };
    await refused('beside', maps, /found both: the splits train, val beside maps\./);
    await refused(
      'stray',
      { 'x/a.png': null, 'b.png': null },
      /1 have none: b\.png\. Move them into the folder/,
    );
    // What holds no images is no class.
    const weights = put('weights', { 'train/x/a.png': null, 'weights/w.safetensors': 'w' });
    expect((await openFolderDataset({ root: weights })).classes).toEqual(['x']);
  });
});

describe('masks', () => {
  const png = writeIndexedPng({ width: 4, height: 3, data: new Uint8Array(12) });
  const putMask = (file: string): void => {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), png);
  };

  test('for some images only, in any case, and no PNG is an error when it is read', async () => {
    const base = put('some-masks', {
      'images/a.png': null,
      'images/b.png': null,
      'images/c.png': null,
      'masks/c.jpg': 'no mask',
      'masks/z.png': null,
      'labels.csv': 'file,labels,split\na.png,x,train\nb.png,x,val\nc.png,x,train\n',
    });
    putMask('some-masks/masks/a.PNG');
    const train = await openFolderDataset({ root: base, split: 'train' });
    expect(train.ids.map(train.hasTruth)).toEqual([true, true]);
    expect((await train.truth?.('a'))?.width).toBe(4);
    await expect(train.truth?.('c')).rejects.toThrow(/masks\/c\.jpg.*no PNG/);
    expect(train.masksWithoutImage).toEqual([join(base, 'masks/z.png')]);
    const val = await openFolderDataset({ root: base, split: 'val' });
    expect([val.truth, val.hasTruth('b')]).toEqual([undefined, false]);
    expect(val.maskFile('b')).toBe(join(base, 'masks/b.png'));
  });

  test('class folders: ids and masks are the same whichever split is opened, and no mask serves two images', async () => {
    const base = put('split-masks', { 'train/x/a.png': null, 'val/x/a.png': null, 'val/x/b.png': null });
    putMask('split-masks/masks/train/x/a.png');
    putMask('split-masks/masks/val__x__a.png');
    putMask('split-masks/masks/x/b.png');
    const all = await openFolderDataset({ root: base });
    const val = await openFolderDataset({ root: base, split: 'val' });
    expect(val.ids).toEqual(all.ids.slice(1));
    expect(() => val.imageLabels(all.ids[0])).toThrow(/one of the 2 ids .* came "train__x__a"/);
    expect(all.ids.map(all.maskFile)).toEqual(
      ['train/x/a.png', 'val__x__a.png', 'x/b.png'].map((name) => join(base, 'masks', name)),
    );
    expect(all.masksWithoutImage).toEqual([]);
    putMask('split-masks/masks/x/a.png');
    await expect(openFolderDataset({ root: base, split: 'val' })).rejects.toThrow(
      /masks\/x\/a\.png to belong to one image, it fits train\/x\/a\.png and val\/x\/a\.png\. Move it to/,
    );
  });
});

describe('names of images', () => {
  test('an exact path before a namesake, paths from the root, absolute ones', async () => {
    const base = put('paths', {
      'images/a.png': null,
      'images/sub/a.png': null,
      'images/b.png': null,
      'images/sub/c.png': null,
    });
    const rows = ['a.png,x', 'sub/a,y', '.\\images\\b.png,x', `${join(base, 'images/sub/c.png')},y`];
    writeFileSync(join(base, 'labels.csv'), `file,labels\n${rows.join('\n')}\n`);
    const dataset = await openFolderDataset({ root: base });
    expect(dataset.ids).toEqual(['a', 'sub__a', 'b', 'sub__c']);
    expect(Array.from(dataset.imageLabels('sub__a'))).toEqual([0, 1]);
  });

  test('composed and decomposed accents are the same name', async () => {
    const [composed, decomposed] = ['\u00e9', 'e\u0301'];
    const base = put('accents', {
      [`images/${decomposed}.png`]: null,
      [`masks/${composed}.png`]: null,
      'labels.csv': `file,labels\n${composed}.png,${decomposed}\n`,
    });
    const dataset = await openFolderDataset({ root: base, classes: [composed] });
    expect([dataset.ids, dataset.hasTruth(decomposed)]).toEqual([[decomposed], true]); // the name on disk
  });

  test('links to images and to folders are followed, but not in a circle', async () => {
    put('store', { 'a.png': null, 'b.png': null });
    const base = put('links', { 'x/c.png': null });
    symlinkSync(join(root, 'store'), join(base, 'y'));
    symlinkSync(join(root, 'store/a.png'), join(base, 'x/a.png'));
    symlinkSync(base, join(base, 'x/again'));
    expect((await openFolderDataset({ root: base })).ids).toEqual(['x__a', 'x__c', 'y__a', 'y__b']);
  });

  test('two names of one image and two images of one id are both told', async () => {
    const rows = (text: string) => ({ 'a/b.png': null, 'labels.csv': `file,labels\n${text}` });
    await refused('twice', rows('b.png,x\na/b,x\n'), /"b\.png" \(a\/b\.png\) and "a\/b" \(a\/b\.png\)/);
    await refused(
      'one-id',
      { ...rows('a/b.png,x\na__b.png,x\n'), 'a__b.png': null },
      /"a\/b\.png" .* and "a__b\.png" .* have the id a__b/,
    );
    const json = '{"labels": {"a\\"}.png": ["x"], "b": ["x"], "b": ["y"]}, "classes": ["b", "b:"]}';
    await refused('json-twice', { 'labels.json': json }, /labels\.json: "b" stands there twice/);
    await refused(
      'either',
      { 'a.png': null, 'a.jpg': null, 'labels.csv': 'file,labels\na,x\n' },
      /ambiguous: a \(a\.jpg or a\.png\)/,
    );
  });
});

describe('names of classes', () => {
  const table = (rows: string) => ({ 'a.png': null, 'b.png': null, 'labels.csv': `file,labels\n${rows}` });

  test('commas within names: where | separates, or in a listed name', async () => {
    const bars = put('comma-bars', table('a.png,"nuts, bolts|rust"\nb.png,"nuts, bolts"\n'));
    expect((await openFolderDataset({ root: bars })).classes).toEqual(['nuts, bolts', 'rust']);
    const listed = put('comma-listed', {
      ...table('a.png,"nuts, bolts"\nb.png,rust\n'),
      'classes.txt': 'nuts, bolts\nrust\n',
    });
    expect(Array.from((await openFolderDataset({ root: listed })).imageLabels('a'))).toEqual([1, 0]);
    const commas = put('comma-lists', table('a.png,"nuts, bolts"\nb.png,nuts\n'));
    expect((await openFolderDataset({ root: commas })).classes).toEqual(['bolts', 'nuts']);
  });

  test('background is no class wherever it is named', async () => {
    const bases = [
      put('background-names', table('a.png,background\nb.png,x\n')),
      put('background-column', { ...table(''), 'labels.csv': 'file,background,x\na.png,1,0\nb.png,0,1\n' }),
      put('background-json', {
        'a.png': null,
        'labels.json': '{"labels": {"a": ["background", "x"]}, "classes": ["background", "x"]}',
      }),
      put('background-folder', { 'background/a.png': null, 'x/b.png': null }),
    ];
    for (const base of bases) expect((await openFolderDataset({ root: base })).classes).toEqual(['x']);
    expect(Array.from((await openFolderDataset({ root: bases[0] })).imageLabels('a'))).toEqual([0]);
  });

  test('one name for two classes is refused', async () => {
    const columns = { ...table(''), 'labels.csv': 'file,rust,rust\na.png,1,0\nb.png,0,1\n' };
    await refused('twin-columns', columns, /each class once in .*labels\.csv, "rust" stands there twice/);
    await refused(
      'twin-list',
      { ...table('a.png,x\nb.png,x\n'), 'classes.txt': 'x\ny\nx\n' },
      /"x" stands there twice/,
    );
  });

  test('labels in UTF-8 or UTF-16, with or without a mark; other bytes are refused', async () => {
    const base = put('encodings', { 'a.png': null });
    const write = (name: string, text: string, encoding: BufferEncoding): void =>
      writeFileSync(join(base, name), Buffer.from(text, encoding));
    write('labels.json', '\uFEFF{"a": ["Größe"]}', 'utf8');
    expect((await openFolderDataset({ root: base })).classes).toEqual(['Größe']);
    write('labels.csv', '\uFEFFfile\tlabels\r\na.png\tGröße\r\n', 'utf16le');
    expect((await openFolderDataset({ root: base })).classes).toEqual(['Größe']);
    write('labels.csv', 'file,labels\na.png,Größe\n', 'latin1');
    await expect(openFolderDataset({ root: base })).rejects.toThrow(
      /Expected UTF-8 text in .*labels\.csv.*Save it as UTF-8/,
    );
  });
});
