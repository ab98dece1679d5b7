import { backendLoaders, type ConcreteBackend } from './backend-loaders.js';

/** Whether a backend can be used here. */
export interface BackendStatus {
  name: ConcreteBackend;
  available: boolean;
  /** What it is, or why it is not available and what to do about it. */
  reason: string;
}

const order: ConcreteBackend[] = ['node-gpu', 'node', 'onnx', 'wasm', 'cpu', 'webgpu'];

/** Every backend with whether its code can be loaded here; none is activated. */
export async function listBackends(): Promise<BackendStatus[]> {
  const statuses: BackendStatus[] = [];
  for (const name of order) {
    try {
      const { reason } = await backendLoaders[name].load({});
      statuses.push({ name, available: true, reason });
    } catch (error) {
      statuses.push({ name, available: false, reason: (error as Error).message });
    }
  }
  return statuses;
}
