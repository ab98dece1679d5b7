import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readNpz } from '@auxseg/formats';
import { describe, expect, test } from '@jest/globals';
import {
  jitterColors,
  resampleImage,
  resamplePlainly,
  transformImage,
  transformLabels,
  transformSaliency,
} from './apply-transform.js';
import { normalizationTable } from './normalization.js';
import { checkTransform, type Geometry, planSample, resizedSize } from './plan-transform.js';
import { createRandom } from './random.js';

const fixtures = join(import.meta.dirname, 'fixtures');
const arrays = readNpz(readFileSync(join(fixtures, 'opencv.npz')));
const cases = JSON.parse(readFileSync(join(fixtures, 'opencv.json'), 'utf8'));
const bytes = (name: string): Uint8Array => arrays.get(name)?.data as Uint8Array;
const floats = (name: string): Float32Array => arrays.get(name)?.data as Float32Array;

interface ResizeCase {
  width: number;
  height: number;
  scaledWidth: number;
  scaledHeight: number;
  flip: boolean;
  i: number;
}

function wholeImage(c: {
  width: number;
  height: number;
  scaledWidth: number;
  scaledHeight: number;
  flip: boolean;
}): Geometry {
  return {
    sourceWidth: c.width,
    sourceHeight: c.height,
    flip: c.flip,
    scaledWidth: c.scaledWidth,
    scaledHeight: c.scaledHeight,
    outputWidth: c.scaledWidth,
    outputHeight: c.scaledHeight,
    cutX: 0,
    cutY: 0,
    putX: 0,
    putY: 0,
    copyWidth: c.scaledWidth,
    copyHeight: c.scaledHeight,
  };
}

describe('against OpenCV', () => {
  test.each<ResizeCase>(cases.resize.map((c: object, i: number) => ({ ...c, i })))(
    'resize %o',
    (c: ResizeCase) => {
      const g = wholeImage(c);
      const image = resampleImage(bytes(`image${c.i}`), g);
      const expected = bytes(`image${c.i}_out`);
      let worst = 0;
      for (let k = 0; k < image.length; k++) worst = Math.max(worst, Math.abs(image[k] - expected[k]));
      expect(image.length).toBe(expected.length);
      expect(worst).toBeLessThanOrEqual(1);

      const labels = new Uint8Array(g.outputWidth * g.outputHeight);
      transformLabels({ data: bytes(`labels${c.i}`), geometry: g, pad: 255, out: labels, offset: 0 });
      expect(Buffer.from(labels).equals(Buffer.from(bytes(`labels${c.i}_out`)))).toBe(true);

      const saliency = new Float32Array(labels.length);
      transformSaliency({
        data: floats(`saliency${c.i}`),
        gain: 1,
        geometry: g,
        pad: 0,
        out: saliency,
        offset: 0,
      });
      const wanted = floats(`saliency${c.i}_out`);
      let worstSaliency = 0;
      for (let k = 0; k < saliency.length; k++)
        worstSaliency = Math.max(worstSaliency, Math.abs(saliency[k] - wanted[k]));
      expect(worstSaliency).toBeLessThan(2e-5);
    },
  );

  test.each<{ factors: number[]; i: number }>(
    cases.jitter.map((factors: number[], i: number) => ({ factors, i })),
  )('jitter $factors as torchvision defines it', ({ factors, i }: { factors: number[]; i: number }) => {
    const image = bytes('jitter').slice();
    jitterColors(image, { brightness: factors[0], contrast: factors[1], saturation: factors[2] });
    const expected = bytes(`jitter${i}_out`);
    let worst = 0;
    for (let k = 0; k < image.length; k++) worst = Math.max(worst, Math.abs(image[k] - expected[k]));
    expect(worst).toBeLessThanOrEqual(1);
  });
});

describe('a planned sample', () => {
  // The same operations one after another, on whole images, as the slow reference.
  function slowly(data: Uint8Array, g: Geometry): Uint8Array {
    const mirrored = new Uint8Array(data.length);
    for (let y = 0; y < g.sourceHeight; y++) {
      for (let x = 0; x < g.sourceWidth; x++) {
        const from = g.flip ? g.sourceWidth - 1 - x : x;
        for (let c = 0; c < 3; c++)
          mirrored[(y * g.sourceWidth + x) * 3 + c] = data[(y * g.sourceWidth + from) * 3 + c];
      }
    }
    const scaled = resampleImage(
      mirrored,
      wholeImage({
        width: g.sourceWidth,
        height: g.sourceHeight,
        scaledWidth: g.scaledWidth,
        scaledHeight: g.scaledHeight,
        flip: false,
      }),
    );
    const out = new Uint8Array(g.outputWidth * g.outputHeight * 3);
    for (let y = 0; y < g.copyHeight; y++) {
      for (let x = 0; x < g.copyWidth; x++) {
        for (let c = 0; c < 3; c++) {
          out[((g.putY + y) * g.outputWidth + g.putX + x) * 3 + c] =
            scaled[((g.cutY + y) * g.scaledWidth + g.cutX + x) * 3 + c];
        }
      }
    }
    return out;
  }

  test('equals flip, resize, cut and pad one after another, for random sizes', () => {
    const random = createRandom('test');
    for (let round = 0; round < 60; round++) {
      const width = 1 + random.integer(40);
      const height = 1 + random.integer(40);
      const data = Uint8Array.from({ length: width * height * 3 }, () => random.integer(256));
      const crop = { width: 1 + random.integer(50), height: 1 + random.integer(50) };
      const { geometry } = planSample(
        { width, height },
        { flip: 0.5, scale: { min: 0.4, max: 2.2 }, crop },
        random,
        null,
      );
      expect(geometry.outputWidth).toBe(crop.width);
      expect(geometry.copyWidth).toBe(Math.min(crop.width, geometry.scaledWidth));
      expect(geometry.cutX + geometry.copyWidth).toBeLessThanOrEqual(geometry.scaledWidth);
      expect(geometry.putX + geometry.copyWidth).toBeLessThanOrEqual(crop.width);
      expect(Buffer.compare(resampleImage(data, geometry), slowly(data, geometry))).toBe(0);
    }
  });

  test('the compiled loops give the same floats as the plain ones', () => {
    const random = createRandom('kernel');
    const table = normalizationTable('imagenet');
    for (let round = 0; round < 80; round++) {
      const width = 1 + random.integer(60);
      const height = 1 + random.integer(40);
      const data = Uint8Array.from({ length: width * height * 3 }, () => random.integer(256));
      const crop = { width: 1 + random.integer(70), height: 1 + random.integer(50) };
      const { geometry } = planSample(
        { width, height },
        { flip: 0.5, scale: { min: 0.3, max: 2.5 }, crop },
        random,
        null,
      );
      const out = new Float32Array(crop.width * crop.height * 3);
      transformImage({ data, geometry, jitter: null, table, pad: 0, out, offset: 0 });
      const plain = resamplePlainly(data, geometry, table);
      const wanted = new Float32Array(out.length);
      for (let y = 0; y < geometry.copyHeight; y++) {
        const row = plain.subarray(y * geometry.copyWidth * 3, (y + 1) * geometry.copyWidth * 3);
        wanted.set(row, ((geometry.putY + y) * crop.width + geometry.putX) * 3);
      }
      expect(Buffer.compare(Buffer.from(out.buffer), Buffer.from(wanted.buffer))).toBe(0);
    }
  });

  test('labels and saliency move with the image, padding takes its own values', () => {
    const random = createRandom('joint');
    for (let round = 0; round < 40; round++) {
      const width = 2 + random.integer(30);
      const height = 2 + random.integer(30);
      // One object whose label and saliency can be read off the image: at unit scale all three must agree everywhere.
      const labels = Uint8Array.from({ length: width * height }, () => random.integer(3));
      const image = Uint8Array.from(
        { length: width * height * 3 },
        (_, i) => labels[Math.floor(i / 3)] * 100,
      );
      const { geometry: g } = planSample({ width, height }, { flip: true, crop: 20 }, random, null);
      const table = normalizationTable({ mean: [0, 0, 0], std: [1 / 255, 1 / 255, 1 / 255] });
      const outImage = new Float32Array(1200 + 7);
      const outLabels = new Uint8Array(400 + 3);
      const outSaliency = new Float32Array(400 + 3);
      transformImage({ data: image, geometry: g, jitter: null, table, pad: -9, out: outImage, offset: 7 });
      transformLabels({ data: labels, geometry: g, pad: 255, out: outLabels, offset: 3 });
      transformSaliency({ data: labels, gain: 0.5, geometry: g, pad: 0.25, out: outSaliency, offset: 3 });
      let padded = 0;
      let wrong = 0;
      for (let p = 0; p < 400; p++) {
        const v = outImage[7 + p * 3 + 1];
        if (v === -9) {
          padded++;
          if (outLabels[3 + p] !== 255 || outSaliency[3 + p] !== 0.25) wrong++;
        } else if (
          outLabels[3 + p] !== Math.round(v / 100) ||
          Math.abs(outSaliency[3 + p] - outLabels[3 + p] / 2) > 1e-6
        ) {
          wrong++;
        }
      }
      expect(wrong).toBe(0);
      expect(padded).toBe(400 - g.copyWidth * g.copyHeight);
      expect(outImage.subarray(0, 7).every((v) => v === 0)).toBe(true);
    }
  });

  test('switching an option off leaves the other draws alone', () => {
    const size = { width: 90, height: 70 };
    const draw = (transform: object): Geometry =>
      planSample(size, transform, createRandom(5, 'id'), null).geometry;
    const all = draw({ flip: true, scale: { min: 0.7, max: 1.3 }, crop: 32 });
    expect(draw({ flip: true, crop: 32 }).flip).toBe(all.flip);
    expect(draw({ scale: { min: 0.7, max: 1.3 }, crop: 32, jitter: { brightness: 0.3 } })).toEqual({
      ...all,
      flip: false,
    });
  });

  test('a centre crop and a fixed size are not random', () => {
    const { geometry } = planSample(
      { width: 11, height: 8 },
      { crop: { width: 5, height: 12, position: 'center' } },
      createRandom(1),
      null,
    );
    expect(geometry).toMatchObject({ cutX: 3, putX: 0, copyWidth: 5, cutY: 0, putY: 2, copyHeight: 8 });
    expect(resizedSize(500, 375, { longer: 320 }, 1)).toEqual({ width: 320, height: 240 });
    expect(resizedSize(500, 375, { shorter: 240 }, 0.5)).toEqual({ width: 160, height: 120 });
    expect(resizedSize(500, 375, { width: 10, height: 20 }, 1)).toEqual({ width: 10, height: 20 });
    expect(resizedSize(3, 2, undefined, 0.01)).toEqual({ width: 1, height: 1 });
  });

  test('jitter factors of zero strength change nothing', () => {
    const { jitter } = planSample({ width: 4, height: 4 }, { jitter: {} }, createRandom(1), null);
    expect(jitter).toEqual({ brightness: 1, contrast: 1, saturation: 1 });
  });
});

test('a transform with an impossible value is refused by name', () => {
  expect(() => checkTransform({ crop: 0 })).toThrow(/transform\.crop .* came 0/);
  expect(() => checkTransform({ flip: 2 })).toThrow(/transform\.flip/);
  expect(() => checkTransform({ scale: { min: 2, max: 1 } })).toThrow(/transform\.scale/);
  expect(() => checkTransform({ padLabel: 300 })).toThrow(/transform\.padLabel/);
  expect(() => checkTransform({ jitter: { contrast: -1 } })).toThrow(/transform\.jitter\.contrast/);
});

test('normalisation tables hold the published statistics', () => {
  const imagenet = normalizationTable('imagenet');
  expect(imagenet[128]).toBeCloseTo((128 / 255 - 0.485) / 0.229, 6);
  expect(imagenet[512 + 255]).toBeCloseTo((1 - 0.406) / 0.225, 6);
  const mobilenet = normalizationTable('mobilenet');
  expect([mobilenet[0], mobilenet[255], mobilenet[300]]).toEqual([
    -1,
    1,
    Math.fround((300 - 256) / 127.5 - 1),
  ]);
});
