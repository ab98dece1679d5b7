import { createSyntheticDataset } from '@auxseg/datasets';
import { expect, test } from '@jest/globals';
import { scoredImages } from './scored-images.js';

test('scored are the images that have masks: some, all, none', async () => {
  const all = createSyntheticDataset({ count: 3, size: 32 });
  const [a, b, c] = all.ids;
  const some = scoredImages({ ...all, hasTruth: (id) => id !== b });
  expect(some?.ids).toEqual([a, c]);
  expect((await some?.truth(c))?.data).toEqual((await all.truth(c)).data);
  expect(scoredImages(all, [c, a])?.ids).toEqual([c, a]);
  expect(scoredImages({ ...all, hasTruth: () => false })).toBeNull();
  expect(scoredImages({ ...all, truth: undefined })).toBeNull();
});
