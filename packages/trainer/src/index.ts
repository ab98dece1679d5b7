export {
  type BinaryCrossEntropyOptions,
  binaryCrossEntropyWithLogits,
  binaryCrossEntropyWithLogitsReference,
} from './binary-cross-entropy.js';
export { layerVariableNames } from './layer-variable-names.js';
export { createMemoryCheckpointStore } from './memory-checkpoint-store.js';
export { multiLabelSoftMarginLoss } from './multi-label-soft-margin.js';
export { type PolyScheduleOptions, polySchedule } from './poly-schedule.js';
export { hashToKey } from './random-key.js';
export { createSgd, type ParameterGroup, type SgdOptions } from './sgd.js';
export {
  DEFAULT_IGNORE_LABEL,
  softmaxCrossEntropyWithIgnore,
  softmaxCrossEntropyWithIgnoreReference,
} from './softmax-cross-entropy.js';
export { createTrainer, type Trainer, type TrainerOptions, type TrainingResult } from './trainer.js';
export { TrainerError, type TrainerErrorCode } from './trainer-error.js';
export type {
  BatchGradients,
  Checkpoint,
  CheckpointStore,
  Clock,
  DataSource,
  GradientSource,
  LossContext,
  LossOutput,
  Optimizer,
  RandomPort,
  Schedule,
  StepEvent,
  StepLogger,
  TrainableModel,
  TrainingBatch,
} from './types.js';
