export { createFusionLabeler } from './create-fusion-labeler.js';
export { PseudoLabelError, type PseudoLabelErrorCode } from './errors.js';
export {
  type FusionOptions,
  fuseCamAndSaliency,
  IGNORE_LABEL,
  type ResolvedFusionOptions,
  resolveFusionOptions,
} from './fuse-cam-and-saliency.js';
export { type LabelKind, type LabelStore, openLabelStore } from './open-label-store.js';
export type { PseudoLabeler, PseudoLabelInput } from './types.js';
export {
  officialSaliencyCrf,
  type SaliencyCrf,
  type SaliencyCrfParameters,
  type SaliencyUpdateInput,
  updateSaliency,
} from './update-saliency.js';
