import { describe, expect, test } from '@jest/globals';
import { type SaliencyCrf, saliencyUnary, updateSaliency } from './update-saliency.js';

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

describe('saliencyUnary', () => {
  test('is the energy of the method facts, background first', () => {
    const p = Float32Array.of(0, 0.1, 0.5, 0.9, 1);
    const unary = saliencyUnary(p);
    p.forEach((value, i) => {
      expect(unary[i]).toBeCloseTo(-Math.log(1 - value + 1e-8) / (1.05 * sigmoid(1 - value)), 5);
      expect(unary[5 + i]).toBeCloseTo(-Math.log(value + 1e-8) / (1.05 * sigmoid(value)), 5);
    });
    // Numbers from NumPy for p = 0.25.
    const quarter = saliencyUnary(Float32Array.of(0.25));
    expect(quarter[0]).toBeCloseTo(0.4034033, 6);
    expect(quarter[1]).toBeCloseTo(2.3485156, 6);
  });
});

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
    expect(seen).toEqual([
      {
        width: 3,
        height: 2,
        labels: 2,
        unary: saliencyUnary(Float32Array.of(0.25, 0.375, 0.5, 0.625, 0.5, 0.2)),
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
});
