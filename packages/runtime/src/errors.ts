/** Failure of the runtime: an unknown or missing backend, or a layer or kernel used outside its domain. */
export class RuntimeError extends Error {
  /** Machine-readable reason, such as `backend-unavailable`. */
  readonly code: string;
  /** The values that led here. */
  readonly details: Record<string, unknown>;

  constructor(code: string, message: string, details: Record<string, unknown> = {}) {
    super(message);
    this.name = 'RuntimeError';
    this.code = code;
    this.details = details;
  }
}
