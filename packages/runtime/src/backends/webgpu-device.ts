import { RuntimeError } from '../errors.js';
import { isBrowser } from './platform.js';

/** The part of WebGPU's adapter that is needed here. */
interface GpuAdapter {
  limits: Record<string, number>;
  info?: { vendor?: string; architecture?: string; description?: string };
  requestDevice(descriptor: { requiredLimits?: Record<string, number> }): Promise<GpuDevice>;
}

/** The part of WebGPU's device that is needed here. */
interface GpuDevice {
  limits: Record<string, number>;
  lost: Promise<{ reason: string; message: string }>;
  destroy(): void;
  addEventListener(name: 'uncapturederror', listener: (event: { error: Error }) => void): void;
}

interface Gpu {
  requestAdapter(options?: { powerPreference?: string }): Promise<GpuAdapter | null>;
}

/**
 * Limits that tfjs's kernels can run into. A device has WebGPU's low defaults unless it is asked for more, and a kernel
 * that exceeds one changes nothing but raises an event.
 */
const wantedLimits = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxUniformBufferBindingSize',
  'maxBindingsPerBindGroup',
  'maxComputeWorkgroupStorageSize',
  'maxComputeWorkgroupsPerDimension',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ',
  'maxComputeInvocationsPerWorkgroup',
];

/**
 * Gives Node what a browser has: `navigator.gpu` and its classes, from the package "webgpu" as it is seen from here, or from
 * the folder that AUXSEG_WEBGPU names.
 */
async function installDawn(): Promise<void> {
  const folder = process.env['AUXSEG_WEBGPU'];
  let name = 'webgpu';
  if (folder) {
    const { createRequire } = await import('node:module');
    const { join, resolve } = await import('node:path');
    const { pathToFileURL } = await import('node:url');
    name = pathToFileURL(createRequire(join(resolve(folder), 'index.js')).resolve('webgpu')).href;
  }
  const dawn = (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as {
    create(flags: string[]): Gpu;
    globals: object;
  };
  for (const [key, value] of Object.entries(Object.getOwnPropertyDescriptors(dawn.globals))) {
    if (!(key in globalThis)) Object.defineProperty(globalThis, key, value);
  }
  if (globalThis.navigator == null) {
    Object.defineProperty(globalThis, 'navigator', { value: {}, configurable: true, writable: true });
  }
  const gpu = dawn.create([]);
  Object.defineProperty(globalThis.navigator, 'gpu', { value: gpu, configurable: true });
}

/** Why the package "webgpu" could not be imported. */
let dawnFailure = '';

/** `navigator.gpu`, in Node from the package "webgpu"; null where there is none. */
async function findGpu(): Promise<Gpu | null> {
  const gpu = () => (globalThis.navigator as { gpu?: Gpu } | undefined)?.gpu ?? null;
  if (gpu() == null && !isBrowser()) {
    await installDawn().catch((cause: Error) => {
      dawnFailure = cause.message.split('\n')[0];
    });
  }
  return gpu();
}

/** The graphics adapter, or in words why there is none. */
export async function findGpuAdapter(): Promise<GpuAdapter | string> {
  const gpu = await findGpu();
  if (gpu == null) {
    return isBrowser()
      ? 'there is no navigator.gpu here'
      : `there is no navigator.gpu here, and the package "webgpu" cannot be imported (${dawnFailure})`;
  }
  try {
    const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
    return adapter ?? 'navigator.gpu has no adapter';
  } catch (error) {
    return `navigator.gpu has no adapter: ${(error as Error).message}`;
  }
}

/** While `start` runs, devices are asked for with every limit as high as their adapter allows. */
export async function withAllGpuLimits<T>(start: () => Promise<T>): Promise<T> {
  const gpu = await findGpu();
  if (gpu == null) return start();
  const own = Object.getOwnPropertyDescriptor(gpu, 'requestAdapter');
  const requestAdapter = gpu.requestAdapter;
  gpu.requestAdapter = async (options) => {
    const adapter = await requestAdapter.call(gpu, options);
    if (adapter == null) return null;
    const requestDevice = adapter.requestDevice;
    adapter.requestDevice = (descriptor) => {
      const requiredLimits = { ...descriptor.requiredLimits };
      for (const limit of wantedLimits) {
        if (adapter.limits[limit] !== undefined) requiredLimits[limit] = adapter.limits[limit];
      }
      return requestDevice.call(adapter, { ...descriptor, requiredLimits });
    };
    return adapter;
  };
  try {
    return await start();
  } finally {
    if (own) Object.defineProperty(gpu, 'requestAdapter', own);
    else delete (gpu as Partial<Gpu>).requestAdapter;
  }
}

/** What tfjs's WebGPU backend has and does not document. */
interface GpuBackend {
  device: GpuDevice;
  bufferManager: { acquireBuffer(size: number, usage: number, ...rest: unknown[]): unknown };
  runWebGPUProgram(...args: unknown[]): unknown;
  write(...args: unknown[]): unknown;
  readSync(...args: unknown[]): unknown;
  read(...args: unknown[]): Promise<unknown>;
  dispose(): void;
}

const storageUsage = 0x80;

/**
 * Wraps what waits for results in Node. Dawn looks for them at every turn of the event loop and never sleeps, which takes a
 * core from a software adapter; here a turn sleeps, for a tenth of the time waited so far and 5 ms at most.
 */
function pausing<Args extends unknown[], T>(wait: (...args: Args) => Promise<T>) {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  let waiting = 0;
  let since = 0;
  let turning = false;
  const turn = () => {
    turning = waiting > 0;
    if (!turning) return;
    Atomics.wait(cell, 0, 0, Math.min(5, (performance.now() - since) / 10));
    setImmediate(turn);
  };
  return async (...args: Args): Promise<T> => {
    waiting++;
    since = performance.now();
    if (!turning) turn();
    try {
      return await wait(...args);
    } finally {
      waiting--;
    }
  };
}

/**
 * Makes a WebGPU backend fail aloud.
 *
 * Validation and memory errors reach a page only as `uncapturederror` events, while tfjs goes on and reads old values or
 * zeros. From here on the next operation, upload or `await data()` throws RuntimeError `webgpu-error` that quotes them, once;
 * after the device is lost every one does. A tensor beyond the device's limits throws RuntimeError `webgpu-tensor-too-large`
 * where it is made.
 */
export function failAloud(target: object): void {
  const backend = target as GpuBackend;
  const { device, bufferManager } = backend;
  const unreported: string[] = [];
  let lost: string | null = null;
  device.addEventListener('uncapturederror', ({ error }) => {
    unreported.push(`${error.constructor.name}: ${error.message}`);
  });
  device.lost.then(({ reason, message }) => {
    if (reason !== 'destroyed') lost = message;
  });
  const throwIfFailed = () => {
    if (lost == null && unreported.length === 0) return;
    const messages = unreported.splice(0);
    if (lost != null) messages.push(`device lost: ${lost}`);
    throw new RuntimeError(
      'webgpu-error',
      `Expected WebGPU to carry out every operation, but it reported: ${messages.join('; ')} Results since the last one read are ` +
        'not to be trusted: begin again from the last checkpoint, with a smaller batch or crop, or on another backend.',
      { messages },
    );
  };
  for (const name of ['runWebGPUProgram', 'write', 'readSync'] as const) {
    const original = backend[name];
    backend[name] = (...args) => {
      throwIfFailed();
      return original.apply(backend, args);
    };
  }
  const ownRead = backend.read.bind(backend);
  const read = isBrowser() ? ownRead : pausing(ownRead);
  backend.read = async (...args) => {
    throwIfFailed();
    const values = await read(...args);
    throwIfFailed();
    return values;
  };
  if (!isBrowser()) {
    // Dawn crashes where a process ends with a device, and keeps the process running as long as there is one.
    const destroy = () => device.destroy();
    process.once('exit', destroy);
    const dispose = backend.dispose;
    backend.dispose = () => {
      dispose.call(backend);
      process.off('exit', destroy);
      destroy();
    };
  }
  const { maxBufferSize, maxStorageBufferBindingSize } = device.limits;
  const acquireBuffer = bufferManager.acquireBuffer;
  bufferManager.acquireBuffer = (size, usage, ...rest) => {
    const limit = usage & storageUsage ? Math.min(maxBufferSize, maxStorageBufferBindingSize) : maxBufferSize;
    if (size > limit) {
      throw new RuntimeError(
        'webgpu-tensor-too-large',
        `Expected tensors of at most ${limit} bytes on this WebGPU device, got ${size}; use a smaller batch, crop or width.`,
        { size, limit },
      );
    }
    return acquireBuffer.call(bufferManager, size, usage, ...rest);
  };
}
