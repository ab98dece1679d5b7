import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { recogniseLayout } from './recognise-layout.js';

let root = '';
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'auxseg-layout-'));
});
afterAll(() => rmSync(root, { recursive: true }));

function put(...files: string[]): void {
  for (const file of files) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), '');
  }
}

test('recogniseLayout: VOC, COCO, own folders', async () => {
  put(
    'voc/JPEGImages/a.jpg',
    'coco/annotations/instances_val.json',
    'own/labels.csv',
    'own/old/JPEGImages/a.jpg',
  );
  put('classes/rust/a.jpg', 'photos/a.jpg');
  const layouts = ['voc', 'coco', 'own', 'classes', 'photos'].map((name) =>
    recogniseLayout(join(root, name)),
  );
  expect(await Promise.all(layouts)).toEqual(['voc', 'coco', 'folder', 'folder', 'folder']);
});

test('recogniseLayout names the data sets one level below instead of taking them for classes', async () => {
  put('devkit/VOC2012/JPEGImages/a.jpg', 'parent/mine/labels.json', 'parent/other/a.jpg');
  await expect(recogniseLayout(join(root, 'devkit'))).rejects.toThrow(
    /data set in .*devkit, found one below it: .*devkit\/VOC2012\. Give that folder itself/,
  );
  await expect(recogniseLayout(join(root, 'parent'))).rejects.toThrow(/below it: .*parent\/mine\./);
});
