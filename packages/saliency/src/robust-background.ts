import type { DetectorParameters } from './detector-parameters.js';
import { geodesicDistances } from './geodesic-distances.js';
import { otsuThreshold } from './otsu-threshold.js';
import { solvePositiveDefinite } from './solve-positive-definite.js';
import { stretch } from './stretch.js';
import { type SuperpixelGraph, twoRingWithBorder } from './superpixel-graph.js';

const { exp } = Math;

/** Beyond this many sigmas a Gaussian weight is under 2e-8 and the geodesic search stops. */
const NEGLIGIBLE_SIGMAS = 6;

/**
 * Background probability of each superpixel [count], 0..1, from its boundary connectivity.
 *
 * Connectivity = soft length along the border / sqrt(soft area), both sums of exp(-geodesic^2 / 2 sigma^2)
 * (Zhu et al. CVPR 2014, equations 3 to 6); probability 1 - exp(-c^2 / 2), 1 above the limit.
 */
export function backgroundProbability(
  graph: SuperpixelGraph,
  parameters: DetectorParameters['rbd'],
): Float64Array {
  const { count, border } = graph;
  const sigma = parameters.geodesicSigma;
  const geodesic = geodesicDistances(graph, parameters.clip, NEGLIGIBLE_SIGMAS * sigma);
  const falloff = -1 / (2 * sigma * sigma);
  const probability = new Float64Array(count);
  for (let k = 0; k < count; k++) {
    let area = 0;
    let length = 0;
    for (let j = 0; j < count; j++) {
      const d = geodesic[k * count + j];
      // Infinity where the search stopped: weight 0.
      const weight = exp(falloff * d * d);
      area += weight;
      if (border[j]) length += weight;
    }
    const connectivity = length / Math.sqrt(area);
    probability[k] =
      connectivity > parameters.connectivityLimit
        ? 1
        : 1 - Math.exp((-connectivity * connectivity) / (2 * parameters.connectivitySigma ** 2));
  }
  return probability;
}

/** Background-weighted contrast of each superpixel [count], stretched to 0..1, 0 below Otsu's threshold (equation 7). */
export function backgroundWeightedContrast(
  graph: SuperpixelGraph,
  background: Float64Array,
  spatialSigma: number,
): Float32Array {
  const { count, position, colourDistance } = graph;
  const falloff = -1 / (2 * spatialSigma * spatialSigma);
  const contrast = new Float32Array(count);
  for (let k = 0; k < count; k++) {
    let sum = 0;
    for (let j = 0; j < count; j++) {
      const dx = position[2 * k] - position[2 * j];
      const dy = position[2 * k + 1] - position[2 * j + 1];
      sum += colourDistance[k * count + j] * exp(falloff * (dx * dx + dy * dy)) * background[j];
    }
    contrast[k] = sum;
  }
  stretch(contrast);
  const threshold = otsuThreshold(contrast);
  for (let k = 0; k < count; k++) if (contrast[k] < threshold) contrast[k] = 0;
  return contrast;
}

/**
 * Saliency of each superpixel [count], 0..1, by RBD's optimisation (Zhu et al. CVPR 2014, equation 9; saliency facts, steps 4 to 6).
 *
 * `foregroundCue` [count], 0..1, is mixed with the background-weighted contrast; null uses the contrast alone (wCtr*).
 */
export function robustBackgroundSaliency(
  graph: SuperpixelGraph,
  foregroundCue: Float32Array | null,
  parameters: DetectorParameters['rbd'],
): Float32Array {
  const { count, adjacent, colourDistance } = graph;
  const background = backgroundProbability(graph, parameters);
  const contrast = backgroundWeightedContrast(graph, background, parameters.spatialSigma);
  const share = foregroundCue ? parameters.contrastShare : 1;
  const foreground = new Float64Array(count);
  for (let k = 0; k < count; k++) {
    foreground[k] = share * contrast[k] + (foregroundCue ? (1 - share) * foregroundCue[k] : 0);
  }
  const linked = twoRingWithBorder(graph);
  const matrix = new Float64Array(count * count);
  const falloff = -1 / (2 * parameters.smoothnessSigma ** 2);
  for (let k = 0; k < count; k++) {
    let degree = 0;
    for (let j = 0; j < count; j++) {
      const at = k * count + j;
      if (!linked[at]) continue;
      const weight =
        exp(falloff * colourDistance[at] * colourDistance[at]) +
        (adjacent[at] ? parameters.touchingWeight : 0);
      matrix[at] = -weight;
      degree += weight;
    }
    matrix[k * count + k] = degree + parameters.backgroundWeight * background[k] + foreground[k] + 1e-9;
  }
  return stretch(Float32Array.from(solvePositiveDefinite(matrix, foreground)));
}
