import type { Dataset } from './types.js';

/** Whether a data set has truth for an image: what `hasTruth` of `Dataset` says, or for all where only `truth` is there. */
export function hasTruth(dataset: Dataset, id: string): boolean {
  return dataset.truth !== undefined && (dataset.hasTruth?.(id) ?? true);
}
