/** What went wrong, for programs: see each code's use. */
export type DenseCrfErrorCode =
  | 'bad-option'
  | 'disposed'
  | 'unsupported'
  | 'out-of-memory'
  | 'queue-full'
  | 'worker-failed'
  | 'worker-timeout'
  | 'aborted';

/** Every error that this package throws; `code` says what kind, `details` carries the offending values. */
export class DenseCrfError extends Error {
  readonly code: DenseCrfErrorCode;
  readonly details: Record<string, unknown>;

  constructor(code: DenseCrfErrorCode, message: string, details: Record<string, unknown> = {}) {
    super(message);
    this.name = 'DenseCrfError';
    this.code = code;
    this.details = details;
  }
}
