import { taskAffinity } from './task-affinity.js';
import type { AffinityModule, AffinityOptions } from './types.js';

/**
 * Only segmentation has an affinity: it enhances the segmentation features and refines both predictions; the saliency
 * features pass through.
 *
 * @throws AffinityError `bad-option`, when the module is applied
 * @see method.md 7, ablation "segmentation affinity"
 */
export function createSegmentationAffinity(options: AffinityOptions = {}): AffinityModule {
  return ({ seg, sal }) => {
    const { affinity, enhanced } = taskAffinity('seg', seg, options);
    return { seg: enhanced, sal, affinity };
  };
}

/** Only saliency has an affinity: the mirror image of {@link createSegmentationAffinity}. */
export function createSaliencyAffinity(options: AffinityOptions = {}): AffinityModule {
  return ({ seg, sal }) => {
    const { affinity, enhanced } = taskAffinity('sal', sal, options);
    return { seg, sal: enhanced, affinity };
  };
}
