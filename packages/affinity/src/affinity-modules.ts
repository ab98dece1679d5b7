import { createCrossTaskAffinity } from './cross-task-affinity.js';
import { createIdentityAffinity } from './identity-affinity.js';
import { createMeanAffinity } from './mean-affinity.js';
import { createSaliencyAffinity, createSegmentationAffinity } from './single-task-affinity.js';
import type { AffinityModule, AffinityOptions } from './types.js';

/** The names by which recipes choose a module. */
export type AffinityName = 'cross-task' | 'identity' | 'seg-only' | 'sal-only' | 'mean';

/** Every module's factory by name. */
export const affinityModules: Readonly<Record<AffinityName, (options?: AffinityOptions) => AffinityModule>> =
  {
    'cross-task': createCrossTaskAffinity,
    identity: createIdentityAffinity,
    'seg-only': createSegmentationAffinity,
    'sal-only': createSaliencyAffinity,
    mean: createMeanAffinity,
  };
