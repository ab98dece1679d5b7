import * as tf from '@tensorflow/tfjs-core';
import { RuntimeError } from '../errors.js';
import { listeningToNativeCode } from '../kernels/native-failures.js';
import { restoreGradients } from '../prepare-runtime.js';
import { isBrowser } from './platform.js';
import { withWasmWorkers } from './wasm-threads.js';
import { failAloud, findGpuAdapter, withAllGpuLimits } from './webgpu-device.js';

/** A backend that can be asked for by name. */
export type ConcreteBackend = 'onnx' | 'wasm' | 'cpu' | 'webgpu' | 'node' | 'node-gpu';

/** How a backend is started. */
export interface BackendOptions {
  /** Threads within one operation, where the backend has them. Default: its own choice (wasm: 1; node: all cores). */
  threads?: number;
}

interface BackendLoader {
  /** Imports what the backend needs and registers it; throws RuntimeError `backend-unavailable`. */
  load(options: BackendOptions): Promise<{ tfjsName: string; reason: string }>;
  /** Activates it; false if it did not start. Default: tf.setBackend. */
  start?(options: BackendOptions): Promise<boolean>;
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

let wasmThreads: number | null = null;

const wasmRemedy = 'Reinstall @tensorflow/tfjs-backend-wasm 4.22.0, or use backend "cpu".';

async function loadWasm(options: BackendOptions) {
  const wasm = await import('@tensorflow/tfjs-backend-wasm').catch((cause) => {
    throw unavailable('wasm', '@tensorflow/tfjs-backend-wasm cannot be imported', wasmRemedy, cause);
  });
  // Its code does what tfjs-wasm lacks or gets wrong.
  await import('@tensorflow/tfjs-backend-cpu').catch((cause) => {
    throw unavailable('wasm', '@tensorflow/tfjs-backend-cpu cannot be imported', cpuRemedy, cause);
  });
  if (!isBrowser() && wasmThreads == null) wasm.setWasmPaths(await wasmFolder());
  const threads = wasmThreads ?? options.threads ?? 1;
  return {
    tfjsName: 'wasm',
    reason: `WebAssembly with SIMD, ${threads === 1 ? 'one thread' : `${threads} threads`}`,
  };
}

/** Starts wasm once a process: its number of threads cannot change after that. */
async function startWasm(options: BackendOptions): Promise<boolean> {
  if (wasmThreads != null) {
    const asked = options.threads ?? wasmThreads;
    if (asked !== wasmThreads) {
      throw new RuntimeError(
        'backend-started',
        `Expected backend "wasm" with ${asked} threads, but it already runs with ${wasmThreads}; ask for them at the first useBackend('wasm').`,
        { asked, running: wasmThreads },
      );
    }
    return tf.setBackend('wasm');
  }
  const { setThreadsCount, getThreadsCount } = await import('@tensorflow/tfjs-backend-wasm');
  const threads = options.threads ?? 1;
  if (isBrowser()) {
    setThreadsCount(threads);
    const started = await listeningToNativeCode(() => tf.setBackend('wasm'));
    wasmThreads = getThreadsCount();
    return started;
  }
  const listeners = emscriptenListeners();
  if (threads > 1) tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', true);
  setThreadsCount(threads);
  const start = () => listeningToNativeCode(() => tf.setBackend('wasm'));
  const started = await (threads > 1 ? withWasmWorkers(threads, start) : start());
  listeners.removeAdded();
  if (started) wasmThreads = getThreadsCount();
  return started;
}

/**
 * Emscripten's Node code rethrows every unhandled error of the process from handlers of its own, which hides where it
 * came from and changes the exit code.
 */
function emscriptenListeners() {
  const events = ['uncaughtException', 'unhandledRejection'] as const;
  const before = events.map((event) => process.listeners(event as 'uncaughtException'));
  return {
    removeAdded() {
      events.forEach((event, i) => {
        for (const listener of process.listeners(event as 'uncaughtException')) {
          if (!before[i].includes(listener)) process.removeListener(event, listener);
        }
      });
    },
  };
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
  'Use a browser with WebGPU and install @tensorflow/tfjs-backend-webgpu 4.22.0; in Node install the package "webgpu" 0.6.2 or newer too (AUXSEG_WEBGPU may name the folder), and a Vulkan, Metal or D3D12 driver: without a GPU, the SwiftShader that comes with Chromium (on Debian VK_ICD_FILENAMES=/usr/lib/chromium/vk_swiftshader_icd.json LD_LIBRARY_PATH=/usr/lib/chromium).';

async function loadWebgpu() {
  // First, since the package registers nothing where there is no navigator.gpu when it is imported.
  const adapter = await findGpuAdapter();
  // In a bundle its author imports it, and it is there already.
  if (tf.getKernel('Conv2D', 'webgpu') == null) {
    try {
      await importOptional('@tensorflow/tfjs-backend-webgpu');
    } catch (cause) {
      throw unavailable('webgpu', '@tensorflow/tfjs-backend-webgpu is not installed', webgpuRemedy, cause);
    }
  }
  if (typeof adapter === 'string') throw unavailable('webgpu', adapter, webgpuRemedy);
  if (tf.findBackendFactory('webgpu') == null) {
    throw unavailable(
      'webgpu',
      '@tensorflow/tfjs-backend-webgpu was imported before there was a navigator.gpu',
      "Leave its import to useBackend('webgpu').",
    );
  }
  const { vendor, architecture, description } = adapter.info ?? {};
  const name = description || [vendor, architecture].filter(Boolean).join(' ');
  return { tfjsName: 'webgpu', reason: name ? `WebGPU on ${name}` : 'WebGPU' };
}

let webgpuFailsAloud = false;

/** Starts it on a device with all the limits that there are (unless somebody started it before), and makes it fail aloud. */
async function startWebgpu(): Promise<boolean> {
  const started = await withAllGpuLimits(() => tf.setBackend('webgpu'));
  if (started && !webgpuFailsAloud) {
    webgpuFailsAloud = true;
    failAloud(tf.backend());
  }
  return started;
}

/** Environment variables that name a folder in which tfjs-node is installed (see tools/tfjs-node in the repository). */
const nodeFolders = { node: 'AUXSEG_TFJS_NODE', 'node-gpu': 'AUXSEG_TFJS_NODE_GPU' } as const;

/** The backend that registered itself as "tensorflow" in this process, which has room for one. */
let startedNode: 'node' | 'node-gpu' | null = null;

/** The name that useBackend knows tfjs's active backend by. */
export function activeBackend(): ConcreteBackend | undefined {
  const active: string | undefined = tf.getBackend();
  return active === 'tensorflow' ? (startedNode ?? 'node') : (active as ConcreteBackend | undefined);
}

/** The specifier to import a tfjs-node package by; throws RuntimeError where the folder's tfjs-core is not ours. */
async function locateTfjsNode(backend: 'node' | 'node-gpu', packageName: string): Promise<string> {
  const variable = nodeFolders[backend];
  const folder = process.env[variable];
  if (!folder) return packageName;
  const { createRequire } = await import('node:module');
  const { join, resolve } = await import('node:path');
  const { pathToFileURL } = await import('node:url');
  const { realpathSync } = await import('node:fs');
  const require = createRequire(pathToFileURL(join(resolve(folder), 'index.js')));
  let entry: string;
  try {
    entry = require.resolve(packageName);
  } catch (cause) {
    throw unavailable(
      backend,
      `${variable} is ${folder}, which has no ${packageName}`,
      backend === 'node'
        ? 'Let it name a folder that tools/tfjs-node/build.mjs made.'
        : 'Let it name a folder where that is installed, or unset it.',
      cause,
    );
  }
  const coreOf = (from: NodeJS.Require) => realpathSync(from.resolve('@tensorflow/tfjs-core'));
  if (coreOf(createRequire(entry)) !== coreOf(createRequire(import.meta.url))) {
    throw unavailable(
      backend,
      `the ${packageName} in ${folder} has a @tensorflow/tfjs-core of its own, whose gradients would replace ours`,
      'Link that folder to this one as tools/tfjs-node/build.mjs does, or install the package beside @auxseg/runtime.',
    );
  }
  return entry;
}

const gpuRemedy =
  'Check that nvidia-smi lists a GPU, and that CUDA and cuDNN match the libtensorflow of @tensorflow/tfjs-node-gpu; or use backend "onnx".';

const loadNode =
  (backend: 'node' | 'node-gpu', packageName: string, reason: string) => async (options: BackendOptions) => {
    const otherwise =
      backend === 'node'
        ? 'or build it with tools/tfjs-node and set AUXSEG_TFJS_NODE'
        : 'on a machine with an NVIDIA GPU; without one use backend "node" or "onnx"';
    const remedy = `Install it with "npm install ${packageName}@4.22.0" (its installer downloads libtensorflow; Node below 23), ${otherwise}.`;
    if (isBrowser())
      throw unavailable(backend, 'it needs Node', 'Use backend "webgpu" or "wasm" in a browser.');
    if (startedNode != null && startedNode !== backend) {
      throw unavailable(
        backend,
        `backend "${startedNode}" is loaded, and a process takes one of the two`,
        'Use it in a process of its own.',
      );
    }
    if (startedNode == null) {
      const active = tf.getBackend();
      // Its notices about instruction sets, not its warnings.
      process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '1';
      // Read once, when its first operation runs.
      if (options.threads != null) process.env['TF_NUM_INTRAOP_THREADS'] ??= String(options.threads);
      try {
        await importOptional(await locateTfjsNode(backend, packageName));
      } catch (cause) {
        if (cause instanceof RuntimeError) throw cause;
        const missing = ['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND'].includes(
          (cause as { code?: string }).code ?? '',
        );
        throw unavailable(
          backend,
          missing ? `${packageName} is not installed` : `${packageName} cannot be loaded`,
          remedy,
          cause,
        );
      }
      if (tf.findBackendFactory('tensorflow') == null) {
        throw unavailable(backend, `${packageName} registered no backend`, remedy);
      }
      startedNode = backend;
      restoreGradients();
      // Importing it makes it the active one, which looking for it must not.
      if (active && active !== 'tensorflow') await tf.setBackend(active);
    }
    // Without a GPU libtensorflow takes the CPU, silently.
    const { isUsingGpuDevice } = tf.findBackend('tensorflow') as unknown as { isUsingGpuDevice: boolean };
    if (backend === 'node-gpu' && !isUsingGpuDevice) {
      throw unavailable(backend, 'TensorFlow found no GPU that it can use', gpuRemedy);
    }
    return { tfjsName: 'tensorflow', reason };
  };

/** How each backend is loaded, in no particular order. */
export const backendLoaders: Record<ConcreteBackend, BackendLoader> = {
  'node-gpu': {
    load: loadNode('node-gpu', '@tensorflow/tfjs-node-gpu', 'TensorFlow on CUDA'),
    remedy: gpuRemedy,
  },
  node: {
    load: loadNode('node', '@tensorflow/tfjs-node', 'TensorFlow on the CPU'),
    remedy: 'Reinstall @tensorflow/tfjs-node 4.22.0 on Node below 23.',
  },
  onnx: { load: loadOnnx, remedy: onnxRemedy },
  wasm: { load: loadWasm, start: startWasm, remedy: wasmRemedy },
  cpu: { load: loadCpu, remedy: cpuRemedy },
  webgpu: { load: loadWebgpu, start: startWebgpu, remedy: webgpuRemedy },
};
