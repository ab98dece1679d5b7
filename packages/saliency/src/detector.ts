/** The detector alone, without sources: no Node, no dynamic imports; for browsers and workers. */
export { type DetectSaliencyOptions, detectSaliency, type SaliencyMethod } from './detect-saliency.js';
export { type DetectorParameters, defaultDetectorParameters } from './detector-parameters.js';
export { SaliencyError, type SaliencyErrorCode } from './errors.js';
