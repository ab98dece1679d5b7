import { expect, test } from '@jest/globals';
import { createSyntheticDataset } from './create-synthetic-dataset.js';
import type { WholeImage } from './decode-whole-image.js';
import { iterateImages } from './iterate-images.js';
import { normalizeImage } from './normalization.js';

const dataset = createSyntheticDataset({ count: 5, size: { width: 40, height: 32 }, seed: 2 });

async function collect(options: Partial<Parameters<typeof iterateImages>[0]>): Promise<WholeImage[]> {
  const all: WholeImage[] = [];
  for await (const whole of iterateImages({ dataset, workers: 0, ...options })) all.push(whole);
  return all;
}

test('whole images come in order, untouched, with the input asked for', async () => {
  const all = await collect({ normalization: 'mobilenet' });
  expect(all.map((w) => w.id)).toEqual([...dataset.ids]);
  for (const { id, image, labels, input } of all) {
    const sample = await dataset.sample(id);
    expect(Buffer.compare(image.data, sample.image.data)).toBe(0);
    expect(labels).toEqual(sample.labels);
    expect([input?.width, input?.height]).toEqual([40, 32]);
    expect(input?.data).toEqual(normalizeImage(image.data, 'mobilenet'));
  }
  expect((await collect({ ids: [dataset.ids[3]] }))[0].input).toBeUndefined();
});

test('resized input; workers and data sets without sources make no difference', async () => {
  const options = { normalization: 'imagenet', resize: { longer: 20 } } as const;
  const reference = await collect(options);
  expect([reference[0].input?.width, reference[0].input?.height]).toEqual([20, 16]);
  expect(await collect({ ...options, workers: 2 })).toEqual(reference);
  const { imageSource: _, ...plain } = dataset;
  expect(await collect({ ...options, dataset: plain })).toEqual(reference);
});

test('an image that fails does so at its turn', async () => {
  const broken = {
    ...dataset,
    imageSource: (id: string) =>
      id.endsWith('2') ? { type: 'file' as const, file: 'none.jpg' } : dataset.imageSource(id),
  };
  const seen: string[] = [];
  await expect(
    (async () => {
      for await (const { id } of iterateImages({ dataset: broken, workers: 0 })) seen.push(id);
    })(),
  ).rejects.toThrow(/none\.jpg/);
  expect(seen).toEqual(dataset.ids.slice(0, 2));
});
