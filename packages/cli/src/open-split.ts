import { join } from 'node:path';
import { type Dataset, openCocoDataset, openFolderDataset, openVocDataset } from '@auxseg/datasets';

/** Opens one split of a data folder in a layout; for VOC a list, for COCO instances_<split>.json, for an own folder its split. */
export function openSplit(
  root: string,
  layout: 'voc' | 'coco' | 'folder',
  split: string,
  { labels = true }: { labels?: boolean } = {},
): Promise<Dataset> {
  switch (layout) {
    case 'coco':
      return openCocoDataset({
        annotations: join(root, 'annotations', `instances_${split}.json`),
        images: join(root, split),
        include: labels ? 'labelled' : 'all',
      });
    case 'folder':
      return openFolderDataset({
        root,
        split: split === '' ? undefined : split,
        unlabelled: labels ? 'error' : 'skip',
      });
    case 'voc':
      return openVocDataset({ root, split, labelsFrom: labels ? 'auto' : 'none' });
  }
}
