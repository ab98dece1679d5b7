/** An error of the network, a recipe or a pipeline step; `details` carries the values that the message names. */
export class AuxSegNetError extends Error {
  readonly code: AuxSegNetErrorCode;
  readonly details: Record<string, unknown>;
  constructor(code: AuxSegNetErrorCode, message: string, details: Record<string, unknown> = {}) {
    super(message);
    this.name = 'AuxSegNetError';
    this.code = code;
    this.details = details;
  }
}

export type AuxSegNetErrorCode =
  | 'BAD_RECIPE'
  | 'BAD_WEIGHTS'
  | 'BAD_RUN_DIRECTORY'
  | 'MISSING_INPUT'
  | 'MISSING_STEP'
  | 'STORAGE'
  | 'UNKNOWN_NAME';
