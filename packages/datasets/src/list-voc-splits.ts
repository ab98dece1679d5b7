import { join } from 'node:path';
import { listFolder } from './list-folder.js';

/** The splits that a folder in VOC layout has, by `ImageSets/Segmentation/<split>.txt`, in alphabetical order. */
export async function listVocSplits(root: string): Promise<string[]> {
  const names = await listFolder(join(root, 'ImageSets', 'Segmentation'));
  return names.flatMap((name) => /^([^.].*)\.txt$/.exec(name)?.[1] ?? []).sort();
}
