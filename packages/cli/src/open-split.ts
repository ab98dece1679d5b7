import { join } from 'node:path';
import {
  type Dataset,
  listCocoSplits,
  listFolder,
  locateCocoSplit,
  openCocoDataset,
  openFolderDataset,
  openVocDataset,
} from '@auxseg/datasets';

export type Layout = 'voc' | 'coco' | 'folder';

/**
 * Opens one split of a data folder in a layout: for VOC a list, for COCO instances_<split>.json, for an own folder its split, or all of it
 * without one.
 */
export async function openSplit(
  root: string,
  layout: Layout,
  split?: string,
  { labels = true, include }: { labels?: boolean; include?: 'labelled' | 'all' } = {},
): Promise<Dataset> {
  switch (layout) {
    case 'coco':
      return openCocoDataset({
        ...(await locateCocoSplit(root, split ?? 'train')),
        include: include ?? (labels ? 'labelled' : 'all'),
      });
    case 'folder':
      return openFolderDataset({ root, split, unlabelled: labels ? 'error' : 'skip' });
    case 'voc':
      return openVocDataset({ root, split: split ?? 'train', labelsFrom: labels ? 'auto' : 'none' });
  }
}

/** The splits that a data folder has; none where it is an own folder whose labels name none. */
export async function listSplits(root: string, layout: Layout): Promise<readonly string[]> {
  switch (layout) {
    case 'coco':
      return listCocoSplits(root);
    case 'folder':
      return (await openFolderDataset({ root, unlabelled: 'skip' })).splits;
    case 'voc': {
      const lists = await listFolder(join(root, 'ImageSets', 'Segmentation'));
      return lists.flatMap((name) => /^([^.].*)\.txt$/.exec(name)?.[1] ?? []).sort();
    }
  }
}
