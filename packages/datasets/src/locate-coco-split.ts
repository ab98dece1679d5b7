import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DatasetError } from './dataset-error.js';
import { listFolder } from './list-folder.js';

/** The files of one split of a data set in COCO layout, named like the options of `openCocoDataset`. */
export interface CocoSplit {
  /** `annotations/instances_<split>.json`. */
  readonly annotations: string;
  /** The folder of the images. */
  readonly images: string;
}

/** The splits that a folder in COCO layout has, by `annotations/instances_<split>.json`, in alphabetical order. */
export async function listCocoSplits(root: string): Promise<string[]> {
  const names = await listFolder(join(root, 'annotations'));
  return names.flatMap((name) => /^instances_(.*)\.json$/.exec(name)?.[1] ?? []).sort();
}

/**
 * Finds one split of a data set in COCO layout. Its images lie in `<split>/` (as COCO is downloaded), `images/<split>/` or `images/`,
 * the first of these that is there.
 * @throws DatasetError 'missing-file' where the split has no annotations, naming the splits that have; 'unreadable-file'.
 */
export async function locateCocoSplit(root: string, split: string): Promise<CocoSplit> {
  const annotations = join(root, 'annotations', `instances_${split}.json`);
  const available = await listCocoSplits(root);
  if (!available.includes(split)) {
    throw new DatasetError(
      'missing-file',
      `Expected annotations at ${annotations}, found none. ` +
        (available.length > 0
          ? `The splits there are: ${available.join(', ')}.`
          : 'Give the folder that holds annotations/instances_*.json.'),
      { file: annotations, available },
    );
  }
  const places = [split, join('images', split), 'images'].map((place) => join(root, place));
  for (const images of places) if (await isFolder(images)) return { annotations, images };
  return { annotations, images: places[0] };
}

function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
