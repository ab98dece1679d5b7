/** What went wrong, as a value that a program can switch on. */
export type DatasetErrorCode =
  | 'missing-file'
  | 'unreadable-file'
  | 'bad-encoding'
  | 'unreadable-image'
  | 'unreadable-mask'
  | 'size-mismatch'
  | 'missing-labels'
  | 'unknown-class'
  | 'unknown-id'
  | 'empty-list'
  | 'bad-list'
  | 'bad-labels'
  | 'bad-option'
  | 'bad-annotation'
  | 'write-failed'
  | 'worker-died';

/**
 * The one error class of this package: the message says what was expected, what came, in which file, and what to do next;
 * `details` carries the same facts as data.
 */
export class DatasetError extends Error {
  readonly code: DatasetErrorCode;
  readonly details: Record<string, unknown>;

  constructor(code: DatasetErrorCode, message: string, details: Record<string, unknown> = {}) {
    super(message);
    this.name = 'DatasetError';
    this.code = code;
    this.details = details;
  }
}
