import { applyAffinity } from '@auxseg/runtime';
import type * as tfl from '@tensorflow/tfjs-layers';

/**
 * Refines maps by an affinity: every cell becomes the affinity-weighted sum of all cells, A X.
 *
 * @param affinity [N,hw,hw], or null, which leaves the maps as they are
 * @param maps [N,h,w,C], logits or CAMs
 * @param name of the layer
 * @returns [N,h,w,C]
 * @see method.md 2.3, "Refinement"
 */
export function refine(
  affinity: tfl.SymbolicTensor | null,
  maps: tfl.SymbolicTensor,
  name: string,
): tfl.SymbolicTensor {
  if (!affinity) return maps;
  return applyAffinity({ name }).apply([affinity, maps]) as tfl.SymbolicTensor;
}
