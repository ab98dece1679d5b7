import type * as tfl from '@tensorflow/tfjs-layers';

/** What a backbone gives the heads. */
export interface FeatureMaps {
  /** The map that the heads read, [N,h,w,C] with h = ceil(H / outputStride). */
  features: tfl.SymbolicTensor;
  /** Image pixels per cell of `features`, along either axis. */
  outputStride: number;
  /** Intermediate maps by name, [N,h,w,C], for heads that read several. */
  named: Record<string, tfl.SymbolicTensor>;
}

/** A network body: a function on symbolic tensors, [N,H,W,3] (normalised as the backbone documents) to feature maps. */
export type Backbone = (image: tfl.SymbolicTensor) => FeatureMaps;

/** What loading weights did. */
export interface LoadReport {
  /** Weight tensors written into the model. */
  loaded: number;
  /** Names in the file that no layer of the backbone asked for (heads, classifiers, counters). */
  unused: string[];
}
