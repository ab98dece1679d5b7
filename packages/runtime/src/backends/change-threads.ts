import * as tf from '@tensorflow/tfjs-core';
import { checkThreads } from './check-threads.js';

/**
 * Changes the number of threads within one operation of the active backend, where it can change while it runs (onnx).
 *
 * @returns the number before, or null where it stays as it is
 * @throws RuntimeError `bad-threads`
 */
export function changeThreads(threads: number): number | null {
  checkThreads(threads);
  if (tf.getBackend() !== 'onnx') return null;
  const backend = tf.backend() as unknown as { threads: number };
  const before = backend.threads;
  backend.threads = threads;
  return before;
}
