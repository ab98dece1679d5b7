/**
 * What a {@link MetricsError} reports.
 *
 * - `size-mismatch`: two arrays that belong together have different lengths; `details` has `expected`, `actual`.
 * - `value-out-of-range`: a label or number outside its range; `details` has `value`, `index`.
 * - `incompatible`: accumulators of different settings cannot be merged or compared.
 */
export type MetricsErrorCode = 'size-mismatch' | 'value-out-of-range' | 'incompatible';

/** The only error that this package throws on purpose. */
export class MetricsError extends Error {
  readonly code: MetricsErrorCode;
  readonly details: Record<string, unknown>;

  constructor(code: MetricsErrorCode, message: string, details: Record<string, unknown> = {}) {
    super(message);
    this.name = 'MetricsError';
    this.code = code;
    this.details = details;
  }
}
