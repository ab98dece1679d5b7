/** Everything this package throws: `code` for programs, `message` for people, `details` for both. */
export class CamError extends Error {
  readonly code: CamErrorCode;
  readonly details: Record<string, unknown>;

  constructor(code: CamErrorCode, message: string, details: Record<string, unknown> = {}) {
    super(message);
    this.name = 'CamError';
    this.code = code;
    this.details = details;
  }
}

/** `bad-option`: a wrong argument; `bad-shape`: maps, labels or affinity that do not belong together; `bad-model`: no CAM output. */
export type CamErrorCode = 'bad-option' | 'bad-shape' | 'bad-model';
