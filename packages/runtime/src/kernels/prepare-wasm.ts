/** Kernels of our own for the wasm backend. */
export function prepareWasm(): void {}
