export type { ArrayPoolStats } from './array-pool.js';
export {
  OnnxBackend,
  type OnnxBackendOptions,
  type OnnxBackendStats,
} from './onnx-backend.js';
export { OnnxBackendError, type OnnxBackendErrorCode } from './onnx-backend-error.js';
export { SUPPORTED_ORT_VERSION } from './ort-binding.js';
export { registerOnnxBackend } from './register-onnx-backend.js';
export type { SessionCacheStats } from './session-cache.js';
