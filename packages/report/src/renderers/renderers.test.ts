import { vocPalette } from '@auxseg/formats';
import { describe, expect, test } from '@jest/globals';
import { colourHeatMap, colourLabels, markPoint, shrinkImage } from '../index.js';

const filled = (width: number, height: number, colour: number[]) => ({
  width,
  height,
  data: Uint8Array.from({ length: width * height * 3 }, (_, index) => colour[index % 3]),
});
const pixel = (image: { width: number; data: Uint8Array }, x: number, y: number) => [
  ...image.data.slice(3 * (y * image.width + x), 3 * (y * image.width + x) + 3),
];
const luminance = ([r, g, b]: number[]) => 0.2126 * r + 0.7152 * g + 0.0722 * b;

describe('colourHeatMap', () => {
  test('grey without a photo: 0..1 to 0..255, clamped, NaN as 0', () => {
    const map = { width: 5, height: 1, data: new Float32Array([0, 0.5, 1, 3, Number.NaN]) };
    expect([0, 1, 2, 3, 4].map((x) => pixel(colourHeatMap(map), x, 0)[1])).toEqual([0, 128, 255, 255, 0]);
  });

  test('heat rises in lightness with the score', () => {
    const map = {
      width: 101,
      height: 1,
      data: Float32Array.from({ length: 101 }, (_, index) => index / 100),
    };
    const image = colourHeatMap(map, { colours: 'heat' });
    for (let x = 1; x <= 100; x++) {
      expect(luminance(pixel(image, x, 0))).toBeGreaterThan(luminance(pixel(image, x - 1, 0)));
    }
  });

  test('over a photo: its size, the photo in grey where the score is low', () => {
    const photo = filled(7, 5, [200, 40, 90]);
    const map = { width: 3, height: 2, data: new Float32Array([0, 0, 1, 0, 0, 1]) };
    for (const resize of ['bilinear', 'nearest'] as const) {
      const image = colourHeatMap(map, { over: photo, resize });
      expect([image.width, image.height, image.data.length]).toEqual([7, 5, 105]);
      expect(luminance(pixel(image, 6, 2))).toBeGreaterThan(luminance(pixel(image, 0, 2)) + 80);
      const [r, g, b] = pixel(image, 0, 2);
      expect(Math.max(r, g, b) - Math.min(r, g, b)).toBeLessThan(12);
    }
    expect(pixel(colourHeatMap(map, { over: photo, opacity: 0 }), 6, 2)).toEqual([94, 94, 94]);
  });

  test('an array of another size is named', () => {
    const map = { width: 3, height: 2, data: new Float32Array(5) };
    expect(() => colourHeatMap(map)).toThrow(/6 values for a score map of 3x2 .* came 5/);
  });
});

describe('colourLabels', () => {
  const palette = vocPalette();
  const map = { width: 4, height: 2, data: new Uint8Array([0, 1, 1, 1, 255, 1, 1, 1]) };

  test('alone: the palette, ignored pixels grey', () => {
    const image = colourLabels(map);
    expect(pixel(image, 0, 0)).toEqual([0, 0, 0]);
    expect(pixel(image, 2, 1)).toEqual([...palette.slice(3, 6)]);
    const ignored = pixel(image, 0, 1);
    expect(Math.max(...ignored) - Math.min(...ignored)).toBeLessThan(10);
  });

  test('over a photo: blended, borders pure', () => {
    const photo = filled(4, 2, [100, 100, 100]);
    const image = colourLabels(map, { over: photo, opacity: 0.5 });
    expect(pixel(image, 0, 0)).toEqual([75, 75, 75]);
    expect(pixel(image, 1, 0)).toEqual([128, 0, 0]);
    expect(pixel(image, 3, 0)).toEqual([114, 50, 50]);
    expect(photo.data[0]).toBe(100);
  });

  test('a photo of another size is named', () => {
    expect(() => colourLabels(map, { over: filled(3, 2, [0, 0, 0]) })).toThrow(/24 values .* came 18/);
  });
});

describe('markPoint', () => {
  test('draws a ring, leaves its middle and the rest alone', () => {
    const image = filled(41, 31, [10, 20, 30]);
    const marked = markPoint(image, { x: 20, y: 15, radiusPx: 8 });
    expect(pixel(marked, 28, 15)).toEqual([80, 255, 120]);
    expect(pixel(marked, 20, 7)).toEqual([80, 255, 120]);
    expect(pixel(marked, 20, 15)).toEqual([10, 20, 30]);
    expect(pixel(marked, 0, 0)).toEqual([10, 20, 30]);
    expect(pixel(image, 28, 15)).toEqual([10, 20, 30]);
  });

  test('is cut off at the edge', () => {
    const marked = markPoint(filled(5, 4, [0, 0, 0]), { x: 0, y: 0 });
    expect(marked.data.length).toBe(60);
    expect(pixel(marked, 4, 0)).toEqual([80, 255, 120]);
  });
});

describe('shrinkImage', () => {
  test('averages areas, whole and broken ratios', () => {
    const image = {
      width: 4,
      height: 2,
      data: Uint8Array.from({ length: 24 }, (_, i) => 10 * Math.floor(i / 3)),
    };
    expect(shrinkImage(image, 2)).toEqual({
      width: 2,
      height: 1,
      data: new Uint8Array([25, 25, 25, 45, 45, 45]),
    });
    const twelves = Uint8Array.from({ length: 12 }, (_, i) => 12 * Math.floor(i / 3));
    const three = shrinkImage({ width: 4, height: 1, data: twelves }, 3);
    // Three pixels of 4/3 each: (0 + 12/3) / (4/3), (2/3 of 12 and of 24) / (4/3), (24/3 + 36) / (4/3).
    expect([0, 1, 2].map((x) => pixel(three, x, 0)[0])).toEqual([3, 18, 33]);
  });

  test('keeps the mean of a random picture, leaves a small one as it is', () => {
    const data = Uint8Array.from({ length: 37 * 23 * 3 }, (_, i) => (i * 7919) % 256);
    const small = shrinkImage({ width: 37, height: 23, data }, 10);
    expect([small.width, small.height]).toEqual([10, 6]);
    const mean = (values: Uint8Array) => values.reduce((a, b) => a + b, 0) / values.length;
    expect(Math.abs(mean(small.data) - mean(data))).toBeLessThan(1);
    expect(shrinkImage(small, 10)).toEqual(small);
  });
});
