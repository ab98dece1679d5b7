import { type Dataset, hasTruth } from '@auxseg/datasets';
import type { LabelMap } from '@auxseg/formats';

/** Images that have masks, which labels and predictions are held against. */
export interface ScoredImages {
  readonly ids: readonly string[];
  truth(id: string): Promise<LabelMap>;
}

/** Those of `ids` that have masks in a data set; null when none has one, then nothing is scored. */
export function scoredImages(dataset: Dataset, ids: readonly string[] = dataset.ids): ScoredImages | null {
  const masked = ids.filter((id) => hasTruth(dataset, id));
  return masked.length === 0 ? null : { ids: masked, truth: (id) => dataset.truth!(id) };
}
