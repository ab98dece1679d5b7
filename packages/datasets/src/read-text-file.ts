import { readFile } from 'node:fs/promises';
import { DatasetError } from './dataset-error.js';
import { fileError } from './file-error.js';

/**
 * Reads a UTF-8 text file, with or without a byte-order mark, which is left out.
 * @param what names the file after "Expected" in errors; `remedy` is what to do when it is absent.
 * @throws DatasetError 'missing-file', 'unreadable-file', or 'bad-encoding' for other encodings.
 */
export async function readTextFile(file: string, what: string, remedy: string): Promise<string> {
  const bytes = await readFile(file).catch((error) => {
    throw fileError(error, file, what, remedy);
  });
  try {
    // Drops the mark; `fatal` refuses what is no UTF-8 instead of reading it as question marks.
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    const utf16 = isUtf16(bytes);
    throw new DatasetError(
      'bad-encoding',
      `Expected ${what} as UTF-8 text in ${file}, came ${utf16 ? 'UTF-16' : 'another encoding'}. ` +
        `Save it as UTF-8${utf16 ? '; in PowerShell: ... | Out-File -Encoding utf8 FILE' : ''}.`,
      { file },
    );
  }
}

/** Whether bytes begin with the byte-order mark of UTF-16, of either order. */
export function isUtf16(bytes: Uint8Array): boolean {
  return (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
}
