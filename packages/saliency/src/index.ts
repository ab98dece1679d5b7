export { type DetectSaliencyOptions, detectSaliency, type SaliencyMethod } from './detect-saliency.js';
export { type DetectorParameters, defaultDetectorParameters } from './detector-parameters.js';
export { SaliencyError, type SaliencyErrorCode } from './errors.js';
export type { SaliencySample, SaliencySource, SaliencyThresholds } from './types.js';
