import { readFile } from 'node:fs/promises';
import { DatasetError } from './dataset-error.js';
import { fileError } from './file-error.js';

/**
 * Reads a text file as UTF-8, or as UTF-16 where a byte-order mark says so (PowerShell's `>` writes it); the mark is left out.
 * @param what names the file after "Expected" in errors; `remedy` is what to do when it is absent.
 * @throws DatasetError 'missing-file', 'unreadable-file', or 'bad-encoding' for other encodings: their accents would become other names.
 */
export async function readTextFile(file: string, what: string, remedy: string): Promise<string> {
  const bytes = await readFile(file).catch((error) => {
    throw fileError(error, file, what, remedy);
  });
  const encoding = utf16Of(bytes) ?? 'utf-8';
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    throw new DatasetError(
      'bad-encoding',
      `Expected ${encoding.toUpperCase()} text in ${file}, found bytes that are none. Save it as UTF-8 ("CSV UTF-8" in Excel).`,
      { file, encoding },
    );
  }
}

/** Which UTF-16 the byte-order mark tells, if any. */
export function utf16Of(bytes: Uint8Array): 'utf-16le' | 'utf-16be' | undefined {
  const mark = (bytes[0] << 8) | bytes[1];
  return mark === 0xfffe ? 'utf-16le' : mark === 0xfeff ? 'utf-16be' : undefined;
}
