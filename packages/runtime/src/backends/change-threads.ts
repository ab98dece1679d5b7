import * as tf from '@tensorflow/tfjs-core';
import { RuntimeError } from '../errors.js';

/**
 * Changes the number of threads within one operation of the active backend, where it can change while it runs (onnx).
 *
 * @returns the number before, or null where it stays as it is
 * @throws RuntimeError `bad-threads`
 */
export function changeThreads(threads: number): number | null {
  if (!Number.isInteger(threads) || threads < 1) {
    throw new RuntimeError('bad-threads', `Expected threads to be a positive integer, got ${threads}.`, {
      threads,
    });
  }
  if (tf.getBackend() !== 'onnx') return null;
  const backend = tf.backend() as unknown as { threads: number };
  const before = backend.threads;
  backend.threads = threads;
  return before;
}
