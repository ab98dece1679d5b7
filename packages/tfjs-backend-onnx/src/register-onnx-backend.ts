import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { checkOptions } from './check-options.js';
import { fastKernels } from './kernels/fast-kernels.js';
import { BACKEND_NAME } from './kernels/kernel.js';
import { OnnxBackend, type OnnxBackendOptions } from './onnx-backend.js';
import { loadOrtBinding } from './ort-binding.js';

/** Where tfjs ranks the backend when nobody chooses one: above wasm (2) and cpu (1), below a native TensorFlow (3). */
const PRIORITY = 2.5;

/**
 * Registers the `onnx` backend and its kernels with TensorFlow.js; `tf.setBackend('onnx')` then selects it.
 *
 * Called again it changes nothing: the options of the first call stay until `tf.removeBackend('onnx')`.
 *
 * @throws OnnxBackendError `bad-option` (threads in 1..256, a session limit from 1, sizes from 0), `binding-unavailable` when
 *   onnxruntime-node or its library for this platform is missing.
 */
export async function registerOnnxBackend(options: OnnxBackendOptions = {}): Promise<void> {
  checkOptions(options);
  loadOrtBinding();
  registerKernels();
  if (tf.findBackendFactory(BACKEND_NAME) === null) {
    tf.registerBackend(BACKEND_NAME, () => new OnnxBackend(options), PRIORITY);
  }
}

/** Our fast kernels, and for every other name the cpu backend's. */
function registerKernels(): void {
  for (const kernel of fastKernels) {
    if (tf.getKernel(kernel.kernelName, BACKEND_NAME) === undefined) tf.registerKernel(kernel);
  }
  for (const kernel of tf.getKernelsForBackend('cpu')) {
    if (tf.getKernel(kernel.kernelName, BACKEND_NAME) === undefined) {
      tf.registerKernel({ ...kernel, backendName: BACKEND_NAME });
    }
  }
}
