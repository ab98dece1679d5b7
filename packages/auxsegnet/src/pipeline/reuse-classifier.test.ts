import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { resolveRecipe } from '../recipe.js';
import { reuseClassifier } from './reuse-classifier.js';
import { openRunDirectory, type RunDirectory } from './run-directory.js';

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'auxseg-reuse-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const start = (name: string, over: object = {}): Promise<RunDirectory> =>
  openRunDirectory(join(root, name), {
    recipe: resolveRecipe({ preset: 'tiny', ...over }),
    configText: '',
    classes: ['a'],
    backend: 'cpu',
  });

async function finished(name: string): Promise<string> {
  const run = await start(name);
  await run.write('stage-0/classifier.safetensors', 'weights');
  for (const id of ['x', 'y', 'z']) await run.write(`stage-0/cams/${id}.npz`, `cam ${id}`);
  await run.writeJson('stage-0/metrics.json', {
    classification: { meanAveragePrecision: 0.5 },
    saliency: {},
  });
  run.state!.steps = ['saliency', 'classifier', 'cam'].map((step) => ({
    name: step,
    status: 'done',
    seconds: 9,
  }));
  await run.saveState();
  return run.root;
}

test('takes classifier and CAMs into a run with another saliency source, and marks the steps', async () => {
  const base = await finished('base');
  const run = await start('other', { saliency: { source: 'constant' }, stages: 1 });
  expect(await reuseClassifier(run, base, ['x', 'z'])).toBe(true);
  expect(await readFile(run.path('stage-0/cams/z.npz'), 'utf8')).toBe('cam z');
  expect(await run.has('stage-0/cams/y.npz')).toBe(false);
  expect(await readFile(run.path('stage-0/classifier.safetensors'), 'utf8')).toBe('weights');
  expect(await run.readJson('stage-0/metrics.json')).toEqual({
    classification: { meanAveragePrecision: 0.5 },
  });
  expect(run.state!.steps).toEqual([
    { name: 'classifier', status: 'done', seconds: 0 },
    { name: 'cam', status: 'done', seconds: 0 },
  ]);
  // Started again, there is nothing to take.
  expect(await reuseClassifier(run, base, ['x', 'z'])).toBe(false);
});

test('refuses a run that does not fit, and says why', async () => {
  const base = await finished('base-2');
  const longer = await start('longer', { classifier: { epochs: 3 } });
  await expect(reuseClassifier(longer, base, ['x'])).rejects.toThrow(/another classifier\.epochs.*--reuse/);
  const wet = await start('wet', { network: { head: { dropout: 0.5, channels: 8 } } });
  await expect(reuseClassifier(wet, base, ['x'])).rejects.toThrow(/with another network\.head\.dropout\./);
  const more = await start('more');
  await expect(reuseClassifier(more, base, ['x', 'w'])).rejects.toThrow(/no CAMs of 1 images, w/);
  await expect(reuseClassifier(await start('from-new'), more.root, ['x'])).rejects.toThrow(/not done/);
  await expect(reuseClassifier(more, join(root, 'nowhere'), ['x'])).rejects.toMatchObject({
    code: 'MISSING_STEP',
  });
});
