import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { createSyntheticDataset } from './create-synthetic-dataset.js';
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
  /** Class folders in split folders, with the same file name in both. */
  const source = join(root, 'same-names');
  const other = createSyntheticDataset({ count: 1, size: 32, seed: 9 });
  const open = async () => {
    for (const [split, set] of [
      ['train', drawn],
      ['val', other],
    ] as const) {
      const voc = join(root, 'pictures', split);
      await writeDataset({ splits: { all: set }, out: voc, layout: 'voc' });
      mkdirSync(join(source, split, 'rust'), { recursive: true });
      const image = readFileSync(join(voc, 'JPEGImages', `${set.ids[0]}.png`));
      writeFileSync(join(source, split, 'rust', 'img0.png'), image);
    }
    const [train, val] = ['train', 'val'].map((split) => openFolderDataset({ root: source, split }));
    return { train: await train, val: await val };
  };

  test('different pictures are refused, not overwritten; in COCO layout they keep apart', async () => {
    const { train, val } = await open();
    const out = join(root, 'overwritten');
    await expect(writeDataset({ splits: { train, val }, out, layout: 'voc' })).rejects.toThrow(
      /different images, rust__img0 is in train and in val.*each split alone/,
    );
    expect(() => readdirSync(out)).toThrow(/ENOENT/);
    const whole = createSyntheticDataset({ count: 3, size: 32 });
    const coco = join(root, 'apart');
    await writeDataset({ splits: { a: drawn, b: whole }, out: coco, layout: 'coco' });
    expect(readdirSync(join(coco, 'a'))).toEqual(readdirSync(join(coco, 'b')));
  });

  test('the same picture in two lists is one file', async () => {
    const { train } = await open();
    const again = await openFolderDataset({ root: source, split: 'train' });
    const out = join(root, 'lists');
    const result = await writeDataset({ splits: { train, train_aug: again }, out, layout: 'voc' });
    expect(result.images).toBe(2);
    expect(readdirSync(join(out, 'JPEGImages'))).toEqual(['rust__img0.png']);
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
