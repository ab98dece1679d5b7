import { DenseCrfError } from './dense-crf-error.js';

/** Keeps the logarithm finite at p = 0 and p = 1 (the constant of the DSS and AuxSegNet scripts). */
const epsilon = 1e-8;

/** Temperature of the DSS and AuxSegNet scripts. */
const tau = 1.05;

/**
 * Energies [2, H, W] (background, foreground) of a saliency map p in 0..1, [H, W]:
 * -ln(1 - p + 1e-8) / (1.05 sigmoid(1 - p)) and -ln(p + 1e-8) / (1.05 sigmoid(p)), as DSS and AuxSegNet compute them.
 * Throws DenseCrfError `bad-option` for values outside 0..1.
 */
export function unaryFromSaliency(saliency: Float32Array): Float32Array {
  const pixels = saliency.length;
  const unary = new Float32Array(2 * pixels);
  for (let i = 0; i < pixels; i++) {
    const p = saliency[i];
    if (!(p >= 0 && p <= 1)) {
      throw new DenseCrfError('bad-option', `Expected saliency in 0..1, got ${p} at pixel ${i}.`, {
        value: p,
        pixel: i,
      });
    }
    unary[i] = (-Math.log(1 - p + epsilon) / tau) * (1 + Math.exp(p - 1));
    unary[pixels + i] = (-Math.log(p + epsilon) / tau) * (1 + Math.exp(-p));
  }
  return unary;
}
