import { createSyntheticDataset, type SyntheticDatasetOptions } from './create-synthetic-dataset.js';
import { type WriteDatasetOptions, type WriteDatasetResult, writeDataset } from './write-dataset.js';

export interface SynthesizeOptions extends Omit<SyntheticDatasetOptions, 'count' | 'split'> {
  readonly out: string;
  /** Images per split; default 400 train, 100 val. */
  readonly counts?: Readonly<Record<string, number>>;
  readonly layout?: WriteDatasetOptions['layout'];
  readonly imageFormat?: WriteDatasetOptions['imageFormat'];
  readonly onProgress?: WriteDatasetOptions['onProgress'];
}

/** Writes the synthetic set to disk with masks and saliency maps, in VOC (default) or COCO layout or as an own folder. @throws DatasetError 'bad-option', 'write-failed'. */
export async function synthesizeDataset(options: SynthesizeOptions): Promise<WriteDatasetResult> {
  const {
    out,
    counts = { train: 400, val: 100 },
    layout = 'voc',
    imageFormat,
    onProgress,
    ...scene
  } = options;
  const splits = Object.fromEntries(
    Object.entries(counts).map(([split, count]) => [
      split,
      createSyntheticDataset({ ...scene, split, count }),
    ]),
  );
  return writeDataset({
    splits,
    out,
    layout,
    imageFormat,
    onProgress,
    saliency: (split, id) => splits[split].saliency(id),
  });
}
