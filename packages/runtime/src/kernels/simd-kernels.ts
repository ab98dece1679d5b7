import { sharedWasmKernels, wasmKernels } from '../generated/wasm-kernels.js';

type Numbers = (...args: number[]) => void;

/** Our compiled kernels; pointers are byte offsets into the memory they were made for. See assembly/. */
export interface SimdKernels {
  transpose: Numbers;
  packPhases: Numbers;
  copyWindows: Numbers;
  columnSums: Numbers;
  maskGradient: Numbers;
  maskedScale: Numbers;
  softmaxRowsGradient: Numbers;
  depthwiseFilterGradient: Numbers;
  depthwiseInputGradient: Numbers;
  resizeGradient: Numbers;
  fuseForward: Numbers;
  fuseBackward: Numbers;
  fuseScratchFloats(l: number): number;
}

function decode(base64: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

const modules: { plain?: WebAssembly.Module; shared?: WebAssembly.Module } = {};

/** Instantiates the kernels in a memory; the memory's owner keeps owning it. */
export function createSimdKernels(memory: WebAssembly.Memory): SimdKernels {
  const shared = typeof SharedArrayBuffer !== 'undefined' && memory.buffer instanceof SharedArrayBuffer;
  const kind = shared ? 'shared' : 'plain';
  const module = (modules[kind] ??= new WebAssembly.Module(decode(shared ? sharedWasmKernels : wasmKernels)));
  const instance = new WebAssembly.Instance(module, { env: { memory } });
  return instance.exports as unknown as SimdKernels;
}
