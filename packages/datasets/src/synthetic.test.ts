import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readGrayPng } from '@auxseg/formats';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createSyntheticDataset } from './create-synthetic-dataset.js';
import { openCocoDataset } from './open-coco-dataset.js';
import { openFolderDataset } from './open-folder-dataset.js';
import { openVocDataset } from './open-voc-dataset.js';
import { synthesizeDataset } from './synthesize-dataset.js';
import { digestDataset, writeDataset } from './write-dataset.js';

let root = '';
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'auxseg-synthetic-'));
});
afterAll(() => rmSync(root, { recursive: true }));

describe('createSyntheticDataset', () => {
  const dataset = createSyntheticDataset({ count: 60, seed: 4 });

  test('labels are the classes in the truth; parts lie on objects and are their smaller share', async () => {
    let objectPixels = 0;
    let partPixels = 0;
    let imagePixels = 0;
    let multiLabel = 0;
    const perClass = new Array(4).fill(0);
    for (const id of dataset.ids) {
      const truth = (await dataset.truth(id)).data;
      const parts = (await dataset.parts(id)).data;
      const present = [1, 2, 3, 4].map((v) => (truth.includes(v) ? 1 : 0));
      expect(Array.from(dataset.imageLabels(id))).toEqual(present);
      expect((await dataset.sample(id)).labels).toEqual(dataset.imageLabels(id));
      present.forEach((l, k) => {
        perClass[k] += l;
      });
      if (present.filter(Boolean).length > 1) multiLabel++;
      for (let p = 0; p < truth.length; p++) {
        if (truth[p] > 0) objectPixels++;
        if (parts[p]) {
          partPixels++;
          if (truth[p] === 0) throw new Error(`part outside an object in ${id}`);
        }
      }
      imagePixels += truth.length;
    }
    expect(partPixels / objectPixels).toBeGreaterThan(0.12);
    expect(partPixels / objectPixels).toBeLessThan(0.26);
    expect(objectPixels / imagePixels).toBeGreaterThan(0.12);
    expect(objectPixels / imagePixels).toBeLessThan(0.35);
    expect(multiLabel).toBeGreaterThan(12);
    for (const n of perClass) expect(n).toBeGreaterThan(10);
  });

  test('colour tells next to nothing about a body: its class cannot be guessed from the mean colour', async () => {
    // Nearest class mean over body colours, trained and tested on the same objects: a generous bound.
    const colors: { k: number; c: number[] }[] = [];
    for (const id of dataset.ids) {
      const { image } = await dataset.sample(id);
      const truth = (await dataset.truth(id)).data;
      const parts = (await dataset.parts(id)).data;
      for (let v = 1; v <= 4; v++) {
        const sum = [0, 0, 0, 0];
        for (let p = 0; p < truth.length; p++) {
          if (truth[p] !== v || parts[p]) continue;
          for (let c = 0; c < 3; c++) sum[c] += image.data[p * 3 + c];
          sum[3]++;
        }
        if (sum[3] > 0) colors.push({ k: v, c: sum.slice(0, 3).map((s) => s / sum[3]) });
      }
    }
    const means = [1, 2, 3, 4].map((v) => {
      const own = colors.filter((o) => o.k === v);
      return [0, 1, 2].map((c) => own.reduce((s, o) => s + o.c[c], 0) / own.length);
    });
    const distance = (a: number[], b: number[]): number => a.reduce((s, x, i) => s + (x - b[i]) ** 2, 0);
    const right = colors.filter(({ k, c }) =>
      means.every((m) => distance(c, means[k - 1]) <= distance(c, m)),
    ).length;
    expect(right / colors.length).toBeLessThan(0.5);
  });

  test('saliency is useful but neither exact nor free of false alarms', async () => {
    const { foreground } = dataset.saliencyThresholds;
    let [hit, found, real] = [0, 0, 0];
    for (const id of dataset.ids) {
      const truth = (await dataset.truth(id)).data;
      const { data } = await dataset.saliency(id);
      for (let p = 0; p < truth.length; p++) {
        const s = data[p] > foreground;
        const t = truth[p] > 0;
        if (s && t) hit++;
        if (s) found++;
        if (t) real++;
      }
    }
    expect(hit / found).toBeGreaterThan(0.65);
    expect(hit / found).toBeLessThan(0.9);
    expect(hit / real).toBeGreaterThan(0.65);
    expect(hit / real).toBeLessThan(0.92);
    const exact = createSyntheticDataset({ count: 1, seed: 4, saliencyNoise: 0 });
    const truth = (await exact.truth(exact.ids[0])).data;
    expect(Array.from((await exact.saliency(exact.ids[0])).data)).toEqual(
      Array.from(truth, (v) => (v > 0 ? 1 : 0)),
    );
  });

  test('the bytes are fixed: another machine, order or count draws the same images', async () => {
    const few = createSyntheticDataset({
      count: 3,
      size: { width: 64, height: 48 },
      seed: 1,
      borderPx: 1,
      classes: 6,
    });
    expect(await digestDataset(few)).toBe('e8e1e5b6930a34074af3a997ff7df3f8162f3a158e26c4ae73effc3aaf2c9d7d');
    const more = createSyntheticDataset({
      count: 9,
      size: { width: 64, height: 48 },
      seed: 1,
      borderPx: 1,
      classes: 6,
    });
    expect((await more.sample(more.ids[2])).image.data).toEqual((await few.sample(few.ids[2])).image.data);
    expect((await more.truth(more.ids[0])).data.includes(255)).toBe(true);
    const other = createSyntheticDataset({
      count: 3,
      size: { width: 64, height: 48 },
      seed: 1,
      split: 'val',
      borderPx: 1,
      classes: 6,
    });
    expect(await digestDataset(other)).not.toBe(await digestDataset(few));
  });

  test('options and ids are checked', () => {
    expect(() => createSyntheticDataset({ count: 0 })).toThrow(/count/);
    expect(() => createSyntheticDataset({ count: 1, classes: 9 })).toThrow(/classes.*2\.\.6.*came 9/);
    expect(() => createSyntheticDataset({ count: 1, size: 8 })).toThrow(/size/);
    expect(() => dataset.imageLabels('syn_train_00060')).toThrow(/syn_train_00000\.\.syn_train_00059/);
    expect(() => dataset.imageLabels('other')).toThrow(/came "other"/);
  });
});

describe('on disk', () => {
  test('VOC layout reads back as it was drawn', async () => {
    const out = join(root, 'voc');
    const result = await synthesizeDataset({
      out,
      counts: { train: 5, val: 2 },
      size: 40,
      seed: 2,
      borderPx: 1,
    });
    expect(result).toEqual({ images: 7, masks: 7, unlabelled: 0, labelsLost: 0, ignoredPixelsLost: 0 });
    const drawn = createSyntheticDataset({ count: 5, size: 40, seed: 2, borderPx: 1 });
    const read = await openVocDataset({ root: out, split: 'train' });
    expect(read.classes).toEqual(drawn.classes);
    expect(await digestDataset(read)).toBe(await digestDataset(drawn));
    const saliency = readGrayPng(readFileSync(join(out, 'saliency', `${drawn.ids[0]}.png`)));
    const wanted = (await drawn.saliency(drawn.ids[0])).data;
    expect(Array.from(saliency.data)).toEqual(Array.from(wanted, (v) => Math.round(v * 255)));
  });

  test('COCO layout reads back too, and converts to VOC', async () => {
    const out = join(root, 'coco');
    await synthesizeDataset({ out, counts: { train: 4 }, size: 40, seed: 2, layout: 'coco' });
    const drawn = createSyntheticDataset({ count: 4, size: 40, seed: 2 });
    const read = await openCocoDataset({
      annotations: join(out, 'annotations/instances_train.json'),
      images: join(out, 'train'),
    });
    expect(await digestDataset(read)).toBe(await digestDataset(drawn));
    const voc = join(root, 'voc-of-coco');
    await writeDataset({ splits: { train: read }, out: voc, layout: 'voc' });
    await read.close();
    expect(await digestDataset(await openVocDataset({ root: voc, split: 'train' }))).toBe(
      await digestDataset(drawn),
    );
    const border = await synthesizeDataset({
      out: join(root, 'ring'),
      counts: { train: 1 },
      size: 40,
      layout: 'coco',
      borderPx: 1,
    });
    expect(border.ignoredPixelsLost).toBeGreaterThan(0);
  });

  test('an own folder reads back too', async () => {
    const out = join(root, 'own');
    await synthesizeDataset({ out, counts: { train: 4, val: 2 }, size: 40, seed: 2, layout: 'folder' });
    for (const [split, count] of [
      ['train', 4],
      ['val', 2],
    ] as const) {
      const drawn = createSyntheticDataset({ count, size: 40, seed: 2, split });
      const read = await openFolderDataset({ root: out, split });
      expect(read.classes).toEqual(drawn.classes);
      expect(await digestDataset(read)).toBe(await digestDataset(drawn));
    }
    const set = createSyntheticDataset({ count: 2, size: 40 });
    await expect(
      writeDataset({ splits: { a: set, b: set }, out: join(root, 'twice'), layout: 'folder' }),
    ).rejects.toThrow(/without common images/);
  });

  test('a folder that cannot be written is an error with a remedy', async () => {
    writeFileSync(join(root, 'file'), '');
    await expect(
      synthesizeDataset({ out: join(root, 'file', 'below'), counts: { train: 1 }, size: 40 }),
    ).rejects.toMatchObject({ code: 'write-failed' });
    expect(existsSync(join(root, 'file', 'below'))).toBe(false);
  });
});
