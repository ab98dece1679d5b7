import type { OnnxBackend } from '../onnx-backend.js';
import { floatTensor } from '../ort-tensor.js';

/** A matrix operand: row-major values and whether the product uses its transpose. */
export interface Operand {
  values: Float32Array;
  /** Extents as stored; rank 2 or 3 (leading batch, 1 broadcasts). */
  dims: readonly number[];
  transpose?: boolean;
}

/**
 * Writes the matrix product of two operands into `out`.
 *
 * onnxruntime's FusedMatMul packs transposed operands while it reads them, so no operand is ever transposed in memory.
 */
export function matMulInto(
  backend: OnnxBackend,
  a: Operand,
  b: Operand,
  out: { values: Float32Array; dims: readonly number[] },
): void {
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
