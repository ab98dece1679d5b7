import { expect, test } from '@jest/globals';
import { mapConcurrently } from './map-concurrently.js';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test('results keep the order of the items, and no more than the limit are in work', async () => {
  let inWork = 0;
  let most = 0;
  const results = await mapConcurrently([5, 1, 4, 2, 3], 2, async (item, index) => {
    most = Math.max(most, ++inWork);
    await pause(item);
    inWork--;
    return `${index}:${item}`;
  });
  expect(results).toEqual(['0:5', '1:1', '2:4', '3:2', '4:3']);
  expect(most).toBe(2);
  expect(await mapConcurrently([], 3, async () => 1)).toEqual([]);
});

test('after a failure nothing is begun, and what was begun has ended when the first error comes', async () => {
  const begun: number[] = [];
  const ended: number[] = [];
  const mapped = mapConcurrently([0, 1, 2, 3, 4, 5], 3, async (item) => {
    begun.push(item);
    await pause(item === 1 ? 5 : 25);
    ended.push(item);
    if (item === 1 || item === 2) throw new Error(`item ${item}`);
  });
  await expect(mapped).rejects.toThrow('item 1');
  expect(begun).toEqual([0, 1, 2]);
  expect(ended.sort()).toEqual([0, 1, 2]);
});
