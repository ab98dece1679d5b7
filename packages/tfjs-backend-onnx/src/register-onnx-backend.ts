import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { fastKernels } from './kernels/fast-kernels.js';
import { BACKEND_NAME } from './kernels/kernel.js';
import { OnnxBackend, type OnnxBackendOptions } from './onnx-backend.js';
import { OnnxBackendError } from './onnx-backend-error.js';
import { loadOrtBinding } from './ort-binding.js';

/** Where tfjs ranks the backend when nobody chooses one: above wasm (2) and cpu (1), below a native TensorFlow (3). */
const PRIORITY = 2.5;

const MAX_THREADS = 256;

/**
 * Registers the `onnx` backend and its kernels with TensorFlow.js; `tf.setBackend('onnx')` then selects it.
 *
 * Called again it changes nothing: the options of the first call stay until `tf.removeBackend('onnx')`.
 *
 * @throws OnnxBackendError `bad-option` for a thread count that is no integer in 1..256, `binding-unavailable` when
 *   onnxruntime-node or its library for this platform is missing.
 */
export async function registerOnnxBackend(options: OnnxBackendOptions = {}): Promise<void> {
  const { threads } = options;
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= MAX_THREADS)) {
    throw new OnnxBackendError(
      'bad-option',
      `Expected threads to be an integer from 1 to ${MAX_THREADS}, got ${String(threads)}. Leave it out for the number of cores.`,
      { threads },
    );
  }
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
