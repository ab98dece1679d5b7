import { describe, expect, test } from '@jest/globals';
import { RuntimeError } from '../errors.js';
import { guardNativeCall } from './native-failures.js';

describe('failures of native code', () => {
  const failureWith = (heapBytes: number): RuntimeError => {
    try {
      guardNativeCall(
        () => {
          throw new WebAssembly.RuntimeError('memory access out of bounds');
        },
        () => ({
          kernelName: 'GatherV2',
          shapes: [
            [7, 5, 9],
            [7, 4],
          ],
          heapBytes,
        }),
      );
    } catch (error) {
      return error as RuntimeError;
    }
    throw new Error('Expected a failure.');
  };

  test('name the kernel and its shapes, and do not blame a heap with room', () => {
    const error = failureWith(16 * 2 ** 20);
    expect(error).toBeInstanceOf(RuntimeError);
    expect(error.code).toBe('wasm-operation-failed');
    expect(error.message).toMatch(/GatherV2 on \[7,5,9\], \[7,4\].*memory access out of bounds/);
    expect(error.message).toMatch(/not full \(16 MiB of 4096\)/);
    expect(error.message).not.toMatch(/nearly full/);
    expect(error.details).toMatchObject({ kernelName: 'GatherV2', heapBytes: 16 * 2 ** 20 });
  });

  test('say that the heap is nearly full where it is', () => {
    expect(failureWith(2 ** 32 - 65536).message).toMatch(/nearly full.*smaller batch.*onnx/);
  });

  test('other errors pass as they are', () => {
    const describeCall = () => ({ kernelName: 'Add', shapes: [], heapBytes: 0 });
    const thrown = new TypeError('no');
    expect(() =>
      guardNativeCall(() => {
        throw thrown;
      }, describeCall),
    ).toThrow(thrown);
    expect(guardNativeCall(() => 3, describeCall)).toBe(3);
  });
});
