/** Everything this package throws: `code` for programs, `message` for people, `details` for both. */
export class HeadsError extends Error {
  readonly code: 'bad-option';
  readonly details: Record<string, unknown>;

  constructor(code: 'bad-option', message: string, details: Record<string, unknown> = {}) {
    super(message);
    this.name = 'HeadsError';
    this.code = code;
    this.details = details;
  }
}
