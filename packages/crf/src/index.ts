export { type CreateDenseCrfOptions, createDenseCrf } from './create-dense-crf.js';
export {
  type CreateDenseCrfPoolOptions,
  createDenseCrfPool,
  type DenseCrfPool,
  type PoolCallOptions,
} from './create-dense-crf-pool.js';
export { createDenseCrfReference } from './create-dense-crf-reference.js';
export { DenseCrfError, type DenseCrfErrorCode } from './dense-crf-error.js';
export { type PresetName, presets } from './presets.js';
export type {
  BilateralKernel,
  Compatibility,
  DenseCrf,
  DenseCrfModel,
  DenseCrfOptions,
  DenseCrfSession,
  DenseCrfStartOptions,
  GaussianKernel,
  Normalization,
} from './types.js';
export { unaryFromLabels } from './unary-from-labels.js';
export { unaryFromProbabilities } from './unary-from-probabilities.js';
export { unaryFromSaliency } from './unary-from-saliency.js';
