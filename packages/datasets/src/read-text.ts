import { readFile } from 'node:fs/promises';
import { DatasetError } from './dataset-error.js';

/**
 * Reads a text file as UTF-8, or as UTF-16 where a byte-order mark says so, without the mark and in Unicode's composed form (NFC), in which names are
 * compared.
 * @throws DatasetError 'missing-file', or 'bad-labels' for another encoding: its accents would become other class names.
 */
export async function readText(file: string): Promise<string> {
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    throw new DatasetError(
      'missing-file',
      `Expected a text file at ${file}, got ${error.code}. Check the path.`,
      { file },
    );
  });
  const mark = bytes.subarray(0, 2).toString('hex');
  const encoding = mark === 'fffe' ? 'utf-16le' : mark === 'feff' ? 'utf-16be' : 'utf-8';
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes).normalize('NFC');
  } catch {
    throw new DatasetError(
      'bad-labels',
      `Expected ${encoding.toUpperCase()} text in ${file}, found bytes that are none. Save it as UTF-8 ("CSV UTF-8" in Excel).`,
      { file, encoding },
    );
  }
}
