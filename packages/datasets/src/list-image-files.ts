import { readdir, realpath, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { isImageName } from './is-image-name.js';

/**
 * Paths of the image files below a folder, relative to it, with '/', sorted; hidden files and what lies below `except` left out. Links are followed. A
 * folder that is not there holds none.
 */
export async function listImageFiles(folder: string, except?: string): Promise<string[]> {
  const paths: string[] = [];
  const visit = async (at: string, above: readonly string[]): Promise<void> => {
    if (at === except) return;
    const real = await realpath(at).catch(() => null);
    // A link to a folder above it would be followed for ever.
    if (real === null || above.includes(real)) return;
    for (const entry of await readdir(at, { withFileTypes: true }).catch(() => [])) {
      if (entry.name.startsWith('.')) continue;
      const file = join(at, entry.name);
      const isFolder = entry.isSymbolicLink()
        ? await stat(file).then(
            (s) => s.isDirectory(),
            () => false, // a broken link: named like an image it is one that cannot be read
          )
        : entry.isDirectory();
      if (isFolder) await visit(file, [...above, real]);
      else if (isImageName(entry.name)) paths.push(relative(folder, file).split(sep).join('/'));
    }
  };
  await visit(folder, []);
  return paths.sort();
}
