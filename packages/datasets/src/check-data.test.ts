import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readIndexedPng, writeGrayPng, writeIndexedPng, writeRgbPng } from '@auxseg/formats';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { checkData, type DataFindingCode, type DataReport } from './check-data.js';
import { repairMask } from './repair-mask.js';
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
    rmSync(image('gone'));
    copyFileSync(image('ok'), image('copy'));
    copyFileSync(mask('ok'), mask('copy'));
    writeFileSync(join(base, 'Annotations/copy.xml'), vocXml('cat'));
    const list = (name: string, ids: string[]): void =>
      writeFileSync(join(base, `ImageSets/Segmentation/${name}.txt`), ids.join('\n'));
    list('train', ['ok', 'cut', 'rgb', 'black', 'value', 'size', 'differs', 'nomask', 'gone', 'none']);
    list('val', ['copy', 'differs']);
    list('broken', ['a b c']);
    const report = await checkData({ root: base, workers: 0 });
    expect(report.ok).toBe(false);
    expect(codes(report)).toEqual([
      'duplicate-across-splits',
      'empty-class',
      'id-in-two-splits',
      'label-mask-disagreement',
      'mask-not-indexed',
      'mask-value',
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
    expect(finding(report, 'label-mask-disagreement')?.examples).toEqual(['differs: labels [12], mask [8]']);
    expect(finding(report, 'duplicate-across-splits')?.examples).toEqual(['ok (train) = copy (val)']);
    expect(finding(report, 'missing-image')?.examples[0]).toMatch(/gone\.jpg/);
    expect(finding(report, 'unlisted-image')?.count).toBe(2);
    for (const f of report.findings) expect(f.repair.length).toBeGreaterThan(15);
    const severities = report.findings.map((f) => f.severity);
    expect([...severities].sort()).toEqual(severities);

    list('small', ['rgb', 'ok']);
    const nested = await checkData({ root: base, workers: 0, splits: ['train', 'small'] });
    expect(finding(nested, 'id-in-two-splits')?.examples).toEqual(['all 2 of small are in train']);
    list('val', ['copy', 'nolabel']);
    rmSync(join(base, 'ImageSets/Segmentation/broken.txt'));
    expect(
      finding(await checkData({ root: base, workers: 0, splits: ['val'] }), 'missing-labels')?.examples,
    ).toEqual(['val: nolabel']);
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
    await expect(checkData({ root: join(root, 'nowhere') })).rejects.toThrow(/data folder at .*nowhere/);
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
