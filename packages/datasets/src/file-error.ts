import { DatasetError } from './dataset-error.js';

/**
 * The error of a file or folder that could not be opened: 'missing-file' only where it is absent, else 'unreadable-file'.
 * @param what names it after "Expected"; `remedy` is what to do when it is absent.
 */
export function fileError(error: unknown, path: string, what: string, remedy: string): DatasetError {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR')
    return new DatasetError('missing-file', `Expected ${what} at ${path}, found none. ${remedy}`, {
      file: path,
    });
  const reason = code ?? message;
  return new DatasetError(
    'unreadable-file',
    `Expected ${what} at ${path}, which cannot be read: ${reason}. ${code === 'EISDIR' ? 'It is a folder.' : 'Check its permissions.'}`,
    { file: path, cause: reason },
  );
}
