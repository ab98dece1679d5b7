import { createDenseCrfReference } from './create-dense-crf-reference.js';
import { createDenseCrfWasm } from './create-dense-crf-wasm.js';
import { DenseCrfError } from './dense-crf-error.js';
import { loadWasmModule } from './load-wasm-module.js';
import type { DenseCrf } from './types.js';

/** Options of `createDenseCrf`. */
export interface CreateDenseCrfOptions {
  /**
   * `auto` (default): the SIMD kernel where the engine runs it, else plain TypeScript. `wasm`: the kernel or an error.
   * `reference`: plain TypeScript.
   */
  readonly implementation?: 'auto' | 'wasm' | 'reference';
  /**
   * Leave labels whose probability is negligible everywhere out of the filters (default true): much faster with many
   * labels of which few are present, and changes Q by less than 5e-5.
   */
  readonly skipLabels?: boolean;
}

/**
 * Creates a dense CRF that runs on the calling thread, with the fastest implementation this engine supports.
 * Throws DenseCrfError `unsupported` when `wasm` is asked for and cannot run.
 */
export async function createDenseCrf(options: CreateDenseCrfOptions = {}): Promise<DenseCrf> {
  const { implementation = 'auto', skipLabels = true } = options;
  if (!['auto', 'wasm', 'reference'].includes(implementation)) {
    throw new DenseCrfError(
      'bad-option',
      `Expected implementation to be auto, wasm or reference, got '${implementation}'.`,
      { implementation },
    );
  }
  if (implementation === 'reference') return createDenseCrfReference();
  try {
    return createDenseCrfWasm(await loadWasmModule(), { skipLabels });
  } catch (cause) {
    if (implementation === 'auto') return createDenseCrfReference();
    const error = new DenseCrfError(
      'unsupported',
      `Expected an engine that runs WebAssembly SIMD, but the kernel did not load (${String(cause)}); use ` +
        "implementation 'auto' to fall back to plain TypeScript.",
    );
    error.cause = cause;
    throw error;
  }
}
