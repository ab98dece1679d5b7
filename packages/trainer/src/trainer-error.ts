/** What went wrong, for code that wants to react to it. */
export type TrainerErrorCode =
  | 'BAD_OPTION'
  | 'BAD_LABEL'
  | 'SHAPE_MISMATCH'
  | 'NON_FINITE_LOSS'
  | 'NON_FINITE_VARIABLE'
  | 'DATA_EXHAUSTED'
  | 'CHECKPOINT_MISMATCH'
  | 'CHECKPOINT_CORRUPT'
  | 'DISK_FULL'
  | 'UNWRITABLE'
  | 'ABORTED'
  | 'REPLICA_FAILED';

/** The error of this package: `code` says which, `details` carries the values of the message. */
export class TrainerError extends Error {
  override readonly name = 'TrainerError';
  readonly code: TrainerErrorCode;
  readonly details: Record<string, unknown>;

  constructor(
    code: TrainerErrorCode,
    message: string,
    details: Record<string, unknown> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.code = code;
    this.details = details;
  }
}
