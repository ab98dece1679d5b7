import {
  type Dataset,
  listCocoSplits,
  listVocSplits,
  locateCocoSplit,
  openCocoDataset,
  openFolderDataset,
  openVocDataset,
} from '@auxseg/datasets';

export type Layout = 'voc' | 'coco' | 'folder';

/**
 * Opens one split of a data folder in a layout: for VOC a list, for COCO instances_<split>.json, for an own folder its split, or all of it
 * without one. `leftOut` counts the images that `include` leaves out.
 */
export async function openSplit(
  root: string,
  layout: Layout,
  split?: string,
  { labels = true, include }: { labels?: boolean; include?: 'labelled' | 'all' } = {},
): Promise<Dataset & { readonly leftOut?: number }> {
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

/** The splits that a data folder has, none where the labels of an own folder name none, and how many of its images are in none of them. */
export async function listSplits(
  root: string,
  layout: Layout,
): Promise<{ names: readonly string[]; inNone: number }> {
  switch (layout) {
    case 'coco':
      return { names: await listCocoSplits(root), inNone: 0 };
    case 'folder': {
      const all = await openFolderDataset({ root, unlabelled: 'skip' });
      return { names: all.splits, inNone: all.ids.filter((id) => all.splitOf(id) === '').length };
    }
    case 'voc':
      return { names: await listVocSplits(root), inNone: 0 };
  }
}
