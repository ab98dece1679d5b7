// Default imports: bundlers for browsers replace node: modules by empty ones, in which no name is found.
import fs from 'node:fs/promises';
import path from 'node:path';

export interface WriteFileAtomicOptions {
  /**
   * Name of the temporary file, in the folder of the file itself. Default: `<file>.tmp`, one a file, so that the next
   * write replaces what a kill left behind; several writers of one file need names of their own.
   */
  temporary?: string;
  /** Also flush the folder, so that the rename survives a power failure; default true. Not worth its time for many small files. */
  syncFolder?: boolean;
}

/**
 * Replaces a file by write-to-temporary, fsync, rename: a reader sees the old bytes or the new ones, after a kill too.
 *
 * Folders on the way are made. On failure the temporary file is removed and the old file is untouched.
 * @throws NodeJS.ErrnoException as the system gave it (ENOSPC, EACCES, ENOTDIR, ...); callers say what it means for them
 */
export async function writeFileAtomic(
  file: string,
  bytes: Uint8Array | string,
  { temporary = `${file}.tmp`, syncFolder = true }: WriteFileAtomicOptions = {},
): Promise<void> {
  try {
    await fs.mkdir(path.dirname(file), { recursive: true });
    const handle = await fs.open(temporary, 'w');
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await fs.rename(temporary, file);
  } catch (error) {
    await fs.rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
  if (syncFolder) await flushFolder(path.dirname(file));
}

/** Some file systems, and Windows, refuse to sync a folder, which is no loss of data. */
async function flushFolder(folder: string): Promise<void> {
  try {
    const handle = await fs.open(folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch {
    // Nothing to do: the file itself is complete.
  }
}
