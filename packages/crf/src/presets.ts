import type { DenseCrfModel } from './types.js';

/**
 * Kernels and step counts of published methods: spread one into the options,
 * `crf.infer({ ...presets.psa, width, height, labels, probabilities, image })`. Sigmas in pixels and 8-bit colour units.
 */
export const presets = {
  /** AuxSegNet (ICCV 2021), saliency refinement: 2 labels, one step; unary from `unaryFromSaliency`. Same as DSS. */
  auxsegSaliency: {
    gaussian: { sxy: 3, compat: 3 },
    bilateral: { sxy: 60, srgb: 5, compat: 5 },
    iterations: 1,
  },
  /** AuxSegNet (ICCV 2021), final segmentation: unary -ln p. */
  auxsegSegmentation: {
    gaussian: { sxy: 4, compat: 3 },
    bilateral: { sxy: 83, srgb: 5, compat: 3 },
    iterations: 10,
  },
  /** PSA (Ahn and Kwak, CVPR 2018), `crf_inference`: unary from class probabilities. */
  psa: {
    gaussian: { sxy: 3, compat: 3 },
    bilateral: { sxy: 80, srgb: 13, compat: 10 },
    iterations: 10,
  },
  /** SEAM (Wang et al., CVPR 2020): PSA's values. */
  seam: {
    gaussian: { sxy: 3, compat: 3 },
    bilateral: { sxy: 80, srgb: 13, compat: 10 },
    iterations: 10,
  },
  /** IRN (Ahn et al., CVPR 2019), `crf_inference_label`: unary from `unaryFromLabels(labels, { gtProb: 0.7 })`. */
  irn: {
    gaussian: { sxy: 3, compat: 3 },
    bilateral: { sxy: 50, srgb: 5, compat: 10 },
    iterations: 10,
  },
  /** deeplab-pytorch (K. Nakashima), ResNet-101 configuration files: unary from class probabilities. */
  deeplabPytorch: {
    gaussian: { sxy: 1, compat: 3 },
    bilateral: { sxy: 67, srgb: 3, compat: 4 },
    iterations: 10,
  },
  /** DSS (Hou et al., CVPR 2017), salient object refinement as its CRF script runs: 2 labels, one step. */
  dss: {
    gaussian: { sxy: 3, compat: 3 },
    bilateral: { sxy: 60, srgb: 5, compat: 5 },
    iterations: 1,
  },
} as const satisfies Record<string, DenseCrfModel>;

/** Name of a preset, as the command line takes it. */
export type PresetName = keyof typeof presets;
