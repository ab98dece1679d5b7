/** Everything this package throws: `code` for programs, `message` for people, `details` for both. */
export class BackboneError extends Error {
  readonly code: BackboneErrorCode;
  readonly details: Record<string, unknown>;

  constructor(code: BackboneErrorCode, message: string, details: Record<string, unknown> = {}) {
    super(message);
    this.name = 'BackboneError';
    this.code = code;
    this.details = details;
  }
}

/** `bad-option`: a wrong argument of a factory; `bad-weights`: tensors that do not fit; `nonconformant`: a suite's finding. */
export type BackboneErrorCode = 'bad-option' | 'bad-weights' | 'nonconformant';
