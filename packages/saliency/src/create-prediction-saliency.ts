import { type RgbImage, resizeBilinear, type ScoreMap } from '@auxseg/formats';
import { checkThresholds } from './check-unit.js';
import { SaliencyError } from './errors.js';
import type { SaliencySource, SaliencyThresholds } from './types.js';

/** A model's saliency as a source. */
export interface PredictionSaliencyOptions {
  /** Gives the probability of being salient, 0..1, of any size: a trained AuxSegNet's saliency head, or any other model. */
  readonly predict: (image: RgbImage, id: string) => ScoreMap | Promise<ScoreMap>;
  /** Default 'prediction'. */
  readonly name?: string;
  /** Default foreground and background 0.5: what the saliency head is trained to separate. */
  readonly thresholds?: SaliencyThresholds;
  /** Passed on by the source's `close`. */
  readonly close?: () => Promise<void>;
}

/**
 * Makes a source of a model; maps of another size are resized bilinearly to the image.
 *
 * Throws SaliencyError: BAD_OPTION; from `map`, BAD_SHAPE and BAD_VALUE (NaN, or logits instead of probabilities).
 */
export function createPredictionSaliency(options: PredictionSaliencyOptions): SaliencySource {
  const name = options.name ?? 'prediction';
  const thresholds = options.thresholds ?? { foreground: 0.5, background: 0.5 };
  checkThresholds(name, thresholds);
  return {
    name,
    thresholds,
    async map({ id, image }) {
      const { width, height } = image;
      const map = await options.predict(image, id);
      if (map.data.length !== map.width * map.height) {
        throw new SaliencyError(
          'BAD_SHAPE',
          `Expected ${name} to return ${map.width}x${map.height} = ${map.width * map.height} values for image ${id}, got ${map.data.length}.`,
          { id, got: map.data.length },
        );
      }
      for (let i = 0; i < map.data.length; i++) {
        if (!(map.data[i] >= 0 && map.data[i] <= 1)) {
          throw new SaliencyError(
            'BAD_VALUE',
            `Expected probabilities in 0..1 from ${name} for image ${id}, got ${map.data[i]} at index ${i}; apply a sigmoid to logits.`,
            { id, value: map.data[i], index: i },
          );
        }
      }
      const same = map.width === width && map.height === height;
      return {
        width,
        height,
        data: same ? map.data.slice() : resizeBilinear(map.data, map, { width, height }),
      };
    },
    ...(options.close ? { close: options.close } : {}),
  };
}
