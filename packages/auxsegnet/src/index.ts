export {
  auxSegLosses,
  forwardForTraining,
  type LossName,
  type LossTargets,
  lossNames,
} from './aux-seg-loss.js';
export { AuxSegNetError, type AuxSegNetErrorCode } from './auxsegnet-error.js';
export {
  argmaxLabels,
  imageToTensor,
  type PredictOptions,
  type PredictSaliencyOptions,
  predictSaliency,
  predictSegmentation,
  type SegmentationScores,
  workingSize,
} from './inference.js';
export {
  type AuxSegNet,
  type AuxSegNetOptions,
  affinityFromConfig,
  backboneFromConfig,
  createAuxSegNet,
  createClassifier,
  createNetworkFromConfig,
  type OutputName,
  outputNames,
  runNetwork,
} from './network.js';
export { type NetworkConfig, networkConfigSchema } from './network-config.js';
export {
  loadClassifierStateDict,
  loadOfficialStateDict,
  type OfficialLoadReport,
  officialStateDict,
} from './official-state-dict.js';
export { type PresetName, presetNames, presetOfBackbone, presets } from './presets.js';
export {
  profileTrainingStep,
  type TrainingStepOptions,
  type TrainingStepProfile,
} from './profile-training-step.js';
export {
  type Branch,
  mergeDeep,
  type Recipe,
  recipeSchema,
  resolveRecipe,
  type SaliencySettings,
} from './recipe.js';
export {
  decodeModel,
  encodeModel,
  type LoadReport,
  loadTensors,
  modelToTensors,
  parseWeightsMetadata,
  type WeightsMetadata,
} from './weights.js';
