export { type CombineRule, combineSaliency } from './combine-saliency.js';
export { createConstantSaliency } from './create-constant-saliency.js';
export {
  createFileSaliency,
  type FileSaliencyNotice,
  type FileSaliencyOptions,
} from './create-file-saliency.js';
export { createOracleSaliency, type TruthSource } from './create-oracle-saliency.js';
export { createPredictionSaliency, type PredictionSaliencyOptions } from './create-prediction-saliency.js';
export {
  createUnsupervisedSaliency,
  type UnsupervisedSaliencyOptions,
  unsupervisedThresholds,
} from './create-unsupervised-saliency.js';
export { type DetectSaliencyOptions, detectSaliency, type SaliencyMethod } from './detect-saliency.js';
export { type DetectorParameters, defaultDetectorParameters } from './detector-parameters.js';
export { SaliencyError, type SaliencyErrorCode } from './errors.js';
export { otsuThreshold } from './otsu-threshold.js';
export { type RefinementCrf, type RefineSaliencyOptions, refineSaliency } from './refine-saliency.js';
export type { SaliencySample, SaliencySource, SaliencyThresholds } from './types.js';
