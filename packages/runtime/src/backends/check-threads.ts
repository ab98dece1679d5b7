import { RuntimeError } from '../errors.js';

/** More than any machine has cores for one operation; as onnx's own limit. */
const MAX_THREADS = 256;

/** @throws RuntimeError `bad-threads` for anything but an integer in 1..256 */
export function checkThreads(threads: number): void {
  if (Number.isInteger(threads) && threads >= 1 && threads <= MAX_THREADS) return;
  throw new RuntimeError(
    'bad-threads',
    `Expected threads to be an integer in 1..${MAX_THREADS}, got ${JSON.stringify(threads)}. Leave it out for the backend's choice.`,
    { threads },
  );
}
