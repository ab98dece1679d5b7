/** Everything this package throws: `code` for programs, `message` for people, `details` for both. */
export class AffinityError extends Error {
  readonly code: AffinityErrorCode;
  readonly details: Record<string, unknown>;

  constructor(code: AffinityErrorCode, message: string, details: Record<string, unknown> = {}) {
    super(message);
    this.name = 'AffinityError';
    this.code = code;
    this.details = details;
  }
}

/** `bad-option`: a wrong argument of a factory; `nonconformant`: the findings of the conformance suite. */
export type AffinityErrorCode = 'bad-option' | 'nonconformant';
