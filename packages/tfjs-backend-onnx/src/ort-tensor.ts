import type { NumericArray } from './array-pool.js';
import type { OrtTensor } from './ort-binding.js';

/** Wraps float32 values for onnxruntime without copying. */
export function floatTensor(data: Float32Array, dims: readonly number[]): OrtTensor {
  return { data, dims, type: 'float32', location: 'cpu' };
}

/** A vector of integers as onnxruntime's operators take them for extents and positions. */
export function int64Tensor(values: readonly number[]): OrtTensor {
  return {
    data: BigInt64Array.from(values, BigInt),
    dims: [values.length],
    type: 'int64',
    location: 'cpu',
  };
}

/** Wraps values of any tfjs type for onnxruntime without copying. */
export function ortTensor(
  data: NumericArray,
  dims: readonly number[],
  dtype: 'float32' | 'int32' | 'bool',
): OrtTensor {
  return { data, dims, type: dtype, location: 'cpu' };
}
