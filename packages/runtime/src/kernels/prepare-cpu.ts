/** Kernels of our own for the cpu backend. */
export function prepareCpu(): void {}
