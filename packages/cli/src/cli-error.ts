/** Wrong use of the command line: exit code 2. Everything else that fails is exit code 1. */
export class CliUsageError extends Error {
  readonly code = 'USAGE';
  readonly details: Record<string, unknown>;
  constructor(message: string, details: Record<string, unknown> = {}) {
    super(message);
    this.name = 'CliUsageError';
    this.details = details;
  }
}
