import { registerOnnxBackend } from '../../dist/index.js';

/** The onnx backend alone, without the runtime. */
export const startBackend = (_name, { small }) =>
  registerOnnxBackend(small === undefined ? {} : { smallTensor: Number(small) });
