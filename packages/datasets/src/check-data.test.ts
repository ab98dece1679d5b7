import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readIndexedPng, writeGrayPng, writeIndexedPng, writeRgbPng } from '@auxseg/formats';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { checkData, type DataFindingCode, type DataReport } from './check-data.js';
import { parsePalette } from './parse-palette.js';
import { repairMask } from './repair-mask.js';
import { repairMasks } from './repair-masks.js';
import { synthesizeDataset } from './synthesize-dataset.js';
import { vocXml, writeVocFolder } from './voc-folder.test.helper.js';

let root = '';
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'auxseg-check-'));
});
afterAll(() => rmSync(root, { recursive: true }));

const codes = (report: DataReport): DataFindingCode[] => report.findings.map((f) => f.code).sort();
const finding = (report: DataReport, code: DataFindingCode): DataReport['findings'][number] | undefined =>
  report.findings.find((f) => f.code === code);

describe('checkData', () => {
  test('a clean folder has no findings, and its numbers', async () => {
    const out = join(root, 'clean');
    await synthesizeDataset({ out, counts: { train: 12, val: 12 }, size: 40, classes: 2 });
    const seen: number[] = [];
    const report = await checkData({
      root: out,
      workers: 0,
      onProgress: (done, total) => seen.push(done / total),
    });
    expect(report).toMatchObject({
      layout: 'voc',
      ok: true,
      findings: [],
      classes: ['stripes', 'checks'],
      splits: { train: 12, val: 12 },
      imagesRead: 24,
    });
    expect(seen).toHaveLength(24);
    expect(seen[23]).toBe(1);
    const total = report.classFrequency['train'].map((n, k) => n + report.classFrequency['val'][k]);
    expect(report.coOccurrence.map((row, k) => row[k])).toEqual(total);
    expect(report.coOccurrence[0][1]).toBe(report.coOccurrence[1][0]);
    expect(await checkData({ root: out, workers: 2 })).toEqual(report);
  });

  test('every fault of a VOC folder is found, named and told how to repair', async () => {
    const base = join(root, 'faults');
    const sample = (
      id: string,
      values: number[],
    ): { id: string; width: number; height: number; values: number[] } => ({
      id,
      width: 12,
      height: 9,
      values,
    });
    await writeVocFolder(
      base,
      [
        'ok',
        'cut',
        'rgb',
        'black',
        'value',
        'size',
        'differs',
        'nomask',
        'nolabel',
        'gone',
        'none',
        'extra',
      ].map((id) => sample(id, [0, 8])),
    );
    for (const id of ['ok', 'cut', 'rgb', 'black', 'value', 'size', 'nomask', 'gone'])
      writeFileSync(join(base, `Annotations/${id}.xml`), vocXml('cat'));
    writeFileSync(join(base, 'Annotations/differs.xml'), vocXml('dog'));
    writeFileSync(join(base, 'Annotations/none.xml'), vocXml());
    const image = (id: string): string => join(base, `JPEGImages/${id}.jpg`);
    const mask = (id: string): string => join(base, `SegmentationClass/${id}.png`);
    writeFileSync(image('cut'), readFileSync(image('cut')).subarray(0, 300));
    writeFileSync(mask('rgb'), writeRgbPng({ width: 12, height: 9, data: new Uint8Array(324) }));
    writeFileSync(mask('black'), writeGrayPng({ width: 12, height: 9, data: new Uint8Array(108).fill(8) }));
    writeFileSync(
      mask('value'),
      writeIndexedPng({ width: 12, height: 9, data: new Uint8Array(108).fill(77) }),
    );
    writeFileSync(mask('size'), writeIndexedPng({ width: 9, height: 12, data: new Uint8Array(108).fill(8) }));
    writeFileSync(mask('none'), writeIndexedPng({ width: 12, height: 9, data: new Uint8Array(108) }));
    rmSync(mask('nomask'));
    rmSync(image('gone')); // its mask stays behind
    copyFileSync(image('ok'), image('copy'));
    copyFileSync(mask('ok'), mask('copy'));
    writeFileSync(join(base, 'Annotations/copy.xml'), vocXml('cat'));
    const list = (name: string, ids: string[]): void =>
      writeFileSync(join(base, `ImageSets/Segmentation/${name}.txt`), ids.join('\n'));
    list('train', ['ok', 'cut', 'rgb', 'black', 'value', 'size', 'differs', 'nomask', 'gone', 'none']);
    list('val', ['copy', 'differs']);
    list('broken', ['ok', 'ok']);
    const report = await checkData({ root: base, workers: 0 });
    expect(report.ok).toBe(false);
    expect(codes(report)).toEqual([
      'duplicate-across-splits',
      'empty-class',
      'id-in-two-splits',
      'label-mask-disagreement',
      'mask-not-indexed',
      'mask-value',
      'mask-without-image',
      'mask-without-palette',
      'missing-image',
      'missing-mask',
      'size-mismatch',
      'unlabelled-image',
      'unlisted-image',
      'unreadable-image',
      'unusable-list',
    ]);
    expect(finding(report, 'unreadable-image')?.examples[0]).toMatch(/cut\.jpg.*truncated/);
    expect(finding(report, 'mask-value')?.examples[0]).toMatch(/value\.png: 77/);
    expect(finding(report, 'label-mask-disagreement')?.examples).toEqual([
      'differs: labels [dog], mask [cat]',
    ]);
    expect(finding(report, 'duplicate-across-splits')?.examples).toEqual(['ok (train) = copy (val)']);
    expect(finding(report, 'missing-image')?.examples[0]).toMatch(/gone\.jpg/);
    expect(finding(report, 'unlisted-image')?.count).toBe(2);
    expect(finding(report, 'mask-without-image')?.examples).toEqual([mask('gone')]);
    expect(finding(report, 'mask-not-indexed')?.repair).toContain(
      `auxseg data convert ${base} --repair-masks`,
    );
    // Only readable masks with values of the classes count: cat against background, 255 left out.
    expect(report.pixelFrequency.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
    expect(report.pixelFrequency[8]).toBeGreaterThan(0.5);
    expect(report.pixelFrequency).toHaveLength(21);
    for (const f of report.findings) expect(f.repair.length).toBeGreaterThan(15);
    const severities = report.findings.map((f) => f.severity);
    expect([...severities].sort()).toEqual(severities);

    list('small', ['rgb', 'ok']);
    const nested = await checkData({ root: base, workers: 0, splits: ['train', 'small'] });
    expect(finding(nested, 'id-in-two-splits')?.examples).toEqual(['all 2 of small are in train']);
    list('val', ['copy', 'nolabel']);
    rmSync(join(base, 'ImageSets/Segmentation/broken.txt'));
    const val = await checkData({ root: base, workers: 0, splits: ['val'] });
    expect(finding(val, 'missing-labels')?.examples).toEqual(['val: nolabel']);
    // One id without labels does not hide those of the others.
    expect(val.splits).toEqual({ val: 2 });
    expect(val.classFrequency['val'][7]).toBe(1);
  });

  test('COCO and own folders', async () => {
    const coco = join(root, 'coco');
    await synthesizeDataset({ out: coco, counts: { train: 6 }, size: 40, classes: 2, layout: 'coco' });
    expect(await checkData({ root: coco, workers: 0 })).toMatchObject({
      layout: 'coco',
      ok: true,
      splits: { train: 6 },
    });
    rmSync(join(coco, 'train/syn_train_00003.png'));
    const report = await checkData({ root: coco, workers: 0 });
    expect(finding(report, 'missing-image')?.examples[0]).toMatch(/syn_train_00003\.png/);
    expect(report.splits).toEqual({ train: 5 });

    const own = join(root, 'own');
    mkdirSync(join(own, 'masks'), { recursive: true });
    for (const [i, id] of ['a', 'b', 'c'].entries())
      writeFileSync(
        join(own, `${id}.png`),
        writeRgbPng({ width: 4, height: 4, data: new Uint8Array(48).fill(i) }),
      );
    writeFileSync(join(own, 'labels.csv'), 'file,labels\na.png,x\nb.png,y\nd.png,x\n');
    writeFileSync(
      join(own, 'masks/a.png'),
      writeIndexedPng({ width: 4, height: 4, data: new Uint8Array(16).fill(2) }),
    );
    const folder = await checkData({ root: own, workers: 0 });
    expect(folder.layout).toBe('folder');
    expect(codes(folder)).toEqual([
      'label-mask-disagreement',
      'missing-image',
      'missing-labels',
      'missing-mask',
    ]);
    // Splits of one's own labels are compared as lists are.
    writeFileSync(
      join(own, 'labels.csv'),
      'file,labels,split\na.png,x,train\nb.png,y,val\nc.png,x,\ne.png,x|y,val\n',
    );
    copyFileSync(join(own, 'a.png'), join(own, 'e.png'));
    writeFileSync(
      join(own, 'masks/z.png'),
      writeIndexedPng({ width: 4, height: 4, data: new Uint8Array(16) }),
    );
    const withSplits = await checkData({ root: own, workers: 0 });
    expect(withSplits.splits).toEqual({ train: 1, val: 2 });
    expect(withSplits.classFrequency).toEqual({ train: [1, 0], val: [1, 2] });
    expect(finding(withSplits, 'duplicate-across-splits')?.examples).toEqual(['a (train) = e (val)']);
    expect(finding(withSplits, 'unlisted-image')?.examples).toEqual([join(own, 'c.png')]);
    expect(finding(withSplits, 'mask-without-image')?.examples).toEqual([join(own, 'masks/z.png')]);
    await expect(checkData({ root: join(root, 'nowhere') })).rejects.toThrow(/data folder at .*nowhere/);
  });

  test('an own folder without splits is one set; missing splits, stray images and masks of other formats are told', async () => {
    const own = join(root, 'own-unsplit');
    mkdirSync(join(own, 'x'), { recursive: true });
    mkdirSync(join(own, 'masks/x'), { recursive: true });
    const photo = (i: number) => writeRgbPng({ width: 4, height: 4, data: new Uint8Array(48).fill(i) });
    for (const [i, file] of ['x/a.png', 'x/b.png', 'stray.png'].entries())
      writeFileSync(join(own, file), photo(i));
    writeFileSync(join(own, 'masks/x/a.jpg'), Uint8Array.of(0xff, 0xd8, 0xff));
    const report = await checkData({ root: own, workers: 0 });
    expect(report.splits).toEqual({ all: 2 });
    expect(finding(report, 'missing-labels')?.examples).toEqual([join(own, 'stray.png')]);
    expect(finding(report, 'unreadable-mask')?.examples[0]).toMatch(/x\/a\.jpg: it is a JPEG/);
    expect(finding(report, 'missing-mask')?.examples).toEqual([join(own, 'masks/x/b.png')]);
    expect((await checkData({ root: own, workers: 0, splits: ['all'] })).splits).toEqual({ all: 2 });
    const val = await checkData({ root: own, workers: 0, splits: ['val'] });
    expect(finding(val, 'missing-split')?.examples[0]).toMatch(/split "val" in .*found no splits/);
  });
});

describe('checkData: what was once passed over', () => {
  const options = { workers: 0 };

  test('a split that is not there, or no image read, is an error', async () => {
    const coco = join(root, 'coco-splits');
    await synthesizeDataset({ out: coco, counts: { train: 2 }, size: 40, classes: 2, layout: 'coco' });
    const report = await checkData({ root: coco, ...options, splits: ['nope'] });
    expect(report).toMatchObject({ ok: false, imagesRead: 0 });
    expect(finding(report, 'missing-split')?.examples[0]).toMatch(
      /instances_nope\.json.*splits there are: train/,
    );
    const voc = join(root, 'voc-splits');
    await writeVocFolder(voc, [{ id: 'a', width: 4, height: 4, values: [8] }]);
    writeFileSync(join(voc, 'Annotations/a.xml'), vocXml('cat'));
    const missing = await checkData({ root: voc, ...options, splits: ['nope', 'train'] });
    expect(finding(missing, 'missing-split')?.examples[0]).toMatch(/nope\.txt, found none/);
    // Missing images of any name leave the others checked.
    writeFileSync(join(voc, 'ImageSets/Segmentation/train.txt'), 'a\nJPEGImages/b.gif\n');
    const rest = await checkData({ root: voc, ...options });
    expect(finding(rest, 'missing-image')?.examples).toEqual([join(voc, 'JPEGImages/b.gif')]);
    expect(rest.splits).toEqual({ train: 1 });
    rmSync(join(voc, 'ImageSets/Segmentation/train.txt'));
    expect(codes(await checkData({ root: voc, ...options }))).toEqual(['missing-split', 'unlisted-image']);
  });

  test('each mask that a list names is read, whichever list comes last', async () => {
    const voc = join(root, 'two-folders');
    await writeVocFolder(voc, [{ id: 'a', width: 4, height: 4, values: [0, 8] }]);
    writeFileSync(join(voc, 'Annotations/a.xml'), vocXml('cat'));
    mkdirSync(join(voc, 'SegmentationClassAug'));
    copyFileSync(join(voc, 'SegmentationClass/a.png'), join(voc, 'SegmentationClassAug/a.png'));
    writeFileSync(
      join(voc, 'SegmentationClass/a.png'),
      writeIndexedPng({ width: 4, height: 4, data: new Uint8Array(16).fill(77) }),
    );
    const lists = join(voc, 'ImageSets/Segmentation');
    writeFileSync(join(lists, 'train.txt'), '/JPEGImages/a.jpg /SegmentationClass/a.png\n');
    writeFileSync(join(lists, 'train_aug.txt'), '/JPEGImages/a.jpg /SegmentationClassAug/a.png\n');
    const report = await checkData({ root: voc, ...options });
    expect(report.imagesRead).toBe(1);
    expect(finding(report, 'mask-value')?.examples).toEqual([`${join(voc, 'SegmentationClass/a.png')}: 77`]);
  });

  test('what is there and cannot be read is not called absent', async () => {
    const voc = join(root, 'unreadable');
    await writeVocFolder(
      voc,
      ['a', 'b', 'c'].map((id) => ({ id, width: 4, height: 4, values: [8] })),
    );
    for (const id of ['a', 'b', 'c']) writeFileSync(join(voc, `Annotations/${id}.xml`), vocXml('cat'));
    // Folders in the place of files cannot be read either, and unlike permissions they stop root too.
    for (const file of ['JPEGImages/a.jpg', 'SegmentationClass/b.png']) {
      rmSync(join(voc, file));
      mkdirSync(join(voc, file));
    }
    const report = await checkData({ root: voc, ...options });
    const places = finding(report, 'unreadable-file')?.examples;
    expect(places).toHaveLength(2);
    for (const place of places ?? []) expect(place).toMatch(/[ab]\.(jpg|png), which cannot be read: EISDIR/);
    mkdirSync(join(voc, 'ImageSets/Segmentation/val.txt'));
    const lists = await checkData({ root: voc, ...options, splits: ['val'] });
    expect(codes(lists)).toEqual(['unreadable-file']);
  });

  test('labels from masks: a mask in colour is told as such, the others still count', async () => {
    const voc = join(root, 'mask-labels');
    const size = { width: 4, height: 4 };
    await writeVocFolder(
      voc,
      ['a', 'b'].map((id) => ({ id, ...size, values: [0, 8] })),
    );
    rmSync(join(voc, 'Annotations'), { recursive: true });
    const file = join(voc, 'SegmentationClass/b.png');
    writeFileSync(file, writeRgbPng({ ...size, data: new Uint8Array(48) }));
    const report = await checkData({ root: voc, ...options });
    expect(codes(report)).toEqual(['empty-class', 'mask-not-indexed']);
    expect(report.splits).toEqual({ train: 2 });
    expect(report.classFrequency['train'][7]).toBe(1);
  });

  test('COCO: labels without a mask, stray and unusable annotations leave the rest checked', async () => {
    const coco = join(root, 'coco-faults');
    await synthesizeDataset({ out: coco, counts: { train: 4 }, size: 40, classes: 2, layout: 'coco' });
    const file = join(coco, 'annotations/instances_train.json');
    const json = JSON.parse(readFileSync(file, 'utf8'));
    const name: string[] = json.images.map((i: { file_name: string }) => i.file_name.replace('.png', ''));
    const region = (image: number, segmentation: unknown) => ({
      id: 900 + image,
      image_id: json.images[image].id,
      category_id: json.categories[0].id,
      segmentation,
    });
    json.annotations = [
      region(0, []),
      region(1, [[1, 1, 2, 2]]), // no pixel
      region(2, { size: [40, 40], counts: [50, 50] }),
      region(3, { size: [40, 40], counts: [0, 1600] }),
      { ...region(3, []), image_id: 12345 },
    ];
    writeFileSync(file, JSON.stringify(json));
    const report = await checkData({ root: coco, ...options });
    expect(report.imagesRead).toBe(4);
    expect(finding(report, 'missing-mask')?.examples[0]).toMatch(`${name[0]}.png: it has regions without`);
    expect(finding(report, 'label-mask-disagreement')?.examples).toEqual([
      `${name[1]}: labels [stripes], mask []`,
    ]);
    expect(finding(report, 'unusable-annotation')?.examples).toEqual([
      expect.stringMatching(/image 12345, which is not listed/),
      expect.stringMatching(`annotation 902 of ${name[2]}\\.png.*got 100`),
    ]);
    expect(finding(report, 'unusable-annotation')?.repair).not.toMatch(/captions/);
  });

  test('many labels are cut; a signal ends the check', async () => {
    const own = join(root, 'many');
    mkdirSync(join(own, 'masks'), { recursive: true });
    writeFileSync(join(own, 'a.png'), writeRgbPng({ width: 2, height: 2, data: new Uint8Array(12) }));
    const mask = writeIndexedPng({ width: 2, height: 2, data: new Uint8Array(4) });
    writeFileSync(join(own, 'masks/a.png'), mask);
    const names = Array.from({ length: 20 }, (_, i) => `c${i + 10}`);
    writeFileSync(join(own, 'labels.csv'), `file,labels\na.png,${names.join('|')}\n`);
    const report = await checkData({ root: own, ...options });
    expect(finding(report, 'label-mask-disagreement')?.examples).toEqual([
      `a: labels [${names.slice(0, 8).join(', ')} and 12 more], mask []`,
    ]);
    const signal = AbortSignal.abort(new Error('Stopped'));
    await expect(checkData({ root: own, ...options, signal })).rejects.toThrow('Stopped');
    for (const workers of [Number.NaN, -1])
      await expect(checkData({ root: own, workers })).rejects.toThrow(/workers to be an integer >= 0/);
  });
});

test('repairMask looks colours up in the palette and names a colour that is none', () => {
  const labels = Uint8Array.from([0, 1, 20, 255, 15, 8]);
  const indexed = writeIndexedPng({ width: 3, height: 2, data: labels });
  const palette = readIndexedPng(indexed).palette as Uint8Array;
  const rgb = new Uint8Array(18);
  for (const [p, l] of labels.entries()) rgb.set(palette.subarray(l * 3, l * 3 + 3), p * 3);
  expect(Array.from(repairMask(writeRgbPng({ width: 3, height: 2, data: rgb }), 'm.png').data)).toEqual(
    Array.from(labels),
  );
  expect(Array.from(repairMask(indexed, 'm.png').data)).toEqual(Array.from(labels));
  rgb[0] = 3;
  expect(() => repairMask(writeRgbPng({ width: 3, height: 2, data: rgb }), 'm.png')).toThrow(
    /rgb\(3, 0, 0\) at pixel \(0, 0\)/,
  );
});

test('repairMask: indices in all channels, grey with alpha, 16 bits', async () => {
  const indices = [0, 3, 20, 255, 15, 8];
  const size = { width: 3, height: 2 };
  // What cv2.imwrite makes of a label array repeated over three or four channels.
  for (const channels of [3, 4] as const) {
    const data = Uint8Array.from({ length: 6 * channels }, (_, i) =>
      channels === 4 && i % 4 === 3 ? 255 : indices[Math.floor(i / channels)],
    );
    const png = await sharp(data, { raw: { ...size, channels } })
      .png()
      .toBuffer();
    expect(Array.from(repairMask(png, 'm.png').data)).toEqual(indices);
  }
  const withAlpha = await sharp(Uint8Array.from(indices.flatMap((v) => [v, 128])), {
    raw: { ...size, channels: 2 },
  })
    .png()
    .toBuffer();
  expect(Array.from(repairMask(withAlpha, 'm.png').data)).toEqual(indices);
  const deep = (values: number[]) =>
    sharp(Uint16Array.from(values), { raw: { ...size, channels: 1 } })
      .toColourspace('grey16')
      .png()
      .toBuffer();
  expect(Array.from(repairMask(await deep(indices), 'm.png').data)).toEqual(indices);
  expect(() => repairMask(new Uint8Array(3), 'm.png')).toThrow(/m\.png/);
  const instances = await deep([0, 1001, 2, 3, 4, 5]);
  expect(() => repairMask(instances, 'm.png')).toThrow(/found 1001 at pixel \(1, 0\).*class mask/s);
});

test('repairMasks writes what can be repaired, copies what is right, and lists the rest', async () => {
  const own = join(root, 'repair');
  const out = join(root, 'repaired');
  mkdirSync(join(own, 'masks/sub'), { recursive: true });
  const paint = (...colors: number[][]) =>
    writeRgbPng({ width: colors.length, height: 1, data: Uint8Array.from(colors.flat()) });
  const palette = writeIndexedPng({ width: 2, height: 1, data: Uint8Array.of(0, 2) });
  writeFileSync(join(own, 'masks/a.png'), paint([10, 10, 10], [250, 0, 0], [224, 224, 192], [0, 0, 250]));
  writeFileSync(join(own, 'masks/sub/b.png'), palette);
  writeFileSync(join(own, 'masks/c.png'), writeGrayPng({ width: 2, height: 1, data: Uint8Array.of(0, 1) }));
  writeFileSync(join(own, 'masks/d.png'), paint([10, 10, 10], [128, 5, 5]));
  writeFileSync(join(own, 'masks/e.png'), palette.subarray(0, 60));
  const colors = parsePalette(
    '# label:color_rgb:parts:actions\nbackground:10,10,10::\nrust 250 0 0\n#0000fa\n',
    'p',
  );
  const result = await repairMasks({ root: own, out, palette: colors });
  expect(result).toMatchObject({ masks: 5, repaired: 2, unchanged: 1 });
  expect(result.failed.map(({ file }) => file)).toEqual([join(own, 'masks/d.png'), join(own, 'masks/e.png')]);
  expect(result.failed[0].reason).toMatch(/rgb\(128, 5, 5\) at pixel \(1, 0\)/);
  const a = readIndexedPng(readFileSync(join(out, 'masks/a.png')));
  expect(Array.from(a.data)).toEqual([0, 1, 255, 2]);
  expect(a.palette).toHaveLength(768);
  expect(readFileSync(join(out, 'masks/sub/b.png')).equals(palette)).toBe(true);
  expect(readIndexedPng(readFileSync(join(out, 'masks/c.png'))).palette).toHaveLength(768);
  expect(existsSync(join(out, 'masks/d.png'))).toBe(false);
  // In place, from a plain folder of masks.
  rmSync(join(own, 'masks/d.png'));
  rmSync(join(own, 'masks/e.png'));
  const masks = join(own, 'masks');
  expect(await repairMasks({ root: masks, out: masks, palette: colors })).toMatchObject({
    repaired: 2,
    failed: [],
  });
  expect(await repairMasks({ root: masks, out: masks })).toMatchObject({ repaired: 0, unchanged: 3 });
  await expect(repairMasks({ root: join(root, 'nowhere'), out })).rejects.toMatchObject({
    code: 'missing-file',
  });
  // A link to itself is there and cannot be read, by root neither.
  const looped = join(root, 'looped');
  mkdirSync(looped);
  symlinkSync('masks', join(looped, 'masks'));
  await expect(repairMasks({ root: looped, out })).rejects.toThrow(/masks, which cannot be read: ELOOP/);
  expect(() => parsePalette('background', 'p')).toThrow(/line 1 of p.*"background"/);
  expect(() => parsePalette('0 0 300', 'p')).toThrow(/line 1/);
  expect(() => parsePalette('\n', 'p')).toThrow(/found 0/);
});
