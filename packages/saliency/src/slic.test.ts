import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { rgbToLab } from './rgb-to-lab.js';
import { shrinkImage } from './shrink-image.js';
import { enforceConnectivity, type Superpixels, slic } from './slic.js';

const { labelling } = JSON.parse(readFileSync(new URL('./fixtures/pieces.json', import.meta.url), 'utf8'));

/** Each label 0..count-1 occurs, and is one 4-connected piece. */
function expectConnected({ width, height, count, labels }: Superpixels): void {
  const seen = new Uint8Array(labels.length);
  const pieces = new Int32Array(count);
  for (let start = 0; start < labels.length; start++) {
    if (seen[start]) continue;
    pieces[labels[start]]++;
    const stack = [start];
    seen[start] = 1;
    while (stack.length > 0) {
      const i = stack.pop()!;
      const x = i % width;
      for (const j of [x > 0 ? i - 1 : -1, x < width - 1 ? i + 1 : -1, i - width, i + width]) {
        if (j < 0 || j >= width * height || seen[j] || labels[j] !== labels[i]) continue;
        seen[j] = 1;
        stack.push(j);
      }
    }
  }
  expect(Array.from(pieces)).toEqual(Array(count).fill(1));
}

describe('enforceConnectivity', () => {
  const { width, height } = labelling;
  const labels = Int32Array.from(labelling.labels);

  test('numbers the pieces that scipy.ndimage.label finds', () => {
    const got = enforceConnectivity(labels, width, height, 1);
    expect(Array.from(got.labels)).toEqual(labelling.pieces);
    expect(got.count).toBe(Math.max(...labelling.pieces) + 1);
  });

  test('joins small pieces to a neighbour, and every piece stays whole', () => {
    const got = enforceConnectivity(labels, width, height, 4);
    expect(Array.from(got.labels)).toEqual(labelling.merged4);
    expectConnected(got);
  });
});

describe('slic', () => {
  for (const name of ['detection-61x47', 'detection-40x66']) {
    test(`${name}: gives the superpixels of a NumPy version that compares every centre with every pixel`, () => {
      const fixture = JSON.parse(readFileSync(new URL(`./fixtures/${name}.json`, import.meta.url), 'utf8'));
      const image = { width: fixture.width, height: fixture.height, data: Uint8Array.from(fixture.rgb) };
      const rect = { x: 0, y: 0, width: image.width, height: image.height };
      const lab = rgbToLab(shrinkImage(image, rect, image.width, image.height));
      const got = slic(lab, { count: fixture.superpixels.wanted, compactness: 20, iterations: 10 });
      expect(got.count).toBe(fixture.superpixels.count);
      expect(Array.from(got.labels)).toEqual(fixture.superpixels.labels);
      expectConnected(got);
    });
  }

  test('every superpixel is one piece, on noise and on narrow images', () => {
    let state = 5;
    const random = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 32;
    };
    for (const [width, height, count] of [
      [1, 1, 250],
      [1, 60, 20],
      [90, 2, 30],
      [31, 23, 250],
      [80, 60, 100],
    ]) {
      const data = Float32Array.from({ length: 3 * width * height }, () => 60 * random());
      const got = slic({ width, height, channels: 3, data }, { count, compactness: 20, iterations: 5 });
      expectConnected(got);
      expect(got.count).toBeLessThanOrEqual(2 * count);
    }
  });
});
