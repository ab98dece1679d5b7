import { DenseCrfError } from './dense-crf-error.js';
import { probabilityFloor, probabilityTolerance } from './dense-crf-problem.js';

/**
 * Energies -ln(max(p, floor)) of class probabilities, same layout as given ([labels, H, W] for the CRF).
 *
 * `floor` in (0, 1), default 1e-5 as in pydensecrf's `unary_from_softmax`; `scale` in (0, 1] first mixes with the
 * uniform distribution, scale * p + (1 - scale) / labels, and then needs `labels`.
 * Throws DenseCrfError `bad-option`. `infer({ probabilities })` does the default case faster.
 */
export function unaryFromProbabilities(
  probabilities: Float32Array,
  options: { floor?: number; scale?: number; labels?: number } = {},
): Float32Array {
  const { floor = probabilityFloor, scale = 1, labels = 0 } = options;
  if (!(floor > 0 && floor < 1)) {
    throw new DenseCrfError('bad-option', `Expected floor in (0, 1), got ${floor}.`, { floor });
  }
  if (!(scale > 0 && scale <= 1)) {
    throw new DenseCrfError('bad-option', `Expected scale in (0, 1], got ${scale}.`, { scale });
  }
  if (scale < 1 && !(Number.isInteger(labels) && labels >= 2)) {
    throw new DenseCrfError(
      'bad-option',
      `Expected labels (an integer >= 2) beside scale < 1, got ${labels}.`,
      {
        labels,
      },
    );
  }
  const offset = scale < 1 ? (1 - scale) / labels : 0;
  const unary = new Float32Array(probabilities.length);
  for (let i = 0; i < unary.length; i++) {
    const p = probabilities[i];
    if (!(p >= -probabilityTolerance && p <= 1 + probabilityTolerance)) {
      throw new DenseCrfError('bad-option', `Expected probabilities in 0..1, got ${p} at index ${i}.`, {
        value: p,
        index: i,
      });
    }
    unary[i] = -Math.log(Math.min(1, Math.max(floor, scale * p + offset)));
  }
  return unary;
}
