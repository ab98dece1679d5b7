import { createDenseCrfReference } from '@auxseg/crf';
import { describe, expect, test } from '@jest/globals';
import { type SaliencyCrf, updateSaliency } from './update-saliency.js';

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

/** CRF_sal's energies as the method facts say them, for one pixel: background, foreground. */
const energies = (p: number) => [
  -Math.log(1 - p + 1e-8) / (1.05 * sigmoid(1 - p)),
  -Math.log(p + 1e-8) / (1.05 * sigmoid(p)),
];

describe('updateSaliency', () => {
  const image = { width: 3, height: 2, data: new Uint8Array(18) };
  const refined = Float32Array.of(0, 0.25, 0.5, 0.75, 1, 0.1);
  const original = Float32Array.of(0.5, 0.5, 0.5, 0.5, 0, 0.3);
  const fake = (): { crf: SaliencyCrf; seen: unknown[] } => {
    const seen: unknown[] = [];
    return {
      seen,
      crf: {
        infer: async (options) => {
          seen.push(options);
          return Float32Array.from({ length: 12 }, (_, i) => i / 12);
        },
      },
    };
  };

  test('averages with the original map when there is no CRF', async () => {
    const map = await updateSaliency({ refined, original, image, crf: null });
    expect(map.width).toBe(3);
    expect(map.height).toBe(2);
    expect(Array.from(map.data)).toEqual([0.25, 0.375, 0.5, 0.625, 0.5, 0.2].map(Math.fround));
    const weighted = await updateSaliency({ refined, original, image, crf: null, refinedWeight: 1 });
    expect(weighted.data).toEqual(refined);
    expect(weighted.data).not.toBe(refined);
  });

  test('asks the CRF for one step with the official kernels and takes its foreground', async () => {
    const { crf, seen } = fake();
    const map = await updateSaliency({ refined, original, image, crf });
    const { unary, ...rest } = seen[0] as { unary: Float32Array };
    [0.25, 0.375, 0.5, 0.625, 0.5, 0.2].forEach((p, i) => {
      expect(unary[i]).toBeCloseTo(energies(p)[0], 5);
      expect(unary[6 + i]).toBeCloseTo(energies(p)[1], 5);
    });
    expect([rest]).toEqual([
      {
        width: 3,
        height: 2,
        labels: 2,
        image: image.data,
        gaussian: { sxy: 3, compat: 3 },
        bilateral: { sxy: 60, srgb: 5, compat: 5 },
        iterations: 1,
      },
    ]);
    expect(Array.from(map.data)).toEqual([6, 7, 8, 9, 10, 11].map((i) => Math.fround(i / 12)));
  });

  test('rejects logits, wrong sizes and odd CRF results', async () => {
    const { crf } = fake();
    await expect(
      updateSaliency({ refined: Float32Array.of(0, 0, 3, 0, 0, 0), original, image, crf }),
    ).rejects.toThrow('got refined 3 and original 0.5 at x=2, y=0; apply the sigmoid');
    await expect(
      updateSaliency({ refined: new Float32Array(6).fill(Number.NaN), original, image, crf }),
    ).rejects.toMatchObject({ code: 'BAD_VALUE' });
    await expect(
      updateSaliency({ refined: new Float32Array(5), original, image, crf, id: 'a' }),
    ).rejects.toThrow('refined saliency [2,3] (6 numbers) for image a, got 5');
    await expect(
      updateSaliency({ refined, original, image: { ...image, data: new Uint8Array(6) }, crf }),
    ).rejects.toMatchObject({ code: 'BAD_SHAPE' });
    await expect(updateSaliency({ refined, original, image, crf, refinedWeight: 2 })).rejects.toMatchObject({
      code: 'BAD_OPTION',
    });
    await expect(
      updateSaliency({ refined, original, image, crf: { infer: () => new Float32Array(6) } }),
    ).rejects.toThrow('Q [2,2,3] (12 numbers), got 6');
  });

  test('with the real CRF, one step on certain maps changes nothing and noise is smoothed', async () => {
    const crf = createDenseCrfReference();
    const width = 24;
    const height = 18;
    const data = new Uint8Array(3 * width * height);
    const truth = new Float32Array(width * height);
    const noisy = new Float32Array(width * height);
    for (let i = 0; i < truth.length; i++) {
      truth[i] = i % width < 12 ? 1 : 0;
      data.fill(truth[i] ? 220 : 30, 3 * i, 3 * i + 3);
      // One pixel in seven is wrong.
      noisy[i] = (i * 5) % 7 === 0 ? 1 - truth[i] : truth[i];
    }
    const scene = { width, height, data };
    const same = await updateSaliency({ refined: truth, original: truth, image: scene, crf });
    same.data.forEach((value, i) => {
      expect(value).toBeCloseTo(truth[i], 3);
    });
    const map = await updateSaliency({ refined: noisy, original: truth, image: scene, crf });
    const wrong = Array.from(map.data).filter((value, i) => Math.round(value) !== truth[i]).length;
    expect(wrong).toBe(0);
    crf.dispose();
  });
});
