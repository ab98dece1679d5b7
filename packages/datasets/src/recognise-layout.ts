import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DatasetError } from './dataset-error.js';

type Layout = 'voc' | 'coco' | 'folder';

/**
 * Which layout a data folder has: VOC (JPEGImages), COCO (annotations/instances_*.json), else one's own folder.
 * @throws DatasetError 'missing-file' when the data sets lie one level below, as VOC2012 in VOCdevkit: read as an own folder they would be classes.
 */
export async function recogniseLayout(root: string): Promise<Layout> {
  const layout = await markedLayout(root);
  if (layout) return layout;
  const entries = await readdir(root, { withFileTypes: true }).catch(() => []);
  const below: string[] = [];
  for (const entry of entries) {
    const folder = join(root, entry.name);
    if (!entry.isFile() && (await markedLayout(folder))) below.push(folder);
  }
  if (below.length > 0) {
    throw new DatasetError(
      'missing-file',
      `Expected a data set in ${root}, found one below it: ${below.join(', ')}. Give that folder itself.`,
      { root, below },
    );
  }
  return 'folder';
}

/** The layout that the names in a folder tell, if they do. */
async function markedLayout(folder: string): Promise<Layout | undefined> {
  const namesIn = (path: string): Promise<string[]> => readdir(path).catch(() => []);
  const names = await namesIn(folder);
  if (names.includes('JPEGImages')) return 'voc';
  const annotations = names.includes('annotations') ? await namesIn(join(folder, 'annotations')) : [];
  if (annotations.some((file) => /^instances_.*\.json$/.test(file))) return 'coco';
  return names.some((name) => name === 'labels.csv' || name === 'labels.json') ? 'folder' : undefined;
}
