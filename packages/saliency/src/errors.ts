/** What went wrong, for programs; the message says it for people. */
export type SaliencyErrorCode =
  | 'BAD_SHAPE'
  | 'BAD_OPTION'
  | 'BAD_VALUE'
  | 'MAP_NOT_FOUND'
  | 'MAP_UNREADABLE'
  | 'NO_TRUTH'
  | 'WORKER_FAILED'
  | 'CLOSED'
  | 'CONTRACT';

/** Error of every function in this package; `details` carries the values the message prints. */
export class SaliencyError extends Error {
  readonly code: SaliencyErrorCode;
  readonly details: Record<string, unknown>;

  constructor(
    code: SaliencyErrorCode,
    message: string,
    details: Record<string, unknown> = {},
    options?: { cause?: unknown },
  ) {
    super(message, options);
    this.name = 'SaliencyError';
    this.code = code;
    this.details = details;
  }
}
