/** A small deterministic source of random numbers; the same key gives the same numbers on every machine. */
export interface Random {
  /** Uniform integer in 0..2^32-1. */
  uint32(): number;
  /** Uniform in min..max (max excluded); 32 random bits. */
  uniform(min: number, max: number): number;
  /** Uniform integer in 0..n-1, for n up to 2^21 (the product stays exact in a double). */
  integer(n: number): number;
  /** True with probability p. */
  chance(p: number): boolean;
}

/** Mixes the bits of a 32-bit word (finaliser of MurmurHash3). */
function mix(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/**
 * Creates a generator from a key such as (seed, epoch, id), so that no draw depends on the order in which workers run.
 * Numbers are keyed by their decimal text, hence 1 and '1' are the same key part.
 * Source: xoshiro128** (Blackman and Vigna, 2018), its state filled by an FNV-1a-like hash of the key.
 */
export function createRandom(...key: readonly (string | number)[]): Random {
  let a = 0x9e3779b9;
  let b = 0x243f6a88;
  for (const part of key) {
    const text = String(part);
    for (let i = 0; i < text.length; i++) {
      const c = text.charCodeAt(i);
      a = Math.imul(a ^ c, 0x01000193);
      b = Math.imul(b ^ c, 0x5bd1e995) ^ (b >>> 15);
    }
    // A separator outside UTF-16, so that ('ab','c') and ('a','bc') differ.
    a = Math.imul(a ^ 0x10001, 0x01000193);
    b = Math.imul(b ^ 0x10001, 0x5bd1e995) ^ (b >>> 15);
  }
  let s0 = mix(a);
  let s1 = mix(b);
  let s2 = mix(a ^ 0x6a09e667);
  let s3 = mix(b ^ 0xbb67ae85) || 1;

  const uint32 = (): number => {
    const r = Math.imul(s1, 5);
    const result = Math.imul((r << 7) | (r >>> 25), 9) >>> 0;
    const t = s1 << 9;
    s2 ^= s0;
    s3 ^= s1;
    s1 ^= s2;
    s0 ^= s3;
    s2 ^= t;
    s3 = (s3 << 11) | (s3 >>> 21);
    return result;
  };
  for (let i = 0; i < 8; i++) uint32();

  return {
    uint32,
    uniform: (min, max) => min + (uint32() / 4294967296) * (max - min),
    integer: (n) => Math.floor((uint32() / 4294967296) * n),
    chance: (p) => uint32() / 4294967296 < p,
  };
}

/** Returns 0..n-1 in a random order (Fisher and Yates), determined by the generator. */
export function randomPermutation(n: number, random: Random): Uint32Array {
  const order = new Uint32Array(n);
  for (let i = 0; i < n; i++) order[i] = i;
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor((random.uint32() / 4294967296) * (i + 1));
    const t = order[i];
    order[i] = order[j];
    order[j] = t;
  }
  return order;
}
