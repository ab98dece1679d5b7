import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createNetworkFromConfig, encodeModel, resolveRecipe } from '@auxseg/auxsegnet';
import { writeRgbPng } from '@auxseg/formats';
import { useBackend } from '@auxseg/runtime';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { predict } from './predict.js';

let root = '';

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'auxseg-predict-'));
  await useBackend('wasm');
  const config = resolveRecipe({
    preset: 'tiny',
    network: { backbone: { width: 0.25 }, head: { channels: 8 }, affinity: { name: 'identity' } },
  }).network;
  const { model } = createNetworkFromConfig(config, 5, 3);
  const metadata = { network: config, classes: ['a', 'b', 'c', 'd', 'e'], kind: 'auxsegnet' as const };
  await writeFile(join(root, 'model.safetensors'), encodeModel(model, { ...metadata, longSidePx: 24 }));
  await mkdir(join(root, 'images'));
  // Dark beside light, or random weights would find one class everywhere.
  const data = Uint8Array.from({ length: 3 * 80 * 60 }, (_, i) =>
    (i % 240) + i / 240 < 150 ? 0 : 255 - (i % 3) * 120,
  );
  await writeFile(join(root, 'images', 'a.png'), writeRgbPng({ width: 80, height: 60, data }));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function predicted(out: string, longSide?: number): Promise<Buffer> {
  await predict(
    {
      ...{ weights: join(root, 'model.safetensors'), images: join(root, 'images'), out: join(root, out) },
      ...{ preset: 'official', scales: '1', head: 'refined', strict: true, backend: 'wasm', json: true },
      longSide,
    },
    new AbortController().signal,
  );
  return readFile(join(root, out, 'a.png'));
}

test('images have the size that the network was trained with, unless another is asked for', async () => {
  const asTrained = await predicted('default');
  expect(asTrained.equals(await predicted('trained', 24))).toBe(true);
  expect(asTrained.equals(await predicted('whole', 0))).toBe(false);
});

test('a file where the folder should be is named', async () => {
  await writeFile(join(root, 'file'), '');
  await expect(predicted('file')).rejects.toThrow(/write .*file, got EEXIST: a file stands where/);
});
