import * as fs from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openLabelStore } from './open-label-store.js';

let root = '';
beforeAll(async () => {
  root = await fs.mkdtemp(path.join(tmpdir(), 'auxseg-labels-'));
});
afterAll(() => fs.rm(root, { recursive: true, force: true }));

const segmentation = {
  width: 5,
  height: 3,
  data: Uint8Array.from({ length: 15 }, (_, i) => (i === 7 ? 255 : i % 4)),
};
const saliency = { width: 5, height: 3, data: Float32Array.from({ length: 15 }, (_, i) => i / 14) };

describe('openLabelStore', () => {
  test('reads back what it wrote, saliency to half a grey level', async () => {
    const dir = path.join(root, 'round', 'trip');
    const store = openLabelStore(dir);
    expect(await store.has('a')).toBe(false);
    expect(await store.ids('saliency')).toEqual([]);
    await store.writeSegmentation('a', segmentation);
    expect(await store.has('a')).toBe(false);
    expect(await store.has('a', 'segmentation')).toBe(true);
    await store.writeSaliency('a', saliency);
    expect(await store.has('a')).toBe(true);
    const back = await store.segmentation('a');
    expect({ ...back, data: Array.from(back.data) }).toEqual({
      ...segmentation,
      data: Array.from(segmentation.data),
    });
    const backSaliency = await store.saliency('a');
    backSaliency.data.forEach((value, i) => {
      expect(Math.abs(value - saliency.data[i])).toBeLessThanOrEqual(0.5 / 255 + 1e-6);
    });
    expect(await fs.readdir(dir)).toEqual(['sal', 'seg']);
    expect(await fs.readdir(path.join(dir, 'seg'))).toEqual(['a.png']);
    expect(await store.ids('segmentation')).toEqual(['a']);
    expect((await fs.stat(store.file('a', 'saliency'))).isFile()).toBe(true);
    expect(() => store.file('../a', 'saliency')).toThrow('plain file name');
  });

  test('writes the same bytes every time, with a 256-entry palette', async () => {
    const dir = path.join(root, 'bytes');
    const store = openLabelStore(dir);
    await store.writeSegmentation('a', segmentation);
    const first = await fs.readFile(path.join(dir, 'seg', 'a.png'));
    await store.writeSegmentation('a', segmentation);
    expect((await fs.readFile(path.join(dir, 'seg', 'a.png'))).equals(first)).toBe(true);
    const palette = first.indexOf('PLTE');
    expect(first.readUInt32BE(palette - 4)).toBe(768);
    expect(Array.from(first.subarray(palette + 4, palette + 10))).toEqual([0, 0, 0, 128, 0, 0]);
  });

  test('many writers of one file leave one whole file and no temporary ones', async () => {
    const dir = path.join(root, 'parallel');
    const stores = [openLabelStore(dir), openLabelStore(dir)];
    await Promise.all(
      Array.from({ length: 24 }, (_, i) =>
        stores[i % 2].writeSegmentation(i % 3 ? 'same' : `id-${i}`, {
          ...segmentation,
          data: segmentation.data.slice(),
        }),
      ),
    );
    expect((await fs.readdir(path.join(dir, 'seg'))).filter((name) => name.startsWith('.'))).toEqual([]);
    expect(Array.from((await stores[0].segmentation('same')).data)).toEqual(Array.from(segmentation.data));
  });

  test('a temporary file of a dead process is no label and goes with the next write', async () => {
    const dir = path.join(root, 'killed');
    await fs.mkdir(path.join(dir, 'seg'), { recursive: true });
    // Above any Linux process id.
    const dead = path.join(dir, 'seg', `.tmp-${hostname()}-99999999-3.png`);
    const otherHost = path.join(dir, 'seg', '.tmp-another.host-99999999-3.png');
    await fs.writeFile(dead, 'half');
    await fs.writeFile(otherHost, 'half');
    await fs.writeFile(path.join(dir, 'seg', 'empty.png'), '');
    const store = openLabelStore(dir);
    expect(await store.has('empty', 'segmentation')).toBe(false);
    await fs.rm(path.join(dir, 'seg', 'empty.png'));
    expect(await store.ids('segmentation')).toEqual([]);
    await store.writeSegmentation('a', segmentation);
    expect((await fs.readdir(path.join(dir, 'seg'))).sort()).toEqual([
      '.tmp-another.host-99999999-3.png',
      'a.png',
    ]);
  });

  test('a failed write says why and leaves the old file', async () => {
    const dir = path.join(root, 'blocked');
    await fs.mkdir(path.join(dir, 'sal', 'a.png', 'in-the-way'), { recursive: true });
    const store = openLabelStore(dir);
    await expect(store.writeSaliency('a', saliency)).rejects.toMatchObject({ code: 'STORE_UNWRITABLE' });
    expect(await fs.readdir(path.join(dir, 'sal'))).toEqual(['a.png']);
    await fs.writeFile(path.join(root, 'a-file'), '');
    await expect(openLabelStore(path.join(root, 'a-file')).writeSaliency('a', saliency)).rejects.toThrow(
      /Expected to write .*a-file/,
    );
  });

  test('names the file of a missing or truncated label', async () => {
    const dir = path.join(root, 'truncated');
    const store = openLabelStore(dir);
    await expect(store.segmentation('nope')).rejects.toMatchObject({ code: 'LABEL_NOT_FOUND' });
    await store.writeSegmentation('a', segmentation);
    const file = path.join(dir, 'seg', 'a.png');
    await fs.truncate(file, 40);
    await expect(store.segmentation('a')).rejects.toThrow(file);
    await expect(store.segmentation('a')).rejects.toMatchObject({ code: 'LABEL_UNREADABLE' });
  });

  test('refuses ids that leave the folder and maps that are not what they say', async () => {
    const store = openLabelStore(path.join(root, 'ids'));
    for (const id of ['', '.', '../a', 'a/b', 'a\\b', '.hidden']) {
      await expect(store.writeSegmentation(id, segmentation)).rejects.toMatchObject({ code: 'BAD_ID' });
      await expect(store.saliency(id)).rejects.toMatchObject({ code: 'BAD_ID' });
    }
    await expect(store.writeSegmentation('a', { ...segmentation, width: 4 })).rejects.toMatchObject({
      code: 'BAD_SHAPE',
    });
    await expect(
      store.writeSaliency('a', { width: 1, height: 1, data: Float32Array.of(Number.NaN) }),
    ).rejects.toMatchObject({ code: 'BAD_VALUE' });
  });
});
