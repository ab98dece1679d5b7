import { fuseAffinities, layerSeed } from '@auxseg/runtime';
import * as tfl from '@tensorflow/tfjs-layers';
import { taskAffinity } from './task-affinity.js';
import type { AffinityModule, AffinityOptions } from './types.js';

/**
 * The paper's module: each task enhances its features by its own affinity, and both affinities are blended cell by cell,
 * with weights that two small convolutions read off them, into one cross-task affinity.
 *
 * A_CT = A_seg w_seg + A_sal w_sal, (w_seg, w_sal) = softmax(conv1x1(relu(conv3x3([A_seg, A_sal])))); rows are not
 * renormalised. Layers: those of both tasks, and `cross_att`.
 *
 * @throws AffinityError `bad-option`, when the module is applied
 * @see method.md 2.3 (Xu et al. 2021, section 3.3)
 */
export function createCrossTaskAffinity(options: AffinityOptions = {}): AffinityModule {
  return (features) => {
    const seg = taskAffinity('seg', features.seg, options);
    const sal = taskAffinity('sal', features.sal, options);
    const fuse = fuseAffinities({
      name: 'cross_att',
      trainable: options.trainable ?? true,
      // PyTorch's default: uniform in +-1/sqrt(fan in), with fan in 3*3*2 and 2.
      conv1Initializer: uniform(18, layerSeed(options.seed ?? 0, 'cross_att/conv1_kernel')),
      conv2Initializer: uniform(2, layerSeed(options.seed ?? 0, 'cross_att/conv2_kernel')),
      biasInitializer: uniform(2, layerSeed(options.seed ?? 0, 'cross_att/conv2_bias')),
    });
    const affinity = fuse.apply([seg.affinity, sal.affinity]) as tfl.SymbolicTensor;
    return { seg: seg.enhanced, sal: sal.enhanced, affinity };
  };
}

function uniform(fanIn: number, seed: number) {
  const bound = 1 / Math.sqrt(fanIn);
  return tfl.initializers.randomUniform({ minval: -bound, maxval: bound, seed });
}
