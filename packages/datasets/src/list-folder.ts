import { readdir } from 'node:fs/promises';
import { fileError } from './file-error.js';

/**
 * The names in a folder, hidden ones included; [] where there is no such folder.
 * @throws DatasetError 'unreadable-file' for a folder that is there and may not be read.
 */
export async function listFolder(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (cause) {
    const error = fileError(cause, folder, 'a folder', '');
    if (error.code === 'missing-file') return [];
    throw error;
  }
}

/** `listFolder` as sets, each folder read once however often it is asked for. */
export function createFolderListing(): (folder: string) => Promise<Set<string>> {
  const listings = new Map<string, Promise<Set<string>>>();
  return (folder) => {
    let names = listings.get(folder);
    if (!names) {
      names = listFolder(folder).then((list) => new Set(list));
      listings.set(folder, names);
    }
    return names;
  };
}
