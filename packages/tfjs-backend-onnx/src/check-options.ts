import type { OnnxBackendOptions } from './onnx-backend.js';
import { OnnxBackendError } from './onnx-backend-error.js';

const MAX_THREADS = 256;

const isCount = (value: unknown, least: number): boolean =>
  Number.isSafeInteger(value) && (value as number) >= least;

const EXPECTED: Record<keyof OnnxBackendOptions, readonly [string, (value: unknown) => boolean]> = {
  threads: [
    `an integer from 1 to ${MAX_THREADS}`,
    (value) => isCount(value, 1) && (value as number) <= MAX_THREADS,
  ],
  sessionLimit: ['an integer from 1', (value) => isCount(value, 1)],
  poolBytes: ['an integer from 0', (value) => isCount(value, 0)],
  smallTensor: ['an integer from 0', (value) => isCount(value, 0)],
  winograd: ['true or false', (value) => typeof value === 'boolean'],
};

/** @throws OnnxBackendError `bad-option` */
export function checkOptions(options: OnnxBackendOptions): void {
  for (const [name, value] of Object.entries(options)) {
    const known = Object.hasOwn(EXPECTED, name);
    const [expected, fits] = known
      ? EXPECTED[name as keyof OnnxBackendOptions]
      : [`no option but ${Object.keys(EXPECTED).join(', ')}`, () => false];
    if (value === undefined || fits(value)) continue;
    throw new OnnxBackendError(
      'bad-option',
      known
        ? `Expected ${name} to be ${expected}, got ${String(value)}. Leave it out for the default.`
        : `Expected ${expected}; got ${name}.`,
      { [name]: value },
    );
  }
}
