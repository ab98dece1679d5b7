import { expect, test } from '@jest/globals';
import { blockFilter, blockFlippedFilter } from './kernels/blocked-filter.js';

/** By definition: element [t][c][k] of the filter, and zero beyond its channels. */
function reference(filter: Float32Array, [taps, c, k, block]: readonly number[], flipped: boolean): number[] {
  const up = (n: number) => Math.ceil(n / block) * block;
  const at = (t: number, i: number, o: number) => (i < c && o < k ? filter[(t * c + i) * k + o] : 0);
  const [outer, inner] = flipped ? [c, k] : [k, c];
  const out: number[] = [];
  for (let a = 0; a < up(outer); a += block)
    for (let b = 0; b < up(inner); b += block)
      for (let t = 0; t < taps; t++)
        for (let i = 0; i < block; i++)
          for (let o = 0; o < block; o++)
            out.push(flipped ? at(taps - 1 - t, a + o, b + i) : at(t, b + i, a + o));
  return out;
}

test.each([
  [9, 16, 32, 16],
  [9, 32, 48, 8],
  [1, 8, 8, 8],
  [3, 16, 16, 16],
  [9, 12, 16, 16],
  [5, 16, 20, 16],
  [2, 9, 7, 8],
])('filters of %d taps, %d to %d channels in blocks of %d', (taps, inChannels, outChannels, block) => {
  const filter = Float32Array.from({ length: taps * inChannels * outChannels }, (_, i) => i + 1);
  const up = (n: number) => Math.ceil(n / block) * block;
  const shape = { taps, inChannels, outChannels, block };
  for (const flipped of [false, true]) {
    const out = new Float32Array(taps * up(inChannels) * up(outChannels)).fill(Number.NaN);
    (flipped ? blockFlippedFilter : blockFilter)(filter, shape, out);
    expect([...out]).toEqual(reference(filter, [taps, inChannels, outChannels, block], flipped));
  }
});
