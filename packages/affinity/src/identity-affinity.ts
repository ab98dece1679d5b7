import type { AffinityModule } from './types.js';

/** No affinity: features pass through, predictions stay unrefined. The multi-task baseline of the ablation. */
export function createIdentityAffinity(): AffinityModule {
  return ({ seg, sal }) => ({ seg, sal, affinity: null });
}
