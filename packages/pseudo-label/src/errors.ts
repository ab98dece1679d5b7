/** What went wrong, for programs; the message says it for people. */
export type PseudoLabelErrorCode =
  | 'BAD_SHAPE'
  | 'BAD_OPTION'
  | 'BAD_VALUE'
  | 'BAD_ID'
  | 'LABEL_NOT_FOUND'
  | 'LABEL_UNREADABLE'
  | 'STORE_UNWRITABLE'
  | 'CONTRACT';

/** Error of every function in this package; `details` carries the values the message prints. */
export class PseudoLabelError extends Error {
  readonly code: PseudoLabelErrorCode;
  readonly details: Record<string, unknown>;

  constructor(
    code: PseudoLabelErrorCode,
    message: string,
    details: Record<string, unknown> = {},
    options?: { cause?: unknown },
  ) {
    super(message, options);
    this.name = 'PseudoLabelError';
    this.code = code;
    this.details = details;
  }
}
