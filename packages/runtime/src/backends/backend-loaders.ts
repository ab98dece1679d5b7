import * as tf from '@tensorflow/tfjs-core';
import { RuntimeError } from '../errors.js';
import { isBrowser } from './platform.js';

/** A backend that can be asked for by name. */
export type ConcreteBackend = 'onnx' | 'wasm' | 'cpu' | 'webgpu' | 'node' | 'node-gpu';

/** How a backend is started. */
export interface BackendOptions {
  /** Threads within one operation, where the backend has them. Default: the backend's own choice (wasm: 1). */
  threads?: number;
}

interface BackendLoader {
  /** Imports what the backend needs and registers it; throws RuntimeError `backend-unavailable`. */
  load(options: BackendOptions): Promise<{ tfjsName: string; reason: string }>;
  /** What to do when it is not there. */
  remedy: string;
}

function unavailable(backend: ConcreteBackend, why: string, remedy: string, cause?: unknown): RuntimeError {
  const detail = cause instanceof Error ? cause.message.split('\n')[0] : undefined;
  const error = new RuntimeError(
    'backend-unavailable',
    `Backend "${backend}" is not available: ${why}. ${remedy}`,
    {
      backend,
      cause: detail,
    },
  );
  return error;
}

/** Imports a package that need not be installed; the name is not a literal, so bundlers leave it alone. */
async function importOptional(name: string): Promise<unknown> {
  return import(/* @vite-ignore */ /* webpackIgnore: true */ name);
}

/** Where the wasm backend's binaries lie, as a path with a trailing separator. */
async function wasmFolder(): Promise<string> {
  const { createRequire } = await import('node:module');
  const { dirname, sep } = await import('node:path');
  const entry = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm/package.json');
  return `${dirname(entry)}${sep}dist${sep}`;
}

let wasmStarted = false;

const wasmRemedy = 'Reinstall @tensorflow/tfjs-backend-wasm 4.22.0, or use backend "cpu".';

async function loadWasm(options: BackendOptions) {
  const wasm = await import('@tensorflow/tfjs-backend-wasm').catch((cause) => {
    throw unavailable('wasm', '@tensorflow/tfjs-backend-wasm cannot be imported', wasmRemedy, cause);
  });
  if (!wasmStarted) {
    wasmStarted = true;
    if (!isBrowser()) wasm.setWasmPaths(await wasmFolder());
    wasm.setThreadsCount(options.threads ?? 1);
  }
  return { tfjsName: 'wasm', reason: 'WebAssembly with SIMD, one thread' };
}

const onnxRemedy = 'Install @auxseg/tfjs-backend-onnx and onnxruntime-node, or use backend "wasm".';

async function loadOnnx(options: BackendOptions) {
  if (isBrowser()) throw unavailable('onnx', 'it needs Node', 'Use backend "webgpu" or "wasm" in a browser.');
  let module: { registerOnnxBackend?: (options: BackendOptions) => Promise<unknown> };
  try {
    module = (await importOptional('@auxseg/tfjs-backend-onnx')) as typeof module;
  } catch (cause) {
    throw unavailable('onnx', '@auxseg/tfjs-backend-onnx cannot be imported', onnxRemedy, cause);
  }
  if (typeof module.registerOnnxBackend !== 'function') {
    throw unavailable(
      'onnx',
      'the installed @auxseg/tfjs-backend-onnx has no registerOnnxBackend',
      onnxRemedy,
    );
  }
  try {
    await module.registerOnnxBackend(options);
  } catch (cause) {
    throw unavailable('onnx', (cause as Error).message.split('\n')[0], onnxRemedy, cause);
  }
  return { tfjsName: 'onnx', reason: 'onnxruntime on the CPU, native code' };
}

const cpuRemedy = 'Reinstall @tensorflow/tfjs-backend-cpu 4.22.0.';

async function loadCpu() {
  await import('@tensorflow/tfjs-backend-cpu').catch((cause) => {
    throw unavailable('cpu', '@tensorflow/tfjs-backend-cpu cannot be imported', cpuRemedy, cause);
  });
  // Without this, the first tensor made in Node prints an advertisement for tfjs-node.
  const backend = tf.findBackend('cpu') as unknown as { firstUse?: boolean } | null;
  if (backend != null) backend.firstUse = false;
  return { tfjsName: 'cpu', reason: 'plain JavaScript' };
}

const webgpuRemedy =
  'Use a browser with WebGPU and install @tensorflow/tfjs-backend-webgpu 4.22.0; in Node install the package "webgpu" too.';

async function loadWebgpu() {
  try {
    await importOptional('@tensorflow/tfjs-backend-webgpu');
  } catch (cause) {
    throw unavailable('webgpu', '@tensorflow/tfjs-backend-webgpu is not installed', webgpuRemedy, cause);
  }
  if ((globalThis.navigator as { gpu?: unknown } | undefined)?.gpu == null) {
    throw unavailable('webgpu', 'there is no navigator.gpu here', webgpuRemedy);
  }
  return { tfjsName: 'webgpu', reason: 'WebGPU' };
}

const loadNode = (backend: 'node' | 'node-gpu', packageName: string, reason: string) => async () => {
  const remedy = `Install it with "npm install ${packageName}@4.22.0" (its installer downloads libtensorflow; Node below 23).`;
  if (isBrowser())
    throw unavailable(backend, 'it needs Node', 'Use backend "webgpu" or "wasm" in a browser.');
  try {
    await importOptional(packageName);
  } catch (cause) {
    const missing = (cause as { code?: string }).code === 'ERR_MODULE_NOT_FOUND';
    throw unavailable(
      backend,
      missing ? `${packageName} is not installed` : `${packageName} cannot be loaded`,
      remedy,
      cause,
    );
  }
  if (tf.findBackend('tensorflow') == null && tf.findBackendFactory('tensorflow') == null) {
    throw unavailable(backend, `${packageName} registered no backend`, remedy);
  }
  return { tfjsName: 'tensorflow', reason };
};

/** How each backend is loaded, in no particular order. */
export const backendLoaders: Record<ConcreteBackend, BackendLoader> = {
  'node-gpu': {
    load: loadNode('node-gpu', '@tensorflow/tfjs-node-gpu', 'TensorFlow on CUDA'),
    remedy: 'Check that CUDA and cuDNN match the libtensorflow of @tensorflow/tfjs-node-gpu.',
  },
  node: {
    load: loadNode('node', '@tensorflow/tfjs-node', 'TensorFlow on the CPU'),
    remedy: 'Reinstall @tensorflow/tfjs-node 4.22.0 on Node below 23.',
  },
  onnx: { load: loadOnnx, remedy: onnxRemedy },
  wasm: { load: loadWasm, remedy: wasmRemedy },
  cpu: { load: loadCpu, remedy: cpuRemedy },
  webgpu: { load: loadWebgpu, remedy: webgpuRemedy },
};
