import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LabelMap } from '@auxseg/formats';
import { openLabelStore } from '@auxseg/pseudo-label';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { PipelineContext } from './context.js';
import { RunDirectory } from './run-directory.js';
import { labelFolder, scoreLabels } from './stage-zero.js';

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'auxseg-score-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

test('a mask that is 255 everywhere is left out of the scores', async () => {
  const directory = new RunDirectory(root);
  const store = openLabelStore(directory.path(labelFolder(0)));
  const masks: Record<string, LabelMap> = {
    known: { width: 2, height: 1, data: Uint8Array.of(0, 1) },
    blank: { width: 2, height: 1, data: Uint8Array.of(255, 255) },
  };
  for (const id of Object.keys(masks)) {
    await store.writeSegmentation(id, { width: 2, height: 1, data: Uint8Array.of(0, 1) });
    await store.writeSaliency(id, { width: 2, height: 1, data: Float32Array.of(0, 1) });
  }
  const context = {
    directory,
    train: { classes: ['a'] },
    scoredTrain: { ids: Object.keys(masks), truth: async (id: string) => masks[id] },
  } as unknown as PipelineContext;
  expect(await scoreLabels(context, 0)).toMatch(/mIoU 100\.0/);
  expect(await directory.readJson('stage-0/metrics.json')).toMatchObject({
    saliency: { mae: 0, maxFBeta: 1 },
  });
});
