import { constants } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { TrainerError } from '../trainer-error.js';

/** One temporary name per file, so that what a kill leaves behind is overwritten by the next write. */
const TEMPORARY_SUFFIX = '.tmp';

/**
 * Replaces a file by write-to-temporary, fsync, rename: a reader sees the old bytes or the new ones, after a kill too.
 *
 * Folders on the way are made. One writer per file at a time.
 * @throws TrainerError DISK_FULL, UNWRITABLE (path, bytes, cause); the old file is untouched then
 */
export async function writeFileAtomic(file: string, bytes: Uint8Array | string): Promise<void> {
  const temporary = file + TEMPORARY_SUFFIX;
  const size = typeof bytes === 'string' ? Buffer.byteLength(bytes) : bytes.byteLength;
  try {
    await mkdir(path.dirname(file), { recursive: true });
    const handle = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC, 0o666);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
    await syncFolder(path.dirname(file));
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw explain(error as NodeJS.ErrnoException, file, size);
  }
}

/** Makes the rename itself durable; some file systems and Windows refuse to sync a folder, which is no loss of data. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, constants.O_RDONLY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch {
    // Nothing to do: the file itself is complete.
  }
}

function explain(error: NodeJS.ErrnoException, file: string, size: number): TrainerError {
  const details = { file, bytes: size, cause: error.code };
  if (error.code === 'ENOSPC' || error.code === 'EDQUOT') {
    return new TrainerError(
      'DISK_FULL',
      `Expected room for ${(size / 1e6).toFixed(1)} MB at ${file}, came a full disk (${error.code}); the file from before is kept: free some space and start again.`,
      details,
      { cause: error },
    );
  }
  return new TrainerError(
    'UNWRITABLE',
    `Expected to write ${file}, came ${error.code ?? error.message}; check that the folder exists, is a folder and may be written to.`,
    details,
    { cause: error },
  );
}
