import * as tfl from '@tensorflow/tfjs-layers';
import { taskAffinity } from './task-affinity.js';
import type { AffinityModule, AffinityOptions } from './types.js';

/**
 * Both tasks have an affinity, and their plain mean refines the predictions: the control for what the learnt fusion of
 * the cross-task module adds. Rows sum to one.
 *
 * @throws AffinityError `bad-option`, when the module is applied
 */
export function createMeanAffinity(options: AffinityOptions = {}): AffinityModule {
  return (features) => {
    const seg = taskAffinity('seg', features.seg, options);
    const sal = taskAffinity('sal', features.sal, options);
    const affinity = tfl.layers
      .average({ name: 'mean_att' })
      .apply([seg.affinity, sal.affinity]) as tfl.SymbolicTensor;
    return { seg: seg.enhanced, sal: sal.enhanced, affinity };
  };
}
