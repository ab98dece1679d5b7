import type { FrameParameters } from './find-picture.js';
import type { SlicParameters } from './slic.js';

/** Every number of the unsupervised detector; Lab distances unless said otherwise. */
export interface DetectorParameters {
  readonly frame: FrameParameters;
  readonly mbPlus: {
    /** Longer side of the image MB+ works on, px. */
    readonly maxSidePx: number;
    /** Sweeps of the minimum barrier distance. */
    readonly passes: number;
    /** Factor of L in the barrier distance (2.55 makes it 8-bit, as a and b are). */
    readonly lightnessWeight: number;
    /** Width of the border strips as a share of the image. */
    readonly stripShare: number;
    /** Added to the diagonal of the strips' covariances. */
    readonly regularisation: number;
    /** Sigma of the centre Gaussian, in image widths and heights from the centre. */
    readonly centreSigma: number;
    /** The smoothing square is floor(this * sqrt(mean of the map)) px wide. */
    readonly smoothing: number;
    /** Slope of the final sigmoid at 0.5. */
    readonly contrast: number;
  };
  readonly rbd: {
    /** Longer side of the image the superpixels are made on, px. */
    readonly maxSidePx: number;
    readonly superpixels: SlicParameters;
    /** Subtracted from every edge of the geodesic graph. */
    readonly clip: number;
    /** Sigma of the geodesic soft area. */
    readonly geodesicSigma: number;
    /** Sigma of the background probability over boundary connectivity. */
    readonly connectivitySigma: number;
    /** Boundary connectivity above this is background for sure. */
    readonly connectivityLimit: number;
    /** Sigma of the spatial weight of the contrast, in image widths and heights. */
    readonly spatialSigma: number;
    /** Share of the background-weighted contrast in the foreground weight; the rest is MB+. */
    readonly contrastShare: number;
    /** Weight of the background term. */
    readonly backgroundWeight: number;
    /** Sigma of the smoothness weight. */
    readonly smoothnessSigma: number;
    /** Added to the smoothness weight of touching superpixels. */
    readonly touchingWeight: number;
  };
  /** An image whose Lab range (L in 8-bit steps) is not above this is called plain: all 0. */
  readonly minRange: number;
}

/** The recommended detector (saliency facts; chosen on voc-animals `train`, checked on `val`). */
export const defaultDetectorParameters: DetectorParameters = {
  frame: {
    maxDeviation: 8,
    maxDrift: 12,
    maxShare: 0.15,
    minWidthPx: 2,
    maxSideDifference: 20,
    paddingPx: 2,
  },
  mbPlus: {
    maxSidePx: 200,
    passes: 3,
    lightnessWeight: 2.55,
    stripShare: 0.1,
    regularisation: 10,
    centreSigma: 0.4,
    smoothing: 30,
    contrast: 10,
  },
  rbd: {
    maxSidePx: 300,
    superpixels: { count: 250, compactness: 20, iterations: 10 },
    clip: 0,
    geodesicSigma: 7,
    connectivitySigma: 1,
    connectivityLimit: 3,
    spatialSigma: 0.4,
    contrastShare: 0.3,
    backgroundWeight: 5,
    smoothnessSigma: 10,
    touchingWeight: 0.1,
  },
  minRange: 6,
};
