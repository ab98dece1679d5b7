import { describe, expect, test } from '@jest/globals';
import { ArrayPool } from './array-pool.js';

const KIB = 256; // floats in a kibibyte

describe('ArrayPool', () => {
  test('hands out given memory again, by exact size', () => {
    const pool = new ArrayPool(1 << 20);
    const first = pool.take('float32', 8 * KIB);
    pool.give(first);
    expect(pool.take('float32', 9 * KIB).buffer).not.toBe(first.buffer);
    expect(pool.take('int32', 8 * KIB).buffer).toBe(first.buffer);
    expect(pool.stats()).toMatchObject({ reused: 1, allocated: 2, freeBytes: 0, freeArrays: 0 });
  });

  test('clears reused memory on request', () => {
    const pool = new ArrayPool(1 << 20);
    const first = pool.take('float32', 8 * KIB);
    first.fill(7);
    pool.give(first);
    expect(pool.take('float32', 8 * KIB, true).every((value) => value === 0)).toBe(true);
  });

  test('takes back nothing twice and nothing that was disowned or is not its own', () => {
    const pool = new ArrayPool(1 << 20);
    const kept = pool.take('float32', 8 * KIB);
    pool.disown(kept.subarray(3));
    pool.give(kept);
    pool.give(new Float32Array(8 * KIB));
    const twice = pool.take('float32', 8 * KIB);
    pool.give(twice);
    pool.give(twice);
    expect(pool.stats()).toMatchObject({ freeArrays: 1, usedBytes: 0 });
  });

  test('keeps no more than the recent peak and the allowance', () => {
    const allowance = 16 * 1024;
    const pool = new ArrayPool(allowance);
    for (let size = 8; size < 40; size++) {
      const arrays = [0, 1, 2].map(() => pool.take('float32', size * KIB));
      for (const array of arrays) pool.give(array);
      const { freeBytes, usedBytes } = pool.stats();
      expect(freeBytes + usedBytes).toBeLessThanOrEqual(3 * size * 1024 + allowance);
    }
  });
});
