import { describe, expect, test } from '@jest/globals';
import { createDenseCrf } from './create-dense-crf.js';
import { createDenseCrfReference } from './create-dense-crf-reference.js';
import { DenseCrfError } from './dense-crf-error.js';
import type { DenseCrfOptions } from './types.js';
import { unaryFromLabels } from './unary-from-labels.js';
import { unaryFromProbabilities } from './unary-from-probabilities.js';
import { unaryFromSaliency } from './unary-from-saliency.js';

const wasm = await createDenseCrf({ implementation: 'wasm' });
const good: DenseCrfOptions = {
  width: 6,
  height: 4,
  labels: 3,
  unary: new Float32Array(72).fill(1),
  image: new Uint8Array(72),
  gaussian: { sxy: 3, compat: 3 },
  bilateral: { sxy: 60, srgb: 5, compat: 5 },
  iterations: 2,
};

function withValue(index: number, value: number): Float32Array {
  const array = new Float32Array(72).fill(0.5);
  array[index] = value;
  return array;
}

const bad: [string, Record<string, unknown>, RegExp][] = [
  ['width 0', { width: 0 }, /width.*>= 1, got 0/],
  ['fractional height', { height: 4.5 }, /height.*4\.5/],
  ['one label', { labels: 1 }, /labels.*>= 2, got 1/],
  ['no iterations', { iterations: undefined }, /iterations.*got none/],
  ['negative iterations', { iterations: -1 }, /iterations.*>= 0, got -1/],
  ['iterations NaN', { iterations: Number.NaN }, /iterations.*NaN/],
  ['neither unary nor probabilities', { unary: undefined }, /exactly one of.*neither/],
  ['both', { probabilities: new Float32Array(72) }, /exactly one of.*both/],
  ['short unary', { unary: new Float32Array(71) }, /unary.*72 values.*Float32Array\(71\)/],
  ['unary of the wrong type', { unary: new Float64Array(72) }, /Float32Array of 72.*Float64Array\(72\)/],
  ['a plain array', { unary: new Array(72).fill(0) }, /Float32Array/],
  ['NaN', { unary: withValue(50, Number.NaN) }, /finite.*NaN at label 2, row 0, column 2/],
  ['infinity', { unary: withValue(0, Number.POSITIVE_INFINITY) }, /Infinity at label 0, row 0, column 0/],
  ['minus infinity', { unary: withValue(71, Number.NEGATIVE_INFINITY) }, /label 2, row 3, column 5/],
  [
    'logits as probabilities',
    { unary: undefined, probabilities: withValue(3, 7.5) },
    /0\.\.1.*softmax.*7\.5/,
  ],
  ['a negative probability', { unary: undefined, probabilities: withValue(3, -0.5) }, /0\.\.1/],
  ['NaN probability', { unary: undefined, probabilities: withValue(70, Number.NaN) }, /NaN at label 2/],
  ['no image', { image: undefined }, /image.*bilateral/],
  ['an RGBA image', { image: new Uint8Array(96) }, /RGBA/],
  ['a short image', { image: new Uint8Array(70) }, /72 bytes/],
  ['a float image', { image: new Float32Array(72) }, /Uint8Array/],
  ['sigma 0', { gaussian: { sxy: 0, compat: 3 } }, /gaussian\.sxy.*> 0.*got 0/],
  ['negative sigma', { gaussian: { sxy: [3, -1], compat: 3 } }, /\[3, -1\]/],
  ['sigma NaN', { bilateral: { sxy: 60, srgb: Number.NaN, compat: 3 } }, /bilateral\.srgb/],
  ['no srgb', { bilateral: { sxy: 60, compat: 3 } }, /bilateral\.srgb/],
  ['two colour sigmas', { bilateral: { sxy: 60, srgb: [1, 2], compat: 3 } }, /3 numbers/],
  ['tiny sigma', { gaussian: { sxy: 1e-6, compat: 3 } }, /at least/],
  ['no compat', { gaussian: { sxy: 3 } }, /gaussian\.compat/],
  ['compat NaN', { gaussian: { sxy: 3, compat: Number.NaN } }, /finite/],
  ['compat beyond float32', { gaussian: { sxy: 3, compat: 1e300 } }, /at most 1e\+30.*got 1e\+300/],
  ['a matrix that overflows', { gaussian: { sxy: 3, compat: new Array(9).fill(1e38) } }, /1e\+38 at index 0/],
  ['a matrix of the wrong size', { gaussian: { sxy: 3, compat: [1, 2, 3, 4] } }, /3 values.*9 values/],
  ['a matrix with NaN', { gaussian: { sxy: 3, compat: new Array(9).fill(Number.NaN) } }, /index 0/],
  [
    'the second kernel',
    {
      gaussian: [
        { sxy: 3, compat: 1 },
        { sxy: 0, compat: 1 },
      ],
    },
    /gaussian\[1\]\.sxy/,
  ],
  ['a kernel that is none', { gaussian: 3 }, /gaussian to be an object/],
  ['an unknown normalization', { normalization: 'both' }, /none, before, after, symmetric, got 'both'/],
  ['numbers as large as typing errors', { width: 1e9, height: 1e9 }, /at most/],
];

for (const [name, crf] of [
  ['wasm', wasm],
  ['reference', createDenseCrfReference()],
] as const) {
  describe(`${name}: bad input`, () => {
    test.each(bad)('%s', (_, change, message) => {
      const use = () => crf.infer({ ...good, ...change } as DenseCrfOptions);
      expect(use).toThrow(DenseCrfError);
      expect(use).toThrow(message);
      expect(use).toThrow(expect.objectContaining({ code: 'bad-option' }));
    });

    test('NaN with two labels', () => {
      const unary = new Float32Array(48);
      unary[47] = Number.NaN;
      expect(() => crf.infer({ ...good, labels: 2, unary })).toThrow(/label 1, row 3, column 5/);
    });

    test('no options at all', () => {
      expect(() => crf.infer(undefined as unknown as DenseCrfOptions)).toThrow(DenseCrfError);
    });

    test('good input still works afterwards', () => {
      expect(crf.infer(good)).toHaveLength(72);
    });
  });
}

test('more kernels than the table holds', () => {
  const gaussian = new Array(33).fill({ sxy: 3, compat: 0.1 });
  expect(() => wasm.infer({ ...good, gaussian })).toThrow(/at most 32 kernels/);
});

test('createDenseCrf options', async () => {
  await expect(createDenseCrf({ implementation: 'gpu' as 'auto' })).rejects.toThrow(
    /auto, wasm or reference/,
  );
  expect((await createDenseCrf({ implementation: 'reference' })).implementation).toBe('reference');
  expect((await createDenseCrf()).implementation).toBe('wasm');
});

describe('unary helpers', () => {
  test('unaryFromProbabilities', () => {
    const unary = unaryFromProbabilities(Float32Array.from([0, 0.5, 1]));
    expect(unary[0]).toBeCloseTo(-Math.log(1e-5), 5);
    expect(unary[1]).toBeCloseTo(Math.LN2, 6);
    expect(unary[2]).toBeCloseTo(0, 6);
    const mixed = unaryFromProbabilities(Float32Array.from([0, 1]), { scale: 0.8, labels: 2 });
    expect(mixed[0]).toBeCloseTo(-Math.log(0.1), 5);
    expect(mixed[1]).toBeCloseTo(-Math.log(0.9), 5);
    expect(() => unaryFromProbabilities(Float32Array.from([2]))).toThrow(/0\.\.1/);
    expect(() => unaryFromProbabilities(Float32Array.from([1]), { scale: 0.5 })).toThrow(/labels/);
    expect(() => unaryFromProbabilities(Float32Array.from([1]), { scale: 0 })).toThrow(/scale/);
    expect(() => unaryFromProbabilities(Float32Array.from([1]), { floor: 0 })).toThrow(/floor/);
  });

  test('unaryFromLabels', () => {
    const unary = unaryFromLabels([0, 2, 255], { labels: 3, gtProb: 0.7 });
    const no = -Math.log(0.15);
    const yes = -Math.log(0.7);
    const unsure = Math.log(3);
    [yes, no, unsure, no, no, unsure, no, yes, unsure].forEach((value, i) => {
      expect(unary[i]).toBeCloseTo(value, 5);
    });
    expect(() => unaryFromLabels([3], { labels: 3, gtProb: 0.7 })).toThrow(/got 3 at pixel 0/);
    expect(() => unaryFromLabels([0], { labels: 3, gtProb: 1 })).toThrow(/gtProb/);
    expect(() => unaryFromLabels([0], { labels: 1, gtProb: 0.5 })).toThrow(/labels/);
  });

  test('unaryFromSaliency', () => {
    const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
    const unary = unaryFromSaliency(Float32Array.from([0.25, 0, 1]));
    expect(unary[0]).toBeCloseTo(-Math.log(0.75 + 1e-8) / (1.05 * sigmoid(0.75)), 5);
    expect(unary[3]).toBeCloseTo(-Math.log(0.25 + 1e-8) / (1.05 * sigmoid(0.25)), 5);
    expect(unary.every(Number.isFinite)).toBe(true);
    expect(() => unaryFromSaliency(Float32Array.from([1.5]))).toThrow(/pixel 0/);
  });
});
