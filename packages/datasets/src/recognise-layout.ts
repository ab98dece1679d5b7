import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Which layout a data folder has: VOC (JPEGImages), COCO (annotations/instances_*.json), else one's own folder. */
export async function recogniseLayout(root: string): Promise<'voc' | 'coco' | 'folder'> {
  const names = await readdir(root).catch(() => [] as string[]);
  if (names.includes('JPEGImages')) return 'voc';
  if (names.includes('annotations')) {
    const files = await readdir(join(root, 'annotations')).catch(() => [] as string[]);
    if (files.some((f) => /^instances_.*\.json$/.test(f))) return 'coco';
  }
  return 'folder';
}
