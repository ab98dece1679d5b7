import type * as tfl from '@tensorflow/tfjs-layers';

/** The features of the two tasks, both [N,h,w,C]. */
export interface TaskFeatures {
  seg: tfl.SymbolicTensor;
  sal: tfl.SymbolicTensor;
}

/** What an affinity module gives back. */
export interface AffinityOutput {
  /** Enhanced segmentation features [N,h,w,C], which the head's last layers read. */
  seg: tfl.SymbolicTensor;
  /** Enhanced saliency features [N,h,w,C]. */
  sal: tfl.SymbolicTensor;
  /** Affinity of every cell (row) to every cell [N,hw,hw], which refines both predictions; null = no refinement. */
  affinity: tfl.SymbolicTensor | null;
}

/** A module between the two halves of the pixel heads. Its symbolic inputs have static channels and free h, w. */
export type AffinityModule = (features: TaskFeatures) => AffinityOutput;

/** What every module's factory takes; a factory ignores what does not concern it. */
export interface AffinityOptions {
  /** Channels of theta, phi and g inside the module. Default: those of the features. */
  channels?: number;
  /**
   * Start the output convolutions W_t at zero, so that the module begins as the identity on the features instead of
   * disturbing them. Default false, as in the authors' code; preset `mobilenet` uses true.
   */
  zeroInit?: boolean;
  /** Factor on theta phi^T before the softmax: `none` = 1, the authors' choice (default); `sqrt` = 1 / sqrt(channels). */
  scale?: 'none' | 'sqrt' | number;
  /** Default true. */
  trainable?: boolean;
  /** Seed of the initial weights. Default 0. */
  seed?: number;
}
