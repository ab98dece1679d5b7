/** What went wrong, for programs; the message says the same for people. */
export type OnnxBackendErrorCode = 'binding-unavailable' | 'session-failed' | 'bad-option';

/** Every error that this package throws itself; `details` carries the values that the message names. */
export class OnnxBackendError extends Error {
  readonly code: OnnxBackendErrorCode;
  readonly details: Record<string, unknown>;

  constructor(
    code: OnnxBackendErrorCode,
    message: string,
    details: Record<string, unknown> = {},
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'OnnxBackendError';
    this.code = code;
    this.details = details;
  }
}
