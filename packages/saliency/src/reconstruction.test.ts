import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { erodeSquare, openThenCloseByReconstruction, reconstructByDilation } from './reconstruction.js';

const { reconstructions } = JSON.parse(
  readFileSync(new URL('./fixtures/pieces.json', import.meta.url), 'utf8'),
);
const rounded = (values: ArrayLike<number>) => Array.from(values, (v) => Math.round(v * 1e4) / 1e4 + 0);

describe('openThenCloseByReconstruction', () => {
  for (const { width, height, side, plane, eroded, openedClosed } of reconstructions) {
    const size = { width, height };
    test(`${width}x${height}, square of ${side}: agrees with scipy.ndimage run to the end`, () => {
      expect(rounded(erodeSquare(Float32Array.from(plane), size, side))).toEqual(rounded(eroded));
      const got = openThenCloseByReconstruction(Float32Array.from(plane), size, side);
      expect(rounded(got)).toEqual(rounded(openedClosed));
    });
  }

  test('leaves its input alone, and leaves everything with a square of one pixel', () => {
    const plane = Float32Array.of(0, 1, 0, 0.5, 0, 1);
    const before = plane.slice();
    openThenCloseByReconstruction(plane, { width: 3, height: 2 }, 2);
    expect(plane).toEqual(before);
    expect(openThenCloseByReconstruction(plane, { width: 3, height: 2 }, 1)).toEqual(before);
  });

  test('follows a spiral, which needs the queue', () => {
    const rows = ['#######', '......#', '#####.#', '#...#.#', '#.#.#.#', '#.###.#', '#.....#', '#######'];
    const size = { width: 7, height: 8 };
    const mask = Float32Array.from(rows.join(''), (c) => (c === '#' ? 0 : 1));
    const marker = new Float32Array(56);
    // The far end of the corridor, reached against both sweeps.
    marker[4 * 7 + 1] = 1;
    mask[4 * 7 + 1] = 1;
    expect(Array.from(reconstructByDilation(marker, mask.slice(), size))).toEqual(Array.from(mask));
  });
});
