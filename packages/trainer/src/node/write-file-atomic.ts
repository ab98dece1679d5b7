import { writeFileAtomic as writeAtomically } from '@auxseg/formats/node';
import { TrainerError } from '../trainer-error.js';

/**
 * Replaces a file by write-to-temporary, fsync, rename: a reader sees the old bytes or the new ones, after a kill too.
 *
 * Folders on the way are made. One writer per file at a time.
 * @throws TrainerError DISK_FULL, UNWRITABLE (path, bytes, cause); the old file is untouched then
 */
export async function writeFileAtomic(file: string, bytes: Uint8Array | string): Promise<void> {
  try {
    await writeAtomically(file, bytes);
  } catch (error) {
    const size = typeof bytes === 'string' ? Buffer.byteLength(bytes) : bytes.byteLength;
    throw explain(error as NodeJS.ErrnoException, file, size);
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
