import { expect, test } from '@jest/globals';
import { hashToKey, polySchedule } from './index.js';

test('decays from the base rate to 0 with power 0.9', () => {
  const rate = polySchedule({ baseLr: 0.0007, totalSteps: 200 });
  expect(rate(0)).toBe(0.0007);
  expect(rate(50)).toBeCloseTo(0.0007 * 0.75 ** 0.9, 12);
  expect(rate(199)).toBeGreaterThan(0);
  expect(rate(200)).toBe(0);
  expect(rate(1000)).toBe(0);
});

test('warms up linearly to the curve', () => {
  const rate = polySchedule({ baseLr: 1, totalSteps: 100, power: 1, warmupSteps: 10 });
  expect(rate(0)).toBeCloseTo(0.1);
  expect(rate(4)).toBeCloseTo(0.5 * 0.96);
  expect(rate(10)).toBeCloseTo(0.9);
});

test('refuses options that make no schedule', () => {
  expect(() => polySchedule({ baseLr: 1, totalSteps: 0 })).toThrow(/totalSteps > 0/);
  expect(() => polySchedule({ baseLr: Number.NaN, totalSteps: 5 })).toThrow(/baseLr=NaN/);
});

test('keys are 32-bit, differ for neighbours and for swapped parts', () => {
  const keys = new Set<number>();
  for (let seed = 0; seed < 40; seed++) {
    for (let step = 0; step < 250; step++) keys.add(hashToKey(seed, step));
  }
  // 10,000 draws from 2^32 collide 0.01 times on average.
  expect(keys.size).toBe(10_000);
  for (const key of keys) expect(Number.isInteger(key) && key >= 0 && key < 2 ** 32).toBe(true);
  expect(hashToKey(1, 2)).not.toBe(hashToKey(2, 1));
  expect(hashToKey(2 ** 40)).not.toBe(hashToKey(0));
});
