import { availableParallelism } from 'node:os';
import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import type { backend_util, DataType, TensorInfo } from '@tensorflow/tfjs-core';
import { ArrayPool, type ArrayPoolStats, type NumericArray, type NumericType } from './array-pool.js';
import { checkOptions } from './check-options.js';
import type { OnnxGraph } from './onnx-model.js';
import { loadOrtBinding, type OrtTensor } from './ort-binding.js';
import { probeBlockSize } from './probe-block-size.js';
import { SessionCache, type SessionCacheStats, type Workload } from './session-cache.js';

/** Settings of the backend, fixed when it is created. */
export interface OnnxBackendOptions {
  /** Threads of each convolution and matrix product, 1 = the caller's alone. Default: the cores, at most 4. */
  threads?: number;
  /** Most onnxruntime sessions kept, default 512 (each holds one operator, some 100 kB). */
  sessionLimit?: number;
  /** Bytes of disposed tensors kept for reuse beyond the recent peak of live ones, default 256 MiB; see `ArrayPool`. */
  poolBytes?: number;
  /**
   * Elements below which elementwise kernels, reductions and transposes run in JavaScript, default 4096: the call into
   * onnxruntime takes some 10 microseconds.
   */
  smallTensor?: number;
  /**
   * Whether 3x3 convolutions of many channels, and their gradients, go through Winograd's F(2x2, 3x3), which multiplies less than half as
   * much; default true. It rounds up to twice as coarsely as direct sums, and a NaN or an infinity reaches one pixel further.
   */
  winograd?: boolean;
}

/** What `OnnxBackend.stats()` reports. */
export interface OnnxBackendStats {
  threads: number;
  /** Channels per block of onnxruntime's blocked layout here, 1 where it has none. */
  blockSize: number;
  sessions: SessionCacheStats;
  arrays: ArrayPoolStats;
}

/** A tensor that a kernel makes: its info for tfjs and the values to fill in. */
export interface Allocation<A extends NumericArray> {
  info: TensorInfo;
  values: A;
}

const DEFAULT_SESSION_LIMIT = 512;
/** Few operators of the networks that we measured have work for more. */
const MAX_DEFAULT_THREADS = 4;
const DEFAULT_POOL_BYTES = 256 * 2 ** 20;
const DEFAULT_SMALL_TENSOR = 4096;

/**
 * TensorFlow.js backend with tensors in plain array buffers and hot kernels in onnxruntime's CPU library.
 *
 * It extends the cpu backend because each of that backend's kernels then works on our tensors unchanged.
 */
export class OnnxBackend extends MathBackendCPU {
  /** Elements below which a JavaScript loop beats the call into onnxruntime. */
  readonly smallTensor: number;
  /** Whether convolutions may go through Winograd's algorithm; may be changed between operations. */
  winograd: boolean;
  /** Channels per block of onnxruntime's blocked convolution layout, 1 where this processor has none. */
  readonly blockSizeNchwc: number;
  readonly sessions: SessionCache;
  readonly arrays: ArrayPool;

  constructor(options: OnnxBackendOptions = {}) {
    super();
    checkOptions(options);
    this.smallTensor = options.smallTensor ?? DEFAULT_SMALL_TENSOR;
    this.winograd = options.winograd ?? true;
    this.sessions = new SessionCache(loadOrtBinding(), {
      limit: options.sessionLimit ?? DEFAULT_SESSION_LIMIT,
      threads: options.threads ?? Math.min(MAX_DEFAULT_THREADS, availableParallelism()),
    });
    this.arrays = new ArrayPool(options.poolBytes ?? DEFAULT_POOL_BYTES);
    this.blockSizeNchwc = probeBlockSize(this.sessions);
  }

  /** Threads within one operation; may be changed between operations. */
  get threads(): number {
    return this.sessions.threads;
  }

  set threads(threads: number) {
    checkOptions({ threads });
    this.sessions.threads = threads;
  }

  /** Counters of sessions and memory; cheap. */
  stats(): OnnxBackendStats {
    return {
      threads: this.threads,
      blockSize: this.blockSizeNchwc,
      sessions: this.sessions.stats(),
      arrays: this.arrays.stats(),
    };
  }

  /** Makes a tensor whose memory comes from the pool; the values are arbitrary unless `zero`. */
  allocate(shape: number[], dtype: 'float32', zero?: boolean): Allocation<Float32Array<ArrayBuffer>>;
  allocate(shape: number[], dtype: NumericType, zero?: boolean): Allocation<NumericArray>;
  allocate(shape: number[], dtype: NumericType, zero = false): Allocation<NumericArray> {
    let size = 1;
    for (const extent of shape) size *= extent;
    const values = this.arrays.take(dtype, size, zero);
    const dataId = {};
    this.data.set(dataId, { values, dtype, refCount: 1 });
    return { info: { dataId, shape, dtype }, values };
  }

  /** The values of a float32 tensor, converted or copied when the native side could not read them in place. */
  floats(info: TensorInfo): Float32Array {
    const values = this.data.get(info.dataId).values as Float32Array;
    if (isPlain(values, '[object Float32Array]')) return values;
    return Float32Array.from(values);
  }

  /** The values of a numeric tensor of any type, as they are. */
  numbers(info: TensorInfo): NumericArray {
    return this.data.get(info.dataId).values as NumericArray;
  }

  /** Runs a graph, see `SessionCache.run`. */
  runGraph(
    key: string,
    build: () => OnnxGraph,
    feeds: Record<string, OrtTensor>,
    fetches: Record<string, OrtTensor>,
    workload: Workload = 'memory',
  ): void {
    this.sessions.run(key, build, feeds, fetches, workload);
  }

  override write(values: backend_util.BackendValues, _shape: number[], dtype: DataType): object {
    // A kernel of the cpu backend may make a second tensor over the memory of the first (slices do).
    if (ArrayBuffer.isView(values)) this.arrays.disown(values);
    const dataId = {};
    this.data.set(dataId, { values, dtype, refCount: 1 });
    return dataId;
  }

  override move(
    dataId: object,
    values: backend_util.BackendValues,
    _shape: number[],
    dtype: DataType,
    refCount: number,
  ): void {
    if (ArrayBuffer.isView(values)) this.arrays.disown(values);
    this.data.set(dataId, { values, dtype, refCount });
  }

  override readSync(dataId: object): backend_util.BackendValues {
    const { values } = this.data.get(dataId);
    // The caller may keep what it reads, so this memory must never serve another tensor.
    if (ArrayBuffer.isView(values)) this.arrays.disown(values);
    return super.readSync(dataId);
  }

  override disposeData(dataId: object, force = false): boolean {
    if (!this.data.has(dataId)) return true;
    const { values } = this.data.get(dataId);
    const gone = super.disposeData(dataId, force);
    if (gone && ArrayBuffer.isView(values)) this.arrays.give(values as NumericArray);
    return gone;
  }

  override memory(): { unreliable: boolean; reasons: string[] } {
    return { unreliable: false, reasons: [] };
  }

  override dispose(): void {
    this.sessions.dispose();
    this.arrays.clear();
  }
}

/** Whether the native side can read the values in place; shared memory it cannot. */
function isPlain(values: unknown, tag: string): boolean {
  return (
    Object.prototype.toString.call(values) === tag &&
    (typeof SharedArrayBuffer === 'undefined' ||
      !((values as ArrayBufferView).buffer instanceof SharedArrayBuffer))
  );
}
