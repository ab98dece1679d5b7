import * as tf from '@tensorflow/tfjs-core';
import { offsetOf, simdOf, type WasmBackend } from './wasm-heap.js';

/** tf.slice of 4-byte values inside the heap; tfjs's own first copies the whole input out of it. */
export function wasmSlice(
  backend: WasmBackend,
  x: tf.TensorInfo,
  begin: number[],
  size: number[],
): tf.TensorInfo {
  const [begin_, size_] = tf.slice_util.parseSliceParams(x as tf.Tensor, begin, size);
  tf.slice_util.assertParamsValid(x, begin_, size_);
  const out = backend.makeOutput(size_, x.dtype);
  if (tf.util.sizeFromShape(size_) === 0) return out;
  // Axes behind which everything is taken merge with their neighbour, so that most slices become one window a plane.
  const dims: number[] = [1];
  const starts: number[] = [0];
  const counts: number[] = [1];
  for (let axis = 0; axis < x.shape.length; axis++) {
    const last = dims.length - 1;
    if (begin_[axis] === 0 && size_[axis] === x.shape[axis]) {
      dims[last] *= x.shape[axis];
      starts[last] *= x.shape[axis];
      counts[last] *= x.shape[axis];
    } else {
      dims.push(x.shape[axis]);
      starts.push(begin_[axis]);
      counts.push(size_[axis]);
    }
  }
  while (dims.length < 3) {
    dims.unshift(1);
    starts.unshift(0);
    counts.unshift(1);
  }
  const strides = dims.map((_, axis) => dims.slice(axis + 1).reduce((a, b) => a * b, 1));
  const first = starts.reduce((sum, start, axis) => sum + start * strides[axis], 0);
  const inner = dims.length - 3;
  const outer = counts.slice(0, inner).reduce((a, b) => a * b, 1);
  const [planes, rows, columns] = counts.slice(inner);
  const simd = simdOf(backend);
  const source = offsetOf(backend, x);
  const target = offsetOf(backend, out);
  for (let i = 0; i < outer; i++) {
    let rest = i;
    let at = first;
    for (let axis = inner - 1; axis >= 0; axis--) {
      at += (rest % counts[axis]) * strides[axis];
      rest = Math.floor(rest / counts[axis]);
    }
    const to = target + i * planes * rows * columns * 4;
    simd.copyWindows(source + at * 4, to, planes, strides[inner], strides[inner + 1], rows, columns);
  }
  return out;
}
