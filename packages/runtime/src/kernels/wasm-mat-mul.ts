import * as tf from '@tensorflow/tfjs-core';
import { floatsAt, offsetOf, simdOf, type WasmBackend, withScratch, withView } from './wasm-heap.js';

type NativeMatMul = (...args: unknown[]) => void;

const nativeByBackend = new WeakMap<WasmBackend, NativeMatMul>();

function nativeMatMul(backend: WasmBackend): NativeMatMul {
  let native = nativeByBackend.get(backend);
  if (native == null) {
    const n = 'number';
    native = backend.wasm.cwrap('BatchMatMul', null, [n, 'array', n, n, 'array', n, n, n, n]);
    nativeByBackend.set(backend, native);
  }
  return native;
}

const shapeBytes = (rows: number, columns: number) =>
  new Uint8Array(new Int32Array([1, rows, columns]).buffer);

/** out[rows,columns] = a[rows,inner] b[inner,columns], for matrices registered under these numbers. */
export function multiplyViews(
  backend: WasmBackend,
  { a, b, out, rows, inner, columns }: Record<'a' | 'b' | 'out' | 'rows' | 'inner' | 'columns', number>,
): void {
  nativeMatMul(backend)(a, shapeBytes(rows, inner), 3, b, shapeBytes(inner, columns), 3, false, false, out);
}

/** For each matrix of the result, in order, which matrix of an operand with outer dimensions `operand` it is made of. */
function matricesOf(operand: readonly number[], result: readonly number[]): number[] {
  const dims = [...Array<number>(result.length - operand.length).fill(1), ...operand];
  let indices = [0];
  for (const [axis, extent] of result.entries()) {
    const own = dims[axis];
    indices = indices.flatMap((index) =>
      Array.from({ length: extent }, (_, i) => index * own + (own === 1 ? 0 : i)),
    );
  }
  return indices;
}

/**
 * Batched matrix product on wasm, always in the one form that XNNPACK multiplies fast: batch 1, no transpose flags.
 *
 * Transposed operands are transposed first, batches are views. B gets a fresh number each time: the packed copies that
 * the backend caches by number would otherwise be reused when the same data comes back in another shape.
 */
export function wasmBatchMatMul(
  backend: WasmBackend,
  a: tf.TensorInfo,
  b: tf.TensorInfo,
  transposeA: boolean,
  transposeB: boolean,
): tf.TensorInfo {
  const [aRows, aColumns] = a.shape.slice(-2);
  const [bRows, bColumns] = b.shape.slice(-2);
  const rows = transposeA ? aColumns : aRows;
  const inner = transposeA ? aRows : aColumns;
  const columns = transposeB ? bRows : bColumns;
  tf.util.assert(inner === (transposeB ? bColumns : bRows), () => {
    const flags = `transposeA=${transposeA} and transposeB=${transposeB}`;
    return `Error in matMul: inner shapes of tensors with shapes ${a.shape} and ${b.shape} and ${flags} must match.`;
  });
  const outerShape = tf.broadcast_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const batchA = tf.util.sizeFromShape(a.shape.slice(0, -2));
  const batchB = tf.util.sizeFromShape(b.shape.slice(0, -2));
  const matricesOfA = matricesOf(a.shape.slice(0, -2), outerShape);
  const matricesOfB = matricesOf(b.shape.slice(0, -2), outerShape);
  const batch = matricesOfA.length;
  const out = backend.makeOutput([...outerShape, rows, columns], 'float32');
  const outOffset = offsetOf(backend, out);
  if (rows === 0 || columns === 0 || batchA === 0 || batchB === 0) return out;
  if (inner === 0) {
    floatsAt(backend, outOffset, batch * rows * columns).fill(0);
    return out;
  }
  const simd = simdOf(backend);
  withScratch(backend, transposeA ? rows * inner : 0, (scratchA) =>
    withScratch(backend, transposeB ? inner * columns : 0, (scratchB) => {
      for (let i = 0; i < batch; i++) {
        const aOffset = offsetOf(backend, a) + matricesOfA[i] * rows * inner * 4;
        const bOffset = offsetOf(backend, b) + matricesOfB[i] * inner * columns * 4;
        if (transposeA && (i === 0 || batchA > 1)) simd.transpose(aOffset, scratchA, aRows, aColumns, aRows);
        if (transposeB && (i === 0 || batchB > 1)) simd.transpose(bOffset, scratchB, bRows, bColumns, bRows);
        withView(backend, transposeA ? scratchA : aOffset, rows * inner, (viewA) =>
          withView(backend, transposeB ? scratchB : bOffset, inner * columns, (viewB) =>
            withView(backend, outOffset + i * rows * columns * 4, rows * columns, (viewOut) =>
              multiplyViews(backend, { a: viewA, b: viewB, out: viewOut, rows, inner, columns }),
            ),
          ),
        );
      }
    }),
  );
  return out;
}
