import type * as tf from '@tensorflow/tfjs-core';
import { RuntimeError } from '../errors.js';
import { createSimdKernels, type SimdKernels } from './simd-kernels.js';

/** What we use of tfjs's wasm backend beyond KernelBackend; internal to it, so held by tests. */
export interface WasmBackend {
  wasm: {
    HEAPU8: Uint8Array;
    _malloc(bytes: number): number;
    _free(offset: number): void;
    cwrap(name: string, returns: string | null, args: string[]): (...args: unknown[]) => void;
    /** The plain build exports its memory, the threaded one is given it. */
    asm: { memory?: WebAssembly.Memory };
    wasmMemory?: WebAssembly.Memory;
    tfjs: {
      registerTensor(id: number, size: number, memoryOffset: number): void;
      disposeData(id: number): void;
    };
  };
  dataIdMap: { get(dataId: object): { id: number; memoryOffset: number; shape: number[]; refCount: number } };
  dataIdNextNumber: number;
  makeOutput(shape: number[], dtype: tf.DataType): tf.TensorInfo;
  write(values: tf.BackendValues, shape: number[], dtype: tf.DataType): object;
  /** A copy. */
  readSync(dataId: object): tf.BackendValues;
  /** A view, valid until the next allocation. */
  typedArrayFromHeap(info: tf.TensorInfo): Float32Array | Int32Array | Uint8Array;
  incRef(dataId: object): void;
  disposeData(dataId: object): boolean;
}

const kernelsByBackend = new WeakMap<WasmBackend, SimdKernels>();

/** Our kernels inside this backend's heap. */
export function simdOf(backend: WasmBackend): SimdKernels {
  let kernels = kernelsByBackend.get(backend);
  if (kernels == null) {
    kernels = createSimdKernels((backend.wasm.asm.memory ?? backend.wasm.wasmMemory)!);
    kernelsByBackend.set(backend, kernels);
  }
  return kernels;
}

/** Byte offset of a tensor's data in the heap. */
export function offsetOf(backend: WasmBackend, info: tf.TensorInfo): number {
  return backend.dataIdMap.get(info.dataId).memoryOffset >>> 0;
}

/** A float view of the heap; valid until the next allocation, which may move the heap's buffer. */
export function floatsAt(backend: WasmBackend, offset: number, size: number): Float32Array {
  return new Float32Array(backend.wasm.HEAPU8.buffer, offset, size);
}

const exhaustible = new WeakSet<object>();

/**
 * Makes running out of heap an error.
 *
 * tfjs takes the null pointer of a failed allocation for an address and goes on, writing over its own globals.
 */
export function guardHeap(backend: WasmBackend): void {
  const { wasm } = backend;
  if (exhaustible.has(wasm)) return;
  exhaustible.add(wasm);
  // Emscripten's first call replaces the function by the export behind it, and would replace ours.
  wasm._free(wasm._malloc(16));
  const allocate = wasm._malloc;
  wasm._malloc = (bytes: number) => {
    let offset = 0;
    try {
      offset = allocate(bytes) >>> 0;
    } catch {
      offset = 0;
    }
    if (offset === 0 && bytes > 0) {
      throw new RuntimeError(
        'wasm-heap-exhausted',
        `Expected room for ${Math.ceil(bytes / 2 ** 20)} MiB more in the wasm heap, which ends at 4 GiB; use a smaller ` +
          'batch, crop or width, or backend "onnx", which has no such limit.',
        { bytes },
      );
    }
    return offset;
  };
}

/** Runs `use` with the byte offset of `size` scratch floats, and frees them. */
export function withScratch<T>(backend: WasmBackend, size: number, use: (offset: number) => T): T {
  const offset = backend.wasm._malloc(Math.max(16, size * 4)) >>> 0;
  try {
    return use(offset);
  } finally {
    backend.wasm._free(offset);
  }
}

/**
 * Gives part of the heap a tensor number of its own while `use` runs, without copying.
 *
 * XNNPACK's packed copies are cached by that number: a fresh one never meets a stale copy, and they are freed here.
 */
export function withView<T>(backend: WasmBackend, offset: number, size: number, use: (id: number) => T): T {
  const id = backend.dataIdNextNumber++;
  backend.wasm.tfjs.registerTensor(id, size, offset);
  try {
    return use(id);
  } finally {
    backend.wasm.tfjs.disposeData(id);
  }
}
