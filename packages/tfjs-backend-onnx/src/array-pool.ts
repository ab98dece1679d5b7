/** Typed arrays that hold tensor values in this backend. */
export type NumericArray = Float32Array | Int32Array | Uint8Array;
export type NumericType = 'float32' | 'int32' | 'bool';

/** Counters of an array pool. */
export interface ArrayPoolStats {
  /** Bytes waiting for reuse. */
  freeBytes: number;
  freeArrays: number;
  /** Bytes handed out and not yet given back or adopted by someone else. */
  usedBytes: number;
  reused: number;
  allocated: number;
}

/** Arrays below this many bytes are cheaper to allocate than to look up. */
const MIN_POOLED_BYTES = 4096;

/**
 * Reuses the memory of disposed tensors.
 *
 * Fresh memory costs a page fault per 4 KiB, more than most elementwise kernels cost; training steps repeat the same
 * sizes, so arrays are kept by exact size. The oldest sizes are dropped when more than the limit would wait.
 */
export class ArrayPool {
  /** Free buffers by byte length; the map's insertion order is the order of last use. */
  #free = new Map<number, ArrayBuffer[]>();
  /** Buffers that only this pool and one tensor or kernel know. */
  #owned = new WeakSet<ArrayBufferLike>();
  #freeBytes = 0;
  #freeArrays = 0;
  #usedBytes = 0;
  #reused = 0;
  #allocated = 0;
  #minimumLimit: number;

  /** @param minimumLimit bytes that may always wait; beyond it, as much as half of what is in use. */
  constructor(minimumLimit: number) {
    this.#minimumLimit = minimumLimit;
  }

  /** An array of `length` elements with arbitrary contents, or zeros with `zero`. */
  take(type: 'float32', length: number, zero?: boolean): Float32Array<ArrayBuffer>;
  take(type: NumericType, length: number, zero?: boolean): NumericArray;
  take(type: NumericType, length: number, zero = false): NumericArray {
    const bytes = type === 'bool' ? length : 4 * length;
    if (bytes < MIN_POOLED_BYTES) return viewOf(type, new ArrayBuffer(bytes));
    const waiting = this.#free.get(bytes);
    let buffer: ArrayBuffer;
    if (waiting !== undefined) {
      buffer = waiting.pop()!;
      if (waiting.length === 0) this.#free.delete(bytes);
      this.#freeBytes -= bytes;
      this.#freeArrays--;
      this.#reused++;
      if (zero) new Uint8Array(buffer).fill(0);
    } else {
      buffer = new ArrayBuffer(bytes);
      this.#allocated++;
    }
    this.#owned.add(buffer);
    this.#usedBytes += bytes;
    return viewOf(type, buffer);
  }

  /** Gives an array back; arrays that the pool does not own are left to the garbage collector. */
  give(array: NumericArray): void {
    const buffer = array.buffer as ArrayBuffer;
    if (!this.#owned.delete(buffer)) return;
    const bytes = buffer.byteLength;
    this.#usedBytes -= bytes;
    const waiting = this.#free.get(bytes);
    if (waiting === undefined) this.#free.set(bytes, [buffer]);
    else {
      waiting.push(buffer);
      this.#free.delete(bytes);
      this.#free.set(bytes, waiting);
    }
    this.#freeBytes += bytes;
    this.#freeArrays++;
    const limit = Math.max(this.#minimumLimit, this.#usedBytes / 2);
    while (this.#freeBytes > limit) this.#dropOldest();
  }

  /** Stops tracking an array because someone else may keep it: it will never be reused. */
  disown(array: ArrayBufferView): void {
    if (this.#owned.delete(array.buffer)) this.#usedBytes -= array.buffer.byteLength;
  }

  /** Frees everything that waits. */
  clear(): void {
    this.#free.clear();
    this.#freeBytes = 0;
    this.#freeArrays = 0;
  }

  #dropOldest(): void {
    const [bytes, waiting] = this.#free.entries().next().value as [number, ArrayBuffer[]];
    waiting.pop();
    if (waiting.length === 0) this.#free.delete(bytes);
    this.#freeBytes -= bytes;
    this.#freeArrays--;
  }

  stats(): ArrayPoolStats {
    return {
      freeBytes: this.#freeBytes,
      freeArrays: this.#freeArrays,
      usedBytes: this.#usedBytes,
      reused: this.#reused,
      allocated: this.#allocated,
    };
  }
}

function viewOf(type: NumericType, buffer: ArrayBuffer): NumericArray {
  if (type === 'float32') return new Float32Array(buffer);
  return type === 'int32' ? new Int32Array(buffer) : new Uint8Array(buffer);
}
