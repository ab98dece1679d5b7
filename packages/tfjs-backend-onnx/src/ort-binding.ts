import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { OnnxBackendError } from './onnx-backend-error.js';

/** A tensor as the native binding reads it: any object with these four fields. */
export interface OrtTensor {
  readonly data: Float32Array | Int32Array | Uint8Array | BigInt64Array;
  readonly dims: readonly number[];
  readonly type: 'float32' | 'int32' | 'uint8' | 'bool' | 'int64';
  readonly location: 'cpu';
}

/** The native session of onnxruntime-node, which runs synchronously and writes into the outputs it is given. */
export interface OrtSession {
  loadModel(buffer: ArrayBuffer, byteOffset: number, byteLength: number, options: object): void;
  run(feeds: Record<string, OrtTensor>, fetches: Record<string, OrtTensor | null>, options: object): unknown;
  dispose(): void;
}

type TensorConstructor = new (type: string, data: unknown, dims: readonly number[]) => object;

/** The part of the native module that this package uses. */
export interface OrtBinding {
  InferenceSession: new () => OrtSession;
  initOrtOnce(logLevel: number, tensorConstructor: TensorConstructor, isMainThread: boolean): void;
}

/** Errors come back as exceptions, so onnxruntime need not print them as well. */
const LOG_FATAL = 4;

/**
 * The constructor by which the binding wraps results.
 *
 * It stays onnxruntime's own class, because other code in the process may use the package's public interface; only where
 * that class refuses arrays of another realm (jest's sandbox) a bare object takes its place. Our results are read from
 * the arrays that we pass in.
 */
function resultConstructor(Tensor: TensorConstructor): TensorConstructor {
  return class {
    constructor(type: string, data: unknown, dims: readonly number[]) {
      try {
        // biome-ignore lint/correctness/noConstructorReturn: the binding calls it with `new` and keeps what comes back
        return new Tensor(type, data, dims);
      } catch {
        Object.assign(this, { type, data, dims, location: 'cpu' });
      }
    }
  };
}

/**
 * The one release whose internal binding this package was written against.
 *
 * `dist/binding.js` is no public interface, hence the exact version in package.json and the check at load time.
 */
export const SUPPORTED_ORT_VERSION = '1.30.0';

let loaded: OrtBinding | undefined;

/**
 * Loads the native binding of onnxruntime-node once per process.
 *
 * @throws OnnxBackendError `binding-unavailable` when the package, its version or its binary for this platform is missing.
 */
export function loadOrtBinding(): OrtBinding {
  if (loaded) return loaded;
  const require = createRequire(import.meta.url);
  let version: unknown;
  try {
    const manifest = require.resolve('onnxruntime-node/package.json');
    version = (require(manifest) as { version: string }).version;
    if (version !== SUPPORTED_ORT_VERSION) {
      throw new Error(`found version ${String(version)}`);
    }
    // The CommonJS module initialises nothing by itself: we do, so that results can be made in another realm too.
    const internal = require(join(dirname(manifest), 'dist', 'binding.js')) as { binding: OrtBinding };
    const { Tensor } = createRequire(manifest)('onnxruntime-common') as { Tensor: TensorConstructor };
    internal.binding.initOrtOnce(LOG_FATAL, resultConstructor(Tensor), isMainThread);
    loaded = internal.binding;
    return loaded;
  } catch (cause) {
    const platform = `${process.platform}-${process.arch}`;
    throw new OnnxBackendError(
      'binding-unavailable',
      `Expected onnxruntime-node ${SUPPORTED_ORT_VERSION} with its CPU library for ${platform}, but loading it failed: ` +
        `${cause instanceof Error ? cause.message : String(cause)}. Install exactly that version, or use the wasm backend.`,
      { expected: SUPPORTED_ORT_VERSION, found: version, platform },
      cause,
    );
  }
}
