import type { DenseCrfErrorCode } from './dense-crf-error.js';
import type { DenseCrfOptions } from './types.js';

/** What a worker is asked to return. */
export type PoolOutput = 'q' | 'map' | 'foreground';

/** First message to a worker: how to create its dense CRF. */
export interface PoolSetup {
  readonly kind: 'setup';
  readonly implementation: 'auto' | 'wasm' | 'reference';
  readonly skipLabels: boolean;
}

/** One image for a worker. */
export interface PoolRequest {
  readonly kind: 'infer';
  readonly output: PoolOutput;
  readonly options: DenseCrfOptions;
}

/** `ready` once after the setup, then one answer to each request. */
export type PoolAnswer =
  | { readonly kind: 'ready' }
  | { readonly kind: 'result'; readonly values: Float32Array | Uint8Array }
  | {
      readonly kind: 'error';
      readonly code: DenseCrfErrorCode | null;
      readonly message: string;
      readonly details: Record<string, unknown>;
    };
