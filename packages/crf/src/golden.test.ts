import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { createDenseCrf } from './create-dense-crf.js';

// The project's golden results of the C++ reference on larger images, which lie beside the repository where they are
// available at all.
const folder = new URL('../../../../shared/golden/crf/', import.meta.url);

interface GoldenCase {
  name: string;
  image: string;
  w: number;
  h: number;
  labels: number;
  iters: number;
  gsx: number;
  gsy?: number;
  gcompat: number;
  bsx: number;
  bsy?: number;
  bsr: number;
  bsg?: number;
  bsb?: number;
  bcompat: number;
  norm: number;
  unary: string;
}

function floats(name: string): Float32Array {
  return new Float32Array(new Uint8Array(readFileSync(new URL(name, folder))).buffer);
}

test('golden results', async () => {
  if (!existsSync(new URL('cases.json', folder))) {
    console.warn('Skipped: no golden results of the dense CRF beside the repository (../shared/golden/crf).');
    return;
  }
  const cases: GoldenCase[] = JSON.parse(readFileSync(new URL('cases.json', folder), 'utf8'));
  const normalizations = ['none', 'before', 'after', 'symmetric'] as const;
  for (const implementation of ['wasm', 'reference'] as const) {
    const crf = await createDenseCrf({ implementation });
    for (const one of cases) {
      const { w: width, h: height, labels } = one;
      // The plain implementation takes seconds for the large ones.
      if (implementation === 'reference' && width * height * labels * one.iters > 1e6) continue;
      const q = crf.infer({
        width,
        height,
        labels,
        unary: floats(one.unary),
        image: new Uint8Array(readFileSync(new URL(one.image, folder))),
        gaussian: one.gcompat ? { sxy: [one.gsx, one.gsy ?? one.gsx], compat: one.gcompat } : undefined,
        bilateral: one.bcompat
          ? {
              sxy: [one.bsx, one.bsy ?? one.bsx],
              srgb: [one.bsr, one.bsg ?? one.bsr, one.bsb ?? one.bsr],
              compat: one.bcompat,
            }
          : undefined,
        iterations: one.iters,
        normalization: normalizations[one.norm],
      });
      const wanted = floats(`${one.name}.Q.f32`);
      let largest = 0;
      let wrong = 0;
      const pixels = width * height;
      for (let i = 0; i < pixels; i++) {
        let first = 0;
        let ours = 0;
        for (let l = 0; l < labels; l++) {
          const at = l * pixels + i;
          largest = Math.max(largest, Math.abs(q[at] - wanted[at]));
          if (wanted[at] > wanted[first * pixels + i]) first = l;
          if (q[at] > q[ours * pixels + i]) ours = l;
        }
        if (ours !== first && wanted[first * pixels + i] - wanted[ours * pixels + i] > 1e-4) wrong++;
      }
      expect({ name: one.name, close: largest <= 1e-5, wrong }).toEqual({
        name: one.name,
        close: true,
        wrong: 0,
      });
    }
    crf.dispose();
  }
});
