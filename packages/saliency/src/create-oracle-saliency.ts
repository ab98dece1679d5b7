import type { LabelMap } from '@auxseg/formats';
import { SaliencyError } from './errors.js';
import type { SaliencySource } from './types.js';

/** The part of a data set that the oracle looks at; every `Dataset` of `@auxseg/datasets` fits. */
export interface TruthSource {
  truth?(id: string): Promise<LabelMap>;
}

/**
 * A source that CHEATS: the foreground of the truth mask. For ablations only ("what if saliency were perfect?").
 *
 * Background 0, any class 1, pixels that the mask ignores (255) 0.5, between the thresholds 0.25 and 0.75: unknown in a three-zone rule.
 * Results made with it must say so; its name is 'oracle'. Throws SaliencyError: NO_TRUTH without masks, BAD_SHAPE for a mask of another size.
 */
export function createOracleSaliency(dataset: TruthSource): SaliencySource {
  if (typeof dataset.truth !== 'function') {
    throw new SaliencyError(
      'NO_TRUTH',
      'Expected a data set with truth masks for oracle saliency, got one without; use another source, or add masks.',
    );
  }
  return {
    name: 'oracle',
    thresholds: { foreground: 0.75, background: 0.25 },
    async map({ id, image }) {
      const mask = await dataset.truth!(id);
      if (mask.width !== image.width || mask.height !== image.height) {
        throw new SaliencyError(
          'BAD_SHAPE',
          `Expected the mask of image ${id} to be ${image.width}x${image.height}, got ${mask.width}x${mask.height}; was one of them resized?`,
          { id, image: [image.width, image.height], mask: [mask.width, mask.height] },
        );
      }
      const data = Float32Array.from(mask.data, (value) => (value === 0 ? 0 : value === 255 ? 0.5 : 1));
      return { width: mask.width, height: mask.height, data };
    },
  };
}
