/**
 * Pseudo-random numbers that any language can recompute from a name, so that fixtures need not carry weights.
 *
 * Value i mixes FNV-1a(name) + i * 0x9E3779B9 with MurmurHash3's finaliser. tools/reference/auxsegnet/hashed_weights.py
 * is its twin.
 *
 * @param name ASCII
 * @returns float32 [count] in [-1, 1)
 */
export function hashedValues(name: string, count: number): Float32Array {
  let start = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) start = Math.imul(start ^ name.charCodeAt(i), 0x01000193);
  return Float32Array.from({ length: count }, (_, i) => {
    let z = (start + Math.imul(i, 0x9e3779b9)) >>> 0;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b) >>> 0;
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35) >>> 0;
    z = (z ^ (z >>> 16)) >>> 0;
    return z / 2 ** 31 - 1;
  });
}
