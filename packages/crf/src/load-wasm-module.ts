let compiled: Promise<WebAssembly.Module> | null = null;

/** Compiles the embedded SIMD kernel, once per thread; rejects where WebAssembly SIMD is missing. */
export function loadWasmModule(): Promise<WebAssembly.Module> {
  compiled ??= load();
  return compiled;
}

async function load(): Promise<WebAssembly.Module> {
  // Made by the package's build script from assembly/. A bare `tsc` without that script must pass as well, and then
  // leaves a package that falls back to plain TypeScript.
  // biome-ignore lint/suspicious/noTsIgnore: whether the file exists depends on which build ran
  // @ts-ignore
  const { denseCrfWasmBase64 } = (await import('./generated/dense-crf-wasm.js')) as {
    denseCrfWasmBase64: string;
  };
  const text = atob(denseCrfWasmBase64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return WebAssembly.compile(bytes);
}
