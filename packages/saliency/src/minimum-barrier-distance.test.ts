import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { borderContrast } from './border-contrast.js';
import { minimumBarrierDistance } from './minimum-barrier-distance.js';

const { barriers, shrunk, lab, contrast } = JSON.parse(
  readFileSync(new URL('./fixtures/pieces.json', import.meta.url), 'utf8'),
);

describe('minimumBarrierDistance', () => {
  for (const { width, height, plane, fast, exact } of barriers) {
    const feature = { width, height, channels: 1, data: Float32Array.from(plane as number[]) };

    test(`${width}x${height}: the sweeps agree with plain Python`, () => {
      for (const [passes, expected] of Object.entries(fast)) {
        expect(Array.from(minimumBarrierDistance(feature, Number(passes)))).toEqual(expected);
      }
    });

    test(`${width}x${height}: never below the exact distance (brute force), mostly equal to it`, () => {
      const got = minimumBarrierDistance(feature, 3);
      let equal = 0;
      let excess = 0;
      got.forEach((value, i) => {
        expect(value).toBeGreaterThanOrEqual(exact[i]);
        if (value === exact[i]) equal++;
        excess += value - exact[i];
      });
      expect(equal / got.length).toBeGreaterThan(0.75);
      expect(excess / got.length).toBeLessThan(0.3);
    });
  }

  test('sums its channels', () => {
    const { width, height, plane } = barriers[0];
    const one = minimumBarrierDistance({ width, height, channels: 1, data: Float32Array.from(plane) }, 3);
    const data = Float32Array.from([...plane, ...plane.map((v: number) => 2 * v)]);
    const two = minimumBarrierDistance({ width, height, channels: 2, data }, 3);
    expect(Array.from(two)).toEqual(Array.from(one, (v) => 3 * v));
  });

  test('a closed ring is a barrier, a gap in it is none', () => {
    const ring = ['.......', '.#####.', '.#...#.', '.#...#.', '.#####.', '.......'];
    const planeOf = (rows: string[]) => ({
      width: 7,
      height: 6,
      channels: 1,
      data: Float32Array.from(rows.join(''), (c) => (c === '#' ? 9 : 1)),
    });
    expect(minimumBarrierDistance(planeOf(ring), 3)[2 * 7 + 3]).toBe(8);
    const open = [...ring];
    open[4] = '.##.##.';
    expect(minimumBarrierDistance(planeOf(open), 3)[2 * 7 + 3]).toBe(0);
  });

  test('images thinner than three pixels are all border', () => {
    for (const [width, height] of [
      [1, 1],
      [2, 2],
      [2, 9],
      [30, 1],
    ]) {
      const data = Float32Array.from({ length: width * height }, (_, i) => i);
      expect(Math.max(...minimumBarrierDistance({ width, height, channels: 1, data }, 3))).toBe(0);
    }
  });
});

describe('borderContrast', () => {
  test('agrees with numpy.linalg', () => {
    const got = borderContrast({ ...shrunk, channels: 3, data: Float32Array.from(lab) }, 0.1, 10);
    got.forEach((value, i) => {
      expect(Math.abs(value - contrast[i])).toBeLessThan(1e-5);
    });
  });

  test('is 0 for a constant image', () => {
    const data = new Float32Array(3 * 20).fill(40);
    expect(Array.from(borderContrast({ width: 5, height: 4, channels: 3, data }, 0.1, 10))).toEqual(
      Array(20).fill(0),
    );
  });
});
