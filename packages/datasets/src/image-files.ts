import { readdir, realpath, stat } from 'node:fs/promises';
import { extname, join, relative, resolve, sep } from 'node:path';
import { DatasetError } from './dataset-error.js';
import { fileError } from './file-error.js';

/** What the names of the images end with that `readImage` decodes; in capitals too. */
export const IMAGE_EXTENSIONS: readonly string[] = [
  '.jpg',
  '.jpeg',
  '.png',
  '.webp',
  '.tif',
  '.tiff',
  '.avif',
];

/** Whether a file name is an image's; hidden files, such as macOS's `._photo.jpg`, are none. */
export function isImageName(name: string): boolean {
  return !name.startsWith('.') && IMAGE_EXTENSIONS.includes(extname(name).toLowerCase());
}

/**
 * The images of a folder and the folders in it by id, in the order of their paths: the id is the path without extension, with '/' written as '__'.
 * Hidden folders and those of `without` are left out.
 * @throws DatasetError 'missing-file', 'unreadable-file', 'bad-option' when two files have one id.
 */
export async function listImageFiles(
  root: string,
  { without = [] }: { readonly without?: readonly string[] } = {},
): Promise<Map<string, string>> {
  const files: string[] = [];
  // Real paths, each entered once: a link may lead to a folder above it.
  const closed = new Set(await Promise.all(without.map((folder) => realpath(folder).catch(() => ''))));
  const walk = async (folder: string): Promise<void> => {
    const real = await realpath(folder);
    if (closed.has(real)) return;
    closed.add(real);
    for (const name of await readdir(folder)) {
      const path = join(folder, name);
      if (name.startsWith('.')) continue;
      // Not from the directory entry: links count as what they lead to.
      const kind = await stat(path).catch(() => null);
      if (kind?.isDirectory()) await walk(path);
      else if (kind?.isFile() && isImageName(name)) files.push(path);
    }
  };
  await walk(resolve(root)).catch((error) => {
    throw fileError(error, root, 'a folder of images', 'Check the path.');
  });
  const byId = new Map<string, string>();
  for (const file of files.sort()) {
    const path = relative(resolve(root), file).split(sep).join('/');
    const id = path.slice(0, path.length - extname(path).length).replaceAll('/', '__');
    const other = byId.get(id);
    if (other !== undefined) {
      throw new DatasetError(
        'bad-option',
        `Expected one image of each name in ${root}, came ${other} and ${file}: without the extension both are ${id}. Rename one of them or take it away.`,
        { id, files: [other, file] },
      );
    }
    byId.set(id, file);
  }
  return byId;
}
