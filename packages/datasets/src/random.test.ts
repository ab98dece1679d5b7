import { expect, test } from '@jest/globals';
import { createRandom, randomPermutation } from './random.js';

test('the numbers of a key are fixed, and differ between keys', () => {
  const take = (...key: (string | number)[]): number[] => {
    const random = createRandom(...key);
    return [random.uint32(), random.uint32(), random.uint32()];
  };
  expect(take('a', 1)).toEqual(take('a', 1));
  const keys = [
    ['a', 1],
    ['a', 2],
    ['b', 1],
    ['a1'],
    ['a', '', 1],
    ['', 'a', 1],
    ['a', 11],
    [1, 'a'],
    ['a', 1, 1],
  ];
  expect(new Set(keys.map((k) => take(...k).join())).size).toBe(keys.length);
  expect(take(0)).toEqual([1703661951, 2991459920, 3996445259]);
});

test('uniform draws fill their range evenly, keyed streams are independent', () => {
  const bins = new Array(16).fill(0);
  const pairs = new Array(4).fill(0);
  for (let id = 0; id < 8000; id++) {
    // The first draws of neighbouring keys are what augmentation uses most.
    const random = createRandom(7, 3, `im_${id}`);
    const [u, v] = [random.uniform(0, 1), random.uniform(-2, 3)];
    expect(v >= -2 && v < 3).toBe(true);
    bins[Math.floor(u * 16)]++;
    pairs[(u < 0.5 ? 0 : 2) + (v < 0.5 ? 0 : 1)]++;
  }
  // Chi-squared with 15 and 3 degrees of freedom, at the 1e-4 level.
  const chi = (counts: number[]): number =>
    counts.reduce((s, n) => s + (n - 8000 / counts.length) ** 2 / (8000 / counts.length), 0);
  expect(chi(bins)).toBeLessThan(44);
  expect(chi(pairs)).toBeLessThan(22);
});

test('a permutation holds every index once, and every place is reached', () => {
  const first = new Array(5).fill(0);
  for (let seed = 0; seed < 2000; seed++) {
    const order = Array.from(randomPermutation(5, createRandom(seed)));
    expect([...order].sort()).toEqual([0, 1, 2, 3, 4]);
    first[order[0]]++;
  }
  for (const n of first) expect(Math.abs(n - 400)).toBeLessThan(90);
  expect(randomPermutation(0, createRandom(1))).toHaveLength(0);
});
