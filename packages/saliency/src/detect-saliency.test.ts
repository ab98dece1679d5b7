import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { detectSaliency, type SaliencyMethod } from './detect-saliency.js';
import { conformanceSamples } from './testing.js';

const methods: SaliencyMethod[] = ['mbplus', 'rbd', 'combined'];

function image(width: number, height: number, colour: (x: number, y: number) => number[]) {
  const data = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) data.set(colour(x, y), 3 * (y * width + x));
  return { width, height, data };
}

function randomSource(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

describe('detectSaliency', () => {
  for (const name of ['detection-61x47', 'detection-40x66']) {
    test(`${name}: whole maps agree with the NumPy reference`, () => {
      const fixture = JSON.parse(readFileSync(new URL(`./fixtures/${name}.json`, import.meta.url), 'utf8'));
      const { width, height, superpixels } = fixture;
      const photo = { width, height, data: Uint8Array.from(fixture.rgb) };
      const parameters = {
        rbd: { superpixels: { count: superpixels.wanted, compactness: 20, iterations: 10 } },
      };
      const painted = (values: number[]) => superpixels.labels.map((k: number) => values[k]);
      for (const [method, expected] of [
        ['mbplus', fixture.mbPlus],
        ['rbd', painted(fixture.rbd)],
        ['combined', painted(fixture.combined)],
      ] as const) {
        const got = detectSaliency(photo, { method, parameters });
        expect([got.width, got.height, got.data.length]).toEqual([width, height, width * height]);
        const worst = got.data.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i])), 0);
        expect(worst).toBeLessThan(2e-3);
      }
    });
  }

  test.each(methods)('%s: finds an object on a textured ground at an odd size', (method) => {
    const random = randomSource(4);
    const width = 331;
    const height = 203;
    const inside = (x: number, y: number) => ((x - 170) / 60) ** 2 + ((y - 110) / 50) ** 2 < 1;
    const photo = image(width, height, (x, y) =>
      inside(x, y)
        ? [200 + 20 * random(), 90 + 20 * random(), 40]
        : [60 + 20 * random(), 110 + 25 * random() + (40 * x) / width, 60 + 20 * random()],
    );
    const { data } = detectSaliency(photo, { method });
    const mean = [0, 0];
    const count = [0, 0];
    data.forEach((value, i) => {
      const part = inside(i % width, Math.floor(i / width)) ? 1 : 0;
      mean[part] += value;
      count[part]++;
    });
    expect(mean[1] / count[1]).toBeGreaterThan(0.8);
    expect(mean[0] / count[0]).toBeLessThan(0.1);
  });

  describe.each(methods)('%s: pitfalls', (method) => {
    const detect = (photo: { width: number; height: number; data: Uint8Array }) =>
      detectSaliency(photo, { method });

    test('constant and one-pixel images give 0 everywhere, not NaN', () => {
      for (const [width, height] of [
        [1, 1],
        [2, 2],
        [1, 37],
        [64, 48],
        [640, 480],
      ]) {
        const { data } = detect(image(width, height, () => [200, 30, 90]));
        expect(data.every((value) => value === 0)).toBe(true);
      }
    });

    test('noise of one level up or down does not become a full-range map', () => {
      for (const size of [40, 230]) {
        const random = randomSource(size);
        const noise = () => 127 + Math.floor(3 * random());
        const { data } = detect(image(size, size - 7, () => [noise(), noise(), noise()]));
        expect(data.every((value) => value === 0)).toBe(true);
      }
    });

    test('narrow, tiny and panoramic images give finite values in 0..1', () => {
      for (const [width, height] of [
        [1, 1],
        [1, 2],
        [2, 1],
        [2, 2],
        [3, 3],
        [1, 500],
        [500, 1],
        [2, 300],
        [5, 4],
        [2000, 20],
        [20, 2000],
      ]) {
        const random = randomSource(width * 31 + height);
        const map = detect(image(width, height, () => [255 * random(), 255 * random(), 255 * random()]));
        expect([map.width, map.height, map.data.length]).toEqual([width, height, width * height]);
        expect(map.data.every((value) => value >= 0 && value <= 1)).toBe(true);
      }
    });

    test('two runs give the same bits', () => {
      for (const { image: photo } of conformanceSamples())
        expect(detect(photo).data).toEqual(detect(photo).data);
    });

    test('a black frame is cut off: the map inside hardly changes, the frame is 0', () => {
      const scene = conformanceSamples()[0].image;
      const framed = image(scene.width + 20, scene.height + 16, (x, y) => {
        const inside = x >= 10 && x < scene.width + 10 && y >= 8 && y < scene.height + 8;
        const at = 3 * ((y - 8) * scene.width + x - 10);
        return inside ? Array.from(scene.data.subarray(at, at + 3)) : [0, 0, 0];
      });
      const plain = detect(scene).data;
      const { data } = detect(framed);
      let difference = 0;
      let inFrame = 0;
      for (let y = 0; y < framed.height; y++) {
        for (let x = 0; x < framed.width; x++) {
          const value = data[y * framed.width + x];
          if (x < 10 || y < 8 || x >= scene.width + 10 || y >= scene.height + 8) inFrame += value;
          else difference += Math.abs(value - plain[(y - 8) * scene.width + x - 10]);
        }
      }
      expect(inFrame).toBe(0);
      expect(difference / plain.length).toBeLessThan(0.08);
    });
  });

  test('uses given parameters group by group', () => {
    const scene = conformanceSamples()[0].image;
    const usual = detectSaliency(scene, { method: 'mbplus' });
    const other = detectSaliency(scene, { method: 'mbplus', parameters: { mbPlus: { centreSigma: 0.1 } } });
    expect(other.data).not.toEqual(usual.data);
    expect(
      detectSaliency(scene, { method: 'mbplus', parameters: { mbPlus: {}, minRange: 300 } }).data.every(
        (v) => v === 0,
      ),
    ).toBe(true);
  });

  test('says what is wrong with its input', () => {
    expect(() => detectSaliency({ width: 2, height: 2, data: new Uint8Array(16) })).toThrow(
      'Expected RGB bytes [2,2,3] (12), got 16; grey and RGBA images must be converted first',
    );
    expect(() => detectSaliency({ width: 0, height: 2, data: new Uint8Array(0) })).toThrow('got 0x2');
    expect(() =>
      detectSaliency({ width: 1, height: 1, data: new Uint8Array(3) }, { method: 'deep' as never }),
    ).toThrow('got "deep"');
  });
});
