import { randomBytes } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { writeFileAtomic } from '@auxseg/formats/node';
import { DatasetError } from './dataset-error.js';

/** Writes a file through a temporary one beside it, fsync and rename, so that a killed run leaves no half file. @throws DatasetError 'write-failed'. */
export async function writeFileAtomically(file: string, content: Uint8Array | string): Promise<void> {
  const temporary = join(dirname(file), `.${basename(file)}.${randomBytes(4).toString('hex')}.tmp`);
  await writeFileAtomic(file, content, { temporary, syncFolder: false }).catch((error) => {
    throw writeError(error, file);
  });
}

/** The error of a file or folder that cannot be written. */
export function writeError(error: NodeJS.ErrnoException, file: string): DatasetError {
  return new DatasetError(
    'write-failed',
    `Could not write ${file}: ${error.message}. Check that the folder is writable and the disk has room, or choose another one.`,
    { file, reason: error.code },
  );
}
