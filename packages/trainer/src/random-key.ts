/**
 * Mixes non-negative integers into one well-spread 32-bit key (0 to 2^32 - 1), the same everywhere.
 *
 * Each part goes through the finaliser of MurmurHash3, so that neighbouring steps share no pattern.
 */
export function hashToKey(...parts: readonly number[]): number {
  let hash = 0x9e3779b9;
  for (const part of parts) {
    hash = finalise(hash ^ (part >>> 0));
    // Integers over 32 bits keep their upper half.
    hash = finalise(hash ^ Math.floor(part / 2 ** 32));
  }
  return hash >>> 0;
}

function finalise(value: number): number {
  let h = (value + 0x9e3779b9) | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
