/** What went wrong, for code that wants to react to it. */
export type ReportErrorCode = 'NOT_A_RUN_DIRECTORY' | 'BAD_FILE' | 'BAD_IMAGE' | 'UNWRITABLE';

/** The error of this package: `code` says which, `details` carries the values of the message. */
export class ReportError extends Error {
  override readonly name = 'ReportError';
  readonly code: ReportErrorCode;
  readonly details: Record<string, unknown>;

  constructor(
    code: ReportErrorCode,
    message: string,
    details: Record<string, unknown> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.code = code;
    this.details = details;
  }
}
