import { checkUnit } from './check-unit.js';
import type { SaliencySource, SaliencyThresholds } from './types.js';

/**
 * A source that calls every pixel equally salient: the floor of any comparison, and a way to switch saliency off.
 *
 * With the default thresholds (0.5, 0.5) value 1 makes every pixel salient, so that CAMs alone decide and the rest is ignored; value 0
 * makes every pixel background. Throws SaliencyError BAD_OPTION for a value outside 0..1.
 */
export function createConstantSaliency(
  value: number,
  options: { readonly thresholds?: SaliencyThresholds } = {},
): SaliencySource {
  checkUnit('constant saliency', value);
  return {
    name: `constant(${value})`,
    thresholds: options.thresholds ?? { foreground: 0.5, background: 0.5 },
    async map({ image: { width, height } }) {
      return { width, height, data: new Float32Array(width * height).fill(value) };
    },
  };
}
