import { denseCrfWasmBase64 } from './generated/dense-crf-wasm.js';

let compiled: Promise<WebAssembly.Module> | null = null;

/** Compiles the embedded SIMD kernel, once per thread; rejects where WebAssembly SIMD is missing. */
export function loadWasmModule(): Promise<WebAssembly.Module> {
  compiled ??= compile();
  return compiled;
}

async function compile(): Promise<WebAssembly.Module> {
  const text = atob(denseCrfWasmBase64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return WebAssembly.compile(bytes);
}
