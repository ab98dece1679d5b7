import type { OnnxBackend } from '../onnx-backend.js';
import { floatTensor } from '../ort-tensor.js';
import { transposeInto } from './transpose-into.js';

/** A matrix operand: row-major values and whether the product uses its transpose. */
export interface Operand {
  values: Float32Array;
  /** Extents as stored; rank 2 or 3 (leading batch, 1 broadcasts). */
  dims: readonly number[];
  transpose?: boolean;
}

/** From so many columns of the result on, transposing the left operand once costs less than doing so for each panel of columns. */
const TRANSPOSE_COLUMNS = 256;

/**
 * Writes the matrix product of two operands into `out`.
 *
 * onnxruntime's FusedMatMul packs transposed operands while it reads them, the left one anew for every 128 columns of
 * the result; a wide product gets it transposed in memory.
 */
export function matMulInto(
  backend: OnnxBackend,
  a: Operand,
  b: Operand,
  out: { values: Float32Array; dims: readonly number[] },
): void {
  if (a.transpose && a.dims.length === 2 && out.dims[1] >= TRANSPOSE_COLUMNS) {
    const transposed = backend.arrays.take('float32', a.values.length);
    transposeInto(backend, a.values, a.dims, [1, 0], transposed);
    matMulInto(backend, { values: transposed, dims: [a.dims[1], a.dims[0]] }, b, out);
    backend.arrays.give(transposed);
    return;
  }
  const transA = a.transpose ? 1 : 0;
  const transB = b.transpose ? 1 : 0;
  const rank = out.dims.length;
  backend.runGraph(
    `matmul/${transA}${transB}/${rank}`,
    () => ({
      nodes: [
        {
          op: 'FusedMatMul',
          domain: 'com.microsoft',
          inputs: ['a', 'b'],
          outputs: ['y'],
          attributes: { transA: { int: transA }, transB: { int: transB } },
        },
      ],
      inputs: [
        { name: 'a', type: 'float32', rank },
        { name: 'b', type: 'float32', rank },
      ],
      outputs: [{ name: 'y', type: 'float32', rank }],
    }),
    { a: floatTensor(a.values, a.dims), b: floatTensor(b.values, b.dims) },
    { y: floatTensor(out.values, out.dims) },
    'compute',
  );
}
