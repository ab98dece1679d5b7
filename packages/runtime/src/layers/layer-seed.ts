/**
 * The seed of one layer's initial weights, from the network's seed and the layer's name, so that adding or removing
 * a layer leaves the others as they were.
 *
 * @returns an integer in 0..2^31-1 (32-bit FNV-1a of `seed/name`)
 */
export function layerSeed(seed: number, name: string): number {
  let hash = 0x811c9dc5;
  for (const character of `${seed}/${name}`) {
    hash = Math.imul(hash ^ character.codePointAt(0)!, 0x01000193);
  }
  return hash >>> 1;
}
