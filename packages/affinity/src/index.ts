export { AffinityError, type AffinityErrorCode } from './affinity-error.js';
export { type AffinityName, affinityModules } from './affinity-modules.js';
export { createCrossTaskAffinity } from './cross-task-affinity.js';
export { createIdentityAffinity } from './identity-affinity.js';
export { createMeanAffinity } from './mean-affinity.js';
export { refine } from './refine.js';
export { createSaliencyAffinity, createSegmentationAffinity } from './single-task-affinity.js';
export type { AffinityModule, AffinityOptions, AffinityOutput, TaskFeatures } from './types.js';
