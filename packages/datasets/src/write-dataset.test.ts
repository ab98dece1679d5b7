import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createSyntheticDataset } from './create-synthetic-dataset.js';
import { locateCocoSplit } from './locate-coco-split.js';
import { openCocoDataset } from './open-coco-dataset.js';
import { openFolderDataset } from './open-folder-dataset.js';
import { openVocDataset } from './open-voc-dataset.js';
import type { Dataset } from './types.js';
import { writeDataset } from './write-dataset.js';

const root = mkdtempSync(join(tmpdir(), 'auxseg-write-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const drawn = createSyntheticDataset({ count: 3, size: 32 });
const [first, second, third] = drawn.ids;
/** Masks for the first and third image only. */
const partial: Dataset = {
  ...drawn,
  hasTruth: (id) => id !== second,
  truth: (id) => (id === second ? Promise.reject(new Error('no mask')) : drawn.truth(id)),
};

describe('masks of some images', () => {
  test.each(['voc', 'folder'] as const)('%s: those are written, and all labels', async (layout) => {
    const out = join(root, `partial-${layout}`);
    const result = await writeDataset({ splits: { train: partial }, out, layout });
    expect(result).toMatchObject({ images: 3, masks: 2, labelsLost: 0 });
    const folder = layout === 'voc' ? 'SegmentationClass' : 'masks';
    expect(readdirSync(join(out, folder)).sort()).toEqual([`${first}.png`, `${third}.png`]);
    const open = layout === 'voc' ? openVocDataset : openFolderDataset;
    const read = await open({ root: out, split: 'train' });
    for (const id of drawn.ids) expect(read.imageLabels(id)).toEqual(drawn.imageLabels(id));
  });

  test('coco: an image without a mask has no region, and its lost labels are counted', async () => {
    const out = join(root, 'partial-coco');
    const result = await writeDataset({ splits: { train: partial }, out, layout: 'coco' });
    const labelsLost = drawn.imageLabels(second).reduce((a, b) => a + b, 0);
    expect(result).toMatchObject({ images: 3, masks: 2, unlabelled: 1, labelsLost });
    const place = { annotations: join(out, 'annotations/instances_train.json'), images: join(out, 'train') };
    expect((await openCocoDataset(place)).ids).toEqual([first, third]);
    expect((await openCocoDataset({ ...place, include: 'all' })).ids).toEqual(drawn.ids);
  });

  test('coco without any mask would lose every label: refused before anything is written', async () => {
    const out = join(root, 'no-masks');
    const none = { ...drawn, hasTruth: () => false };
    await expect(writeDataset({ splits: { train: none }, out, layout: 'coco' })).rejects.toThrow(
      /Expected masks for COCO layout.*'voc' or 'folder'/,
    );
    expect(() => readdirSync(out)).toThrow(/ENOENT/);
  });
});

describe('images of one name in two splits', () => {
  const coco = join(root, 'same-names');
  const open = async (split: string) => openCocoDataset(await locateCocoSplit(coco, split));
  beforeAll(async () => {
    // The same ids, drawn from two seeds.
    const splits = { train: drawn, val: createSyntheticDataset({ count: 3, size: 32, seed: 9 }) };
    await writeDataset({ splits, out: coco, layout: 'coco' });
  });

  test('different pictures lie apart in COCO layout and are refused in the others, not overwritten', async () => {
    expect(readdirSync(join(coco, 'train'))).toEqual(readdirSync(join(coco, 'val')));
    const splits = { train: await open('train'), val: await open('val') };
    const out = join(root, 'overwritten');
    await expect(writeDataset({ splits, out, layout: 'voc' })).rejects.toThrow(
      new RegExp(`different images, ${first} is in train and in val.*each split alone`),
    );
    await expect(writeDataset({ splits, out, layout: 'folder' })).rejects.toThrow(/common images/);
    expect(() => readdirSync(out)).toThrow(/ENOENT/);
  });

  test('the same picture in two lists is one file', async () => {
    const out = join(root, 'lists');
    const splits = { train: await open('train'), train_aug: await open('train') };
    expect((await writeDataset({ splits, out, layout: 'voc' })).images).toBe(6);
    expect(readdirSync(join(out, 'JPEGImages'))).toHaveLength(3);
  });
});

test('a folder that cannot be written is named with a remedy in every layout', async () => {
  const file = join(root, 'a-file');
  writeFileSync(file, '');
  const source = join(root, 'partial-folder');
  const read = await openFolderDataset({ root: source, split: 'train' });
  for (const layout of ['voc', 'coco', 'folder'] as const) {
    const writing = writeDataset({ splits: { train: read }, out: file, layout });
    await expect(writing).rejects.toMatchObject({ code: 'write-failed' });
    await expect(writing).rejects.toThrow(/a-file.*choose another/);
  }
});
