import { SaliencyError } from './errors.js';

/**
 * Solves A x = b for a symmetric positive definite A [n,n] (row-major float64; its lower triangle is overwritten) by Cholesky's method.
 *
 * Returns a new x. Throws SaliencyError BAD_VALUE when A is not positive definite.
 */
export function solvePositiveDefinite(matrix: Float64Array, right: Float64Array): Float64Array {
  const n = right.length;
  for (let j = 0; j < n; j++) {
    const rowJ = j * n;
    let diagonal = matrix[rowJ + j];
    for (let k = 0; k < j; k++) diagonal -= matrix[rowJ + k] * matrix[rowJ + k];
    if (!(diagonal > 0)) {
      throw new SaliencyError(
        'BAD_VALUE',
        `Expected a positive definite matrix, got pivot ${diagonal} in row ${j} of ${n}.`,
        {
          row: j,
          pivot: diagonal,
        },
      );
    }
    const root = Math.sqrt(diagonal);
    matrix[rowJ + j] = root;
    const inverse = 1 / root;
    for (let i = j + 1; i < n; i++) {
      const rowI = i * n;
      let sum = matrix[rowI + j];
      for (let k = 0; k < j; k++) sum -= matrix[rowI + k] * matrix[rowJ + k];
      matrix[rowI + j] = sum * inverse;
    }
  }
  const x = right.slice();
  for (let i = 0; i < n; i++) {
    let sum = x[i];
    for (let k = 0; k < i; k++) sum -= matrix[i * n + k] * x[k];
    x[i] = sum / matrix[i * n + i];
  }
  for (let i = n - 1; i >= 0; i--) {
    let sum = x[i];
    for (let k = i + 1; k < n; k++) sum -= matrix[k * n + i] * x[k];
    x[i] = sum / matrix[i * n + i];
  }
  return x;
}
