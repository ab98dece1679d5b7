import { DenseCrfError } from './dense-crf-error.js';

/**
 * Energies [labels, H, W] of a hard label map [H, W]: the given label has probability `gtProb`, the others share the
 * rest evenly; pixels equal to `ignoreLabel` (default 255) get the uniform distribution.
 *
 * `gtProb` in (0, 1), e.g. 0.7 in IRN. Equals pydensecrf's `unary_from_labels(..., zero_unsure=False)`; its
 * `zero_unsure=True` is `ignoreLabel: 0` with one label more. Throws DenseCrfError `bad-option`.
 */
export function unaryFromLabels(
  labelMap: ArrayLike<number>,
  options: { labels: number; gtProb: number; ignoreLabel?: number },
): Float32Array {
  const { labels, gtProb, ignoreLabel = 255 } = options;
  if (!Number.isInteger(labels) || labels < 2) {
    throw new DenseCrfError('bad-option', `Expected labels to be an integer >= 2, got ${labels}.`, {
      labels,
    });
  }
  if (!(gtProb > 0 && gtProb < 1)) {
    throw new DenseCrfError('bad-option', `Expected gtProb in (0, 1), got ${gtProb}.`, { gtProb });
  }
  const pixels = labelMap.length;
  const unary = new Float32Array(labels * pixels).fill(-Math.log((1 - gtProb) / (labels - 1)));
  const present = -Math.log(gtProb);
  const unsure = Math.log(labels);
  for (let pixel = 0; pixel < pixels; pixel++) {
    const label = labelMap[pixel];
    if (label === ignoreLabel) {
      for (let i = 0; i < labels; i++) unary[i * pixels + pixel] = unsure;
    } else if (Number.isInteger(label) && label >= 0 && label < labels) {
      unary[label * pixels + pixel] = present;
    } else {
      throw new DenseCrfError(
        'bad-option',
        `Expected labels 0..${labels - 1} or ${ignoreLabel} (ignore), got ${label} at pixel ${pixel}.`,
        { label, pixel },
      );
    }
  }
  return unary;
}
