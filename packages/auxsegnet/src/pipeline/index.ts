export type { PipelineContext, PipelineEvent } from './context.js';
export { confusionByImage, type EvaluationInput, scorePseudoLabels, sumConfusion } from './evaluate.js';
export { findFile, openNetworkFile } from './network-files.js';
export { createContext, openRecipeData, openSaliencySource, type RecipeData } from './open-context.js';
export {
  openRunDirectory,
  RunDirectory,
  type RunState,
  recipeDifferences,
  type StepState,
} from './run-directory.js';
export { type PipelineStep, pipelineSteps, runPipeline } from './run-pipeline.js';
export { refineWithCrf } from './stage.js';
export { type Comparison, type PseudoLabelRow, type Score, type Summary, writeSummary } from './summary.js';
export { readTensorFile } from './tensor-file.js';
