import { borderContrast } from './border-contrast.js';
import type { DetectorParameters } from './detector-parameters.js';
import { minimumBarrierDistance } from './minimum-barrier-distance.js';
import type { Planes } from './planes.js';
import { openThenCloseByReconstruction } from './reconstruction.js';
import { stretch } from './stretch.js';

const { exp } = Math;

/** Divides by the maximum in place. */
function toUnitMaximum(plane: Float32Array): void {
  let top = 0;
  for (let i = 0; i < plane.length; i++) if (plane[i] > top) top = plane[i];
  if (top > 0) for (let i = 0; i < plane.length; i++) plane[i] /= top;
}

/**
 * MB+ saliency of a small Lab image [h,w], 0..1 (Zhang et al. ICCV 2015; saliency facts, step 2).
 *
 * Minimum barrier distance to the border + contrast to the border strips, a centre Gaussian, smoothing by reconstruction, a sigmoid.
 */
export function mbPlusSaliency(lab: Planes, parameters: DetectorParameters['mbPlus']): Float32Array {
  const { width, height } = lab;
  const pixels = width * height;
  const scaled = lab.data.slice();
  for (let i = 0; i < pixels; i++) scaled[i] *= parameters.lightnessWeight;
  const map = minimumBarrierDistance({ ...lab, data: scaled }, parameters.passes);
  toUnitMaximum(map);
  const contrast = borderContrast(lab, parameters.stripShare, parameters.regularisation);
  for (let i = 0; i < pixels; i++) map[i] += contrast[i];
  toUnitMaximum(map);

  const falloff = -1 / (2 * parameters.centreSigma ** 2);
  const across = Float64Array.from({ length: width }, (_, x) =>
    Math.exp(falloff * ((x + 0.5) / width - 0.5) ** 2),
  );
  let sum = 0;
  for (let y = 0, i = 0; y < height; y++) {
    const down = Math.exp(falloff * ((y + 0.5) / height - 0.5) ** 2);
    for (let x = 0; x < width; x++, i++) {
      map[i] *= down * across[x];
      sum += map[i];
    }
  }
  const side = Math.floor(parameters.smoothing * Math.sqrt(sum / pixels));
  const smooth = stretch(openThenCloseByReconstruction(map, lab, side));
  for (let i = 0; i < pixels; i++) smooth[i] = 1 / (1 + exp(-parameters.contrast * (smooth[i] - 0.5)));
  return stretch(smooth);
}
