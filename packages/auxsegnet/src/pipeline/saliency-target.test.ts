import { createFileSaliency } from '@auxseg/saliency';
import { expect, test } from '@jest/globals';
import { resolveRecipe } from '../recipe.js';
import type { PipelineContext } from './context.js';
import { saliencyTarget } from './stage.js';
import { fusionOptions } from './stage-zero.js';

test.each(['official', 'paper'] as const)(
  'preset %s with maps from files: the head learns 0.5 as salient, the labels take 0.06, at every stage',
  (preset) => {
    const recipe = resolveRecipe({ preset });
    const context = { recipe, saliency: createFileSaliency({ dir: '.' }) } as unknown as PipelineContext;
    for (const stage of [0, 1, 2]) {
      expect(saliencyTarget(context, stage)).toBe(0.5);
      expect(fusionOptions(context, stage).saliencyThreshold).toBe(0.06);
    }
  },
);
