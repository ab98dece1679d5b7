export { averagePrecision, meanAveragePrecision, perClassAveragePrecision } from './average-precision.js';
export {
  type ConfusionMatrix,
  type ConfusionMatrixJSON,
  confusionMatrixFromJSON,
  createConfusionMatrix,
} from './confusion-matrix.js';
export { MetricsError, type MetricsErrorCode } from './metrics-error.js';
export {
  type PairedBootstrapOptions,
  type PairedBootstrapResult,
  pairedBootstrap,
} from './paired-bootstrap.js';
export {
  createPseudoLabelScore,
  type PseudoLabelScore,
  type PseudoLabelScoreJSON,
  pseudoLabelScoreFromJSON,
} from './pseudo-label-score.js';
export {
  createSaliencyMeasures,
  type SaliencyMeasureInput,
  type SaliencyMeasureResult,
  type SaliencyMeasures,
  type SaliencyMeasuresJSON,
} from './saliency-measures.js';
export { type SaliencyPair, structureMeasure } from './structure-measure.js';
