import type { Dataset } from './types.js';

/** Whether a data set has truth for an image: what its `hasTruth` says; without that, for all where `truth` is there. */
export function hasTruth(
  dataset: Dataset,
  id: string,
): dataset is Dataset & Required<Pick<Dataset, 'truth'>> {
  return dataset.truth !== undefined && (dataset.hasTruth?.(id) ?? true);
}
