import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { rgbToLab } from './rgb-to-lab.js';
import { shrinkImage, shrunkSize } from './shrink-image.js';

const { rgb, shrunk, lab, colours } = JSON.parse(
  readFileSync(new URL('./fixtures/pieces.json', import.meta.url), 'utf8'),
);
const image = { width: rgb.width, height: rgb.height, data: Uint8Array.from(rgb.data) };
const whole = { x: 0, y: 0, width: rgb.width, height: rgb.height };
const largestDifference = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  expect(a.length).toBe(b.length);
  return Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
};

describe('shrinkImage', () => {
  test('averages areas as the matrix products of NumPy do', () => {
    expect(shrunkSize(37, 29, 23)).toEqual({ width: 23, height: 18 });
    const small = shrinkImage(image, whole, 23, 18);
    expect(largestDifference(small.data, shrunk.data)).toBeLessThan(1e-3);
  });

  test('cuts out a rectangle, and copies it when nothing shrinks', () => {
    const rect = { x: 5, y: 3, width: 11, height: 7 };
    const cut = shrinkImage(image, rect, 11, 7);
    for (let c = 0; c < 3; c++) {
      for (let y = 0; y < 7; y++) {
        for (let x = 0; x < 11; x++) {
          expect(cut.data[(c * 7 + y) * 11 + x]).toBe(image.data[3 * ((y + 3) * 37 + x + 5) + c]);
        }
      }
    }
  });

  test('keeps the mean of the image, at any size', () => {
    const mean = (data: ArrayLike<number>) => Array.from(data).reduce((a, b) => a + b, 0) / data.length;
    for (const [w, h] of [
      [1, 1],
      [36, 28],
      [2, 29],
      [13, 1],
    ]) {
      expect(mean(shrinkImage(image, whole, w, h).data)).toBeCloseTo(mean(image.data), 3);
    }
  });

  test('sizes keep proportions, never grow and never vanish', () => {
    expect(shrunkSize(500, 375, 200)).toEqual({ width: 200, height: 150 });
    expect(shrunkSize(10, 20, 200)).toEqual({ width: 10, height: 20 });
    expect(shrunkSize(2000, 3, 200)).toEqual({ width: 200, height: 1 });
  });
});

describe('rgbToLab', () => {
  test('is CIE Lab within 0.01, on averages and on random colours', () => {
    const small = { ...shrunk, channels: 3, data: Float32Array.from(shrunk.data) };
    expect(largestDifference(rgbToLab(small).data, lab)).toBeLessThan(0.01);
    const list = { width: 60, height: 1, channels: 3, data: Float32Array.from(colours.rgb) };
    expect(largestDifference(rgbToLab(list).data, colours.lab)).toBeLessThan(0.01);
  });

  test('black is 0 and white is 100, both without colour', () => {
    const two = { width: 2, height: 1, channels: 3, data: Float32Array.of(0, 255, 0, 255, 0, 255) };
    expect(largestDifference(rgbToLab(two).data, [0, 100, 0, 0, 0, 0])).toBeLessThan(0.01);
  });
});
