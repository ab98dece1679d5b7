export { claimRunDirectory } from './claim-run-directory.js';
export type { PipelineContext, PipelineEvent } from './context.js';
export { createNetworkSaliency, type NetworkSaliencyOptions } from './create-network-saliency.js';
export { confusionByImage, type EvaluationInput, scorePseudoLabels, sumConfusion } from './evaluate.js';
export { findFile, networkFromWeights, openNetworkFile } from './network-files.js';
export { createContext, openRecipeData, type RecipeData } from './open-context.js';
export { openSaliencySource, type SaliencySurroundings } from './open-saliency-source.js';
export { reuseClassifier } from './reuse-classifier.js';
export {
  openRunDirectory,
  RunDirectory,
  type RunState,
  recipeDifferences,
  type StepState,
  storageError,
} from './run-directory.js';
export { type PipelineStep, pipelineSteps, runPipeline } from './run-pipeline.js';
export type { ScoredImages } from './scored-images.js';
export { refineWithCrf } from './stage.js';
export { type Comparison, type PseudoLabelRow, type Score, type Summary, writeSummary } from './summary.js';
export { readTensorFile, readWeightsFile } from './tensor-file.js';
