import { storageError } from '@auxseg/auxsegnet/pipeline';
import { writeFileAtomic } from '@auxseg/formats/node';

/** Writes a result, whole or not at all, with the folders on its way. Throws AuxSegNetError STORAGE, which says what to do. */
export async function writeOutput(
  path: string,
  bytes: Uint8Array,
  options?: Parameters<typeof writeFileAtomic>[2],
): Promise<void> {
  await writeFileAtomic(path, bytes, options).catch((cause) => {
    throw storageError(path, cause);
  });
}
