import { type FusionOptions, fuseCamAndSaliency, resolveFusionOptions } from './fuse-cam-and-saliency.js';
import type { PseudoLabeler } from './types.js';

/**
 * Makes a labeler of the fusion rule with fixed options, for places that take any `PseudoLabeler`.
 *
 * Throws PseudoLabelError BAD_OPTION at once, not at the first image.
 */
export function createFusionLabeler(options: FusionOptions = {}): PseudoLabeler {
  const resolved = resolveFusionOptions(options);
  return {
    name: 'fusion',
    label: (input) => fuseCamAndSaliency({ ...input, ...resolved }),
  };
}
