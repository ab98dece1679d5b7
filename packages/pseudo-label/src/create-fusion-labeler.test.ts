import { describe, expect, test } from '@jest/globals';
import { createFusionLabeler } from './create-fusion-labeler.js';
import { pseudoLabelerConformance } from './testing.js';
import type { PseudoLabeler } from './types.js';

describe('createFusionLabeler', () => {
  for (const [name, options] of Object.entries({
    paper: {},
    zones: { saliencyBackground: 0.1, saliencyForeground: 0.5, confidentCam: 'keep' as const },
  })) {
    for (const check of pseudoLabelerConformance(() => createFusionLabeler(options))) {
      test(`${name}: ${check.name}`, check.run);
    }
  }

  test('refuses bad options before any image', () => {
    expect(() => createFusionLabeler({ camThreshold: -1 })).toThrow('camThreshold');
  });
});

describe('pseudoLabelerConformance', () => {
  const failing = (labeler: PseudoLabeler) =>
    pseudoLabelerConformance(() => labeler)
      .filter((check) => {
        try {
          check.run();
          return false;
        } catch {
          return true;
        }
      })
      .map((check) => check.name);

  test('catches a labeler that invents classes, ignores sizes or scribbles on its input', () => {
    expect(
      failing({
        name: 'bad',
        label: (input) => {
          input.saliency[0] = 0.5;
          return {
            width: input.width,
            height: input.height,
            data: new Uint8Array(input.width * input.height).fill(77),
          };
        },
      }),
    ).toEqual([
      'labels only background, present classes and 255',
      'is deterministic and leaves its input alone',
      'calls nothing an object without image labels',
      'refuses a saliency map of another size',
      'refuses CAMs of another size',
    ]);
  });

  test('catches a labeler that changes the image labels', () => {
    expect(
      failing({
        name: 'bad',
        label: (input) => {
          const map = createFusionLabeler().label(input);
          (input.labels as Uint8Array).fill(7);
          return map;
        },
      }),
    ).toEqual(['is deterministic and leaves its input alone']);
  });
});
