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

/** How many requests the memory of the peak lasts, at least; a training step makes a few thousand. */
const PEAK_WINDOW = 50_000;

/**
 * Reuses the memory of disposed tensors.
 *
 * Fresh memory costs a page fault per 4 KiB, more than most elementwise kernels cost; training steps repeat the same
 * sizes, so arrays are kept by exact size. What waits and what is used together never exceed the recent peak of what
 * was used by more than the allowance: the oldest sizes are dropped.
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
  #allowance: number;
  /** Peaks of `usedBytes` in the current and in the previous window of requests. */
  #peak = 0;
  #previousPeak = 0;
  #requests = 0;

  /** @param allowance bytes that may wait on top of the peak: not all sizes are used at the time of the peak. */
  constructor(allowance: number) {
    this.#allowance = allowance;
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
      this.#dropDownTo(this.#limit() - bytes);
      buffer = new ArrayBuffer(bytes);
      this.#allocated++;
    }
    this.#owned.add(buffer);
    this.#usedBytes += bytes;
    this.#trackPeak();
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
    this.#dropDownTo(this.#limit());
  }

  /** Whether only this pool and one tensor or kernel know the array, so that writing into it is seen by nobody else. */
  owns(array: ArrayBufferView): boolean {
    return this.#owned.has(array.buffer);
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

  #limit(): number {
    return Math.max(this.#peak, this.#previousPeak) + this.#allowance;
  }

  #trackPeak(): void {
    if (this.#usedBytes > this.#peak) this.#peak = this.#usedBytes;
    if (++this.#requests % PEAK_WINDOW === 0) {
      this.#previousPeak = this.#peak;
      this.#peak = this.#usedBytes;
    }
  }

  /** Drops waiting arrays until no more than `bytes` are used and waiting. */
  #dropDownTo(bytes: number): void {
    while (this.#freeArrays > 0 && this.#usedBytes + this.#freeBytes > bytes) this.#dropOldest();
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
