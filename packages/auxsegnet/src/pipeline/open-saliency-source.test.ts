import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSyntheticDataset, type Dataset } from '@auxseg/datasets';
import { writeGrayPng } from '@auxseg/formats';
import { useBackend } from '@auxseg/runtime';
import type { SaliencySource } from '@auxseg/saliency';
import { conformanceSamples, saliencySourceConformance } from '@auxseg/saliency/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { backboneFromConfig, createClassifier, createNetworkFromConfig } from '../network.js';
import { resolveRecipe } from '../recipe.js';
import { encodeModel } from '../weights.js';
import { createNetworkSaliency } from './create-network-saliency.js';
import { openSaliencySource } from './open-saliency-source.js';

const samples = conformanceSamples();
const tiny = { preset: 'tiny', network: { backbone: { width: 0.25 }, head: { channels: 8 } } };
const settings = (saliency: object) => resolveRecipe({ ...tiny, saliency }).saliency;
const classes = ['a', 'b'];
let root = '';

beforeAll(async () => {
  await useBackend('cpu');
  root = await mkdtemp(join(tmpdir(), 'auxseg-sources-'));
  const { network: config } = resolveRecipe(tiny);
  const network = createNetworkFromConfig(config, classes.length, 3);
  await writeFile(
    join(root, 'model.safetensors'),
    encodeModel(network.model, { network: config, classes, kind: 'auxsegnet' }),
  );
  const classifier = createClassifier({ backbone: backboneFromConfig(config.backbone), numClasses: 2 });
  await writeFile(
    join(root, 'classifier.safetensors'),
    encodeModel(classifier.model, { network: config, classes, kind: 'classifier' }),
  );
  network.model.dispose();
  classifier.model.dispose();
  await mkdir(join(root, 'maps'));
  for (const { id, image } of samples) {
    // Half the size: the source has to resize them.
    const width = Math.ceil(image.width / 2);
    const height = Math.ceil(image.height / 2);
    const data = Uint8Array.from({ length: width * height }, (_, i) => 40 + ((i * 29) % 100));
    await writeFile(join(root, 'maps', `${id}_sal.png`), writeGrayPng({ width, height, data }));
  }
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** The conformance samples as a data set with masks. */
const dataset: Dataset = {
  classes,
  ids: samples.map(({ id }) => id),
  imageLabels: () => Uint8Array.of(1, 0),
  sample: async (id) => ({ ...samples.find((s) => s.id === id)!, labels: Uint8Array.of(1, 0) }),
  truth: async (id) => {
    const { image } = samples.find((s) => s.id === id)!;
    const data = Uint8Array.from({ length: image.width * image.height }, (_, i) => [0, 1, 255, 2][i % 4]);
    return { width: image.width, height: image.height, data };
  },
};
const open = (saliency: object): SaliencySource =>
  openSaliencySource(settings(saliency), {
    dataset,
    root,
    searchPaths: [root],
    longSidePx: 24,
    workers: 0,
    onNotice: () => {},
  });

const files = { source: 'files', directory: 'maps', suffix: '_sal' };
const prediction = { source: 'prediction', weights: 'model.safetensors' };
const inRecipes: Record<string, object> = {
  files,
  'files, min-max': { ...files, scale: 'min-max' },
  unsupervised: { source: 'unsupervised', method: 'mbplus' },
  prediction,
  constant: { source: 'constant', value: 0.25 },
  oracle: { source: 'oracle' },
  'combine, mean': { source: 'combine', sources: [files, prediction] },
  'combine, max': {
    source: 'combine',
    rule: 'max',
    sources: [{ source: 'unsupervised', method: 'mbplus' }, files],
  },
  'combine, product': {
    source: 'combine',
    rule: 'product',
    sources: [files, { source: 'constant', value: 0.5 }],
  },
};
for (const [name, saliency] of Object.entries(inRecipes)) {
  describe(`recipe source ${name} passes the conformance suite`, () => {
    for (const check of saliencySourceConformance({ create: () => open(saliency) }))
      test(check.name, check.run);
  });
}

test('dataset: a synthetic set draws its own maps', async () => {
  const synthetic = createSyntheticDataset({ count: 2, size: 32, seed: 1 });
  const source = openSaliencySource(settings({ source: 'dataset' }), { dataset: synthetic });
  const sample = await synthetic.sample(synthetic.ids[0]);
  expect((await source.map(sample)).data).toEqual((await synthetic.saliency(sample.id)).data);
  expect(() => open({ source: 'dataset' })).toThrow(/only with the synthetic set/);
});

test('prediction: what is missing or wrong is named; closed, it opens again', async () => {
  const sample = samples[0];
  expect(() => open({ source: 'prediction' })).toThrow(/saliency\.weights/);
  await expect(open({ source: 'prediction', weights: 'nowhere.safetensors' }).map(sample)).rejects.toThrow(
    /nowhere\.safetensors.*--set saliency\.weights=PATH/,
  );
  await expect(open({ source: 'prediction', weights: 'classifier.safetensors' }).map(sample)).rejects.toThrow(
    /refinedSaliency.*not the classifier/,
  );
  const source = createNetworkSaliency({ weights: join(root, 'model.safetensors'), head: 'initial' });
  const first = await source.map(sample);
  await source.close!();
  expect((await source.map(sample)).data).toEqual(first.data);
  await source.close!();
});

test('settings that a source needs and does not have', () => {
  expect(() => open({ source: 'files' })).toThrow(/saliency\.directory/);
  expect(() => open({ source: 'combine' })).toThrow(/saliency\.sources/);
  expect(() => settings({ source: 'combine', sources: [{ source: 'combine' }] })).toThrow(
    /saliency\.sources\.0\.source/,
  );
  expect(() => settings({ source: 'combine', sources: [{ source: 'files', dirctory: 'x' }] })).toThrow(
    /unknown key 'saliency\.sources\.0\.dirctory' \(did you mean 'directory'\?\)/,
  );
});
