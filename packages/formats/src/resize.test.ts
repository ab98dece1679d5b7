import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { resizeBilinear } from './resize-bilinear.js';
import { resizeNearest } from './resize-nearest.js';
import { readFixture } from './testing/fixtures.js';

const fixture = readFixture<{
  cases: {
    from: [number, number];
    to: [number, number];
    channels: number;
    data: number[];
    linear: number[];
    linear8: number[];
    nearest: number[];
  }[];
  nearestIndices: [number, number, number[]][];
}>('resize.json');

describe('resizing', () => {
  test.each(fixture.cases)('bilinear $from -> $to equals PyTorch, and OpenCV to a grey level', (item) => {
    const from = { height: item.from[0], width: item.from[1], channels: item.channels };
    const to = { height: item.to[0], width: item.to[1] };
    const ours = resizeBilinear(Uint8Array.from(item.data), from, to);
    expect(ours.length).toBe(item.linear.length);
    ours.forEach((value, i) => {
      expect(Math.abs(value - item.linear[i])).toBeLessThan(1e-3);
      expect(Math.abs(Math.round(value) - item.linear8[i])).toBeLessThanOrEqual(1);
    });
    const first = Uint8Array.from(
      { length: from.width * from.height },
      (_, i) => item.data[i * item.channels],
    );
    expect(Array.from(resizeNearest(first, from, to))).toEqual(item.nearest);
  });

  test('nearest picks the samples that OpenCV picks', () => {
    for (const [width, toWidth, expected] of fixture.nearestIndices) {
      const row = Uint8Array.from({ length: width }, (_, i) => i);
      expect([
        width,
        toWidth,
        Array.from(resizeNearest(row, { width, height: 1 }, { width: toWidth, height: 1 })),
      ]).toEqual([width, toWidth, expected]);
    }
  });

  test('bilinear equals the plain formula on random sizes', () => {
    const size = fc.integer({ min: 1, max: 12 });
    fc.assert(
      fc.property(
        size,
        size,
        size,
        size,
        fc.integer({ min: 1, max: 4 }),
        (width, height, toWidth, toHeight, channels) => {
          const data = Float32Array.from(
            { length: width * height * channels },
            (_, i) => Math.sin(i * 12.9898) * 50,
          );
          const ours = resizeBilinear(
            data,
            { width, height, channels },
            { width: toWidth, height: toHeight },
          );
          const at = (y: number, x: number, c: number) => data[(y * width + x) * channels + c];
          for (let y = 0; y < toHeight; y++) {
            for (let x = 0; x < toWidth; x++) {
              const sy = Math.min(Math.max(((y + 0.5) * height) / toHeight - 0.5, 0), height - 1);
              const sx = Math.min(Math.max(((x + 0.5) * width) / toWidth - 0.5, 0), width - 1);
              const y0 = Math.floor(sy);
              const x0 = Math.floor(sx);
              const y1 = Math.min(y0 + 1, height - 1);
              const x1 = Math.min(x0 + 1, width - 1);
              for (let c = 0; c < channels; c++) {
                const top = at(y0, x0, c) * (1 - (sx - x0)) + at(y0, x1, c) * (sx - x0);
                const bottom = at(y1, x0, c) * (1 - (sx - x0)) + at(y1, x1, c) * (sx - x0);
                const expected = top * (1 - (sy - y0)) + bottom * (sy - y0);
                if (Math.abs(ours[(y * toWidth + x) * channels + c] - expected) > 1e-4) return false;
              }
            }
          }
          return true;
        },
      ),
      { numRuns: 200 },
    );
  });

  test('wrong sizes are named', () => {
    expect(() =>
      resizeBilinear(new Float32Array(5), { width: 2, height: 2 }, { width: 1, height: 1 }),
    ).toThrow(/4 elements.*got 5/);
    expect(() => resizeNearest(new Uint8Array(4), { width: 2, height: 2 }, { width: 0, height: 1 })).toThrow(
      /to\.width/,
    );
  });
});
