import * as tf from '@tensorflow/tfjs-core';

/**
 * Backends whose tensors lie in the process's own memory: reading one is a copy at most, so that an elementwise loss is
 * one pass over typed arrays instead of a dozen kernels with a temporary each.
 */
const HOST_MEMORY_BACKENDS: ReadonlySet<string> = new Set(['cpu', 'wasm', 'onnx']);

/** Says whether the current backend's tensors are cheap to read synchronously. */
export function tensorsAreInHostMemory(): boolean {
  return HOST_MEMORY_BACKENDS.has(tf.getBackend());
}

/**
 * Scales a saved gradient by the scalar that comes from above, on a backend in host memory.
 *
 * That scalar is nearly always 1 (all loss weights are), and a pass over a gradient of [N,H,W,C] costs as much as the loss.
 */
export function scaleSavedGradient(dy: tf.Tensor, saved: tf.Tensor): tf.Tensor {
  return dy.dataSync()[0] === 1 ? tf.clone(saved) : tf.mul(saved, dy);
}
