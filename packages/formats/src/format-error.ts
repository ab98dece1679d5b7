/**
 * What kind of fault a {@link FormatError} reports.
 *
 * - `truncated`: the file ends before the data it announces; `details` has `expected`, `actual`, `offset`.
 * - `bad-magic`: the bytes are of another format.
 * - `malformed`: the bytes contradict the format.
 * - `unsupported`: valid, but of a kind that this package does not read (the message says what to do).
 * - `limit`: a size, depth or count is over one of the named limits (see limits.ts).
 * - `unknown-global`: a pickle names a class or function that is not on the allow-list; `details.global`.
 * - `bad-value`: an argument given to a writer or helper does not fit.
 */
export type FormatErrorCode =
  | 'truncated'
  | 'bad-magic'
  | 'malformed'
  | 'unsupported'
  | 'limit'
  | 'unknown-global'
  | 'bad-value';

/** The only error that the readers and writers of this package throw. */
export class FormatError extends Error {
  readonly code: FormatErrorCode;
  readonly details: Record<string, unknown>;

  constructor(
    code: FormatErrorCode,
    message: string,
    details: Record<string, unknown> = {},
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'FormatError';
    this.code = code;
    this.details = details;
  }
}

/**
 * Runs a parser so that nothing but a FormatError leaves it.
 *
 * The parsers check what they read, so this is the second line: an allocation that the engine refuses, or a
 * slip of ours on a hostile file, still reaches the caller as one error type.
 */
export function parsing<T>(format: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof FormatError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new FormatError(
      'malformed',
      `Could not read this as ${format}: ${reason}. The file is damaged or of another format.`,
      { format },
      error,
    );
  }
}
