import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { createDenseCrf } from './create-dense-crf.js';
import type { Compatibility, DenseCrfOptions } from './types.js';

// Made by tools/reference/crf/make_fixtures.py: results of the C++ reference. The inputs are made here, by the same
// generators.
interface FixtureKernel {
  sxy: number | [number, number];
  srgb: number | [number, number, number];
  compat: number | { kind: 'matrix' | 'diagonal'; seed: number };
  normalization?: 'none' | 'before' | 'after' | 'symmetric';
}

interface Fixture {
  name: string;
  w: number;
  h: number;
  labels: number;
  image: 'noise' | 'constant' | 'smooth';
  iterations: number;
  present?: number[];
  gaussian?: FixtureKernel[];
  bilateral?: FixtureKernel[];
  latticeSizes: number[];
  klDivergence: number[];
  q: string;
}

function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1) >>> 0;
    t = (t ^ (t + Math.imul(t ^ (t >>> 7), t | 61))) >>> 0;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function makeImage(kind: Fixture['image'], w: number, h: number, seed: number): Uint8Array {
  const random = createRandom(seed);
  const image = new Uint8Array(w * h * 3);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      for (let c = 0; c < 3; c++) {
        const r = random();
        const edge = (x * 3 + y) % (2 * w) > w ? 90 : 0;
        const smooth = edge + x * (c + 2) + y * (4 - c) + Math.floor(r * 9);
        image[(y * w + x) * 3 + c] =
          kind === 'noise' ? Math.floor(r * 256) : kind === 'constant' ? 40 * (c + 1) : smooth & 255;
      }
    }
  }
  return image;
}

function makeUnary({ labels, w, h, present }: Fixture, seed: number): Float32Array {
  const random = createRandom(seed);
  return new Float32Array(labels * w * h).map((_, i) => {
    const r = random();
    return present && !present.includes(Math.floor(i / (w * h))) ? 11.5 : r * 4;
  });
}

function makeCompat(compat: FixtureKernel['compat'], labels: number): Compatibility {
  if (typeof compat === 'number') return compat;
  const random = createRandom(compat.seed);
  if (compat.kind === 'diagonal') return Float32Array.from({ length: labels }, () => -3 * random());
  return Float32Array.from({ length: labels * labels }, (_, i) =>
    i % (labels + 1) === 0 ? -3 * random() : random(),
  );
}

function makeOptions(fixture: Fixture, index: number): DenseCrfOptions {
  const { w, h, labels, iterations } = fixture;
  const kernels = <T extends FixtureKernel>(list: T[] | undefined) =>
    list?.map((kernel) => ({ ...kernel, compat: makeCompat(kernel.compat, labels) }));
  return {
    width: w,
    height: h,
    labels,
    iterations,
    unary: makeUnary(fixture, 200 + index),
    image: makeImage(fixture.image, w, h, 100 + index),
    gaussian: kernels(fixture.gaussian),
    bilateral: kernels(fixture.bilateral),
  };
}

const fixtures: Fixture[] = JSON.parse(
  readFileSync(new URL('./fixtures/reference.json', import.meta.url), 'utf8'),
);

export function largestDifference(a: Float32Array, b: Float32Array): number {
  let largest = a.length === b.length ? 0 : Number.POSITIVE_INFINITY;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i] - b[i]));
  return largest;
}

for (const implementation of ['reference', 'wasm'] as const) {
  describe(`${implementation} against the C++ reference`, () => {
    fixtures.forEach((fixture, index) => {
      test(fixture.name, async () => {
        const crf = await createDenseCrf({ implementation });
        const options = makeOptions(fixture, index);
        const bytes = Buffer.from(fixture.q, 'base64');
        const wanted = new Float32Array(new Uint8Array(bytes).buffer);
        const q = crf.infer(options);
        expect(largestDifference(q, wanted)).toBeLessThanOrEqual(1e-5);

        const pixels = fixture.w * fixture.h;
        const map = crf.inferMap(options);
        for (let i = 0; i < pixels; i++) {
          const column = Array.from({ length: fixture.labels }, (_, l) => wanted[l * pixels + i]);
          const [first, second] = column.slice().sort((a, b) => b - a);
          if (first - second > 1e-4) expect(map[i]).toBe(column.indexOf(first));
        }

        const session = crf.start(options);
        expect(session.latticeSizes).toEqual(fixture.latticeSizes);
        for (let step = 0; step <= fixture.iterations; step++) {
          if (step > 0) session.step();
          const divergence = session.klDivergence();
          const scale = Math.abs(fixture.klDivergence[step]) + pixels;
          expect(Math.abs(divergence - fixture.klDivergence[step]) / scale).toBeLessThan(2e-6);
        }
        expect(session.iteration).toBe(fixture.iterations);
        // Stepwise, with divergences in between: the same bits.
        expect(largestDifference(session.q(), q)).toBe(0);
        expect(Buffer.compare(session.map(), map)).toBe(0);
        session.dispose();
        crf.dispose();
      });
    });
  });
}
