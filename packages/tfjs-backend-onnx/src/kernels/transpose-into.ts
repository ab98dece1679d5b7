import type { OnnxBackend } from '../onnx-backend.js';
import { floatTensor } from '../ort-tensor.js';

/** Writes the transpose of float32 values by onnxruntime. */
export function transposeInto(
  backend: OnnxBackend,
  values: Float32Array,
  shape: readonly number[],
  perm: readonly number[],
  out: Float32Array,
): void {
  const rank = shape.length;
  backend.runGraph(
    `transpose/${perm.join()}`,
    () => ({
      nodes: [{ op: 'Transpose', inputs: ['x'], outputs: ['y'], attributes: { perm: { ints: perm } } }],
      inputs: [{ name: 'x', type: 'float32', rank }],
      outputs: [{ name: 'y', type: 'float32', rank }],
    }),
    { x: floatTensor(values, shape) },
    {
      y: floatTensor(
        out,
        perm.map((axis) => shape[axis]),
      ),
    },
  );
}
