import { DenseCrfError } from './dense-crf-error.js';
import {
  requireByteLabels,
  requireIterations,
  requireTwoLabels,
  toDenseCrfProblem,
} from './dense-crf-problem.js';
import type { PoolAnswer, PoolOutput, PoolRequest, PoolSetup } from './pool-protocol.js';
import { startWorker, type WorkerHandle } from './start-worker.js';
import type { DenseCrfOptions } from './types.js';

/** Options of `createDenseCrfPool`. */
export interface CreateDenseCrfPoolOptions {
  /** Number of workers, an integer >= 1; default: the machine's available parallelism. */
  readonly workers?: number;
  /** Calls that may wait for a worker, an integer >= 1, default 1024; further ones are rejected with `queue-full`. */
  readonly maxQueue?: number;
  /** Milliseconds that one image may take before its worker counts as hanging, > 0; default 120,000. A worker's start is not part of it. */
  readonly timeoutMs?: number;
  /** As in `createDenseCrf`. */
  readonly implementation?: 'auto' | 'wasm' | 'reference';
  /** As in `createDenseCrf`. */
  readonly skipLabels?: boolean;
  /** Where the worker script lies, for bundlers that do not follow `new URL(..., import.meta.url)`. */
  readonly workerUrl?: URL | string;
}

/** Options of one call. */
export interface PoolCallOptions {
  /** Takes the call back: a waiting one leaves the queue, a running one ends its worker, which is replaced. */
  readonly signal?: AbortSignal;
}

/** Dense CRF inference of many images on several workers. */
export interface DenseCrfPool {
  readonly workers: number;
  /** Calls that wait for a worker. */
  readonly waiting: number;
  /** Calls that a worker computes. */
  readonly running: number;
  /** Q, as `DenseCrf.infer`; the inputs are copied to the worker and stay yours, unchanged until the call is done. */
  infer(options: DenseCrfOptions, call?: PoolCallOptions): Promise<Float32Array>;
  /** Argmax, as `DenseCrf.inferMap`. */
  inferMap(options: DenseCrfOptions, call?: PoolCallOptions): Promise<Uint8Array>;
  /** Foreground plane, as `DenseCrf.inferForeground`. */
  inferForeground(options: DenseCrfOptions, call?: PoolCallOptions): Promise<Float32Array>;
  /**
   * Results of a sequence of problems, in its order. Takes from `problems` only as workers become free (one ahead per
   * worker), so a folder of any size passes through bounded memory. The first failure ends the sequence.
   */
  inferAll(
    problems: Iterable<DenseCrfOptions> | AsyncIterable<DenseCrfOptions>,
    call?: PoolCallOptions,
  ): AsyncGenerator<Float32Array, void, undefined>;
  /** Ends the workers; calls that are not done are rejected with `disposed`. Resolves when they have ended. */
  dispose(): Promise<void>;
}

/** A worker that has not even started after this long does not count as busy but as failed. */
const startLimitMs = 30_000;

/** Timers count in 32 bits and fire at once beyond them: longer limits, such as Infinity, mean this one, 24 days. */
const longestTimerMs = 2 ** 31 - 1;

interface Task {
  readonly output: PoolOutput;
  readonly options: DenseCrfOptions;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (values: Float32Array | Uint8Array) => void;
  readonly reject: (reason: unknown) => void;
  readonly onAbort: () => void;
}

interface Slot {
  worker: WorkerHandle | null;
  /** The worker has started and set up its dense CRF: from now on its time counts. */
  ready: boolean;
  task: Task | null;
  timer: ReturnType<typeof setTimeout> | undefined;
}

function positiveInteger(value: unknown, name: string): number {
  if (!Number.isInteger(value) || (value as number) < 1) {
    throw new DenseCrfError('bad-option', `Expected ${name} to be an integer >= 1, got ${String(value)}.`, {
      [name]: value,
    });
  }
  return value as number;
}

function availableWorkers(): number {
  const node = globalThis.process?.getBuiltinModule?.('node:os');
  return Math.max(1, node?.availableParallelism() ?? globalThis.navigator?.hardwareConcurrency ?? 1);
}

class WorkerPool implements DenseCrfPool {
  readonly workers: number;
  readonly #maxQueue: number;
  readonly #timeoutMs: number;
  readonly #setup: PoolSetup;
  readonly #workerUrl: URL | string | undefined;
  readonly #slots: Slot[];
  readonly #ending: Promise<void>[] = [];
  #queue: Task[] = [];
  #disposed = false;

  constructor(options: CreateDenseCrfPoolOptions) {
    this.workers = positiveInteger(options.workers ?? availableWorkers(), 'workers');
    this.#maxQueue = positiveInteger(options.maxQueue ?? 1024, 'maxQueue');
    const { timeoutMs = 120_000 } = options;
    if (!(timeoutMs > 0)) {
      throw new DenseCrfError('bad-option', `Expected timeoutMs > 0, got ${timeoutMs}.`, { timeoutMs });
    }
    this.#timeoutMs = Math.min(timeoutMs, longestTimerMs);
    const { implementation = 'auto', skipLabels = true } = options;
    this.#setup = { kind: 'setup', implementation, skipLabels };
    this.#workerUrl = options.workerUrl;
    this.#slots = Array.from({ length: this.workers }, () => ({
      worker: null,
      ready: false,
      task: null,
      timer: undefined,
    }));
  }

  get waiting(): number {
    return this.#queue.length;
  }

  get running(): number {
    return this.#slots.filter((slot) => slot.task !== null).length;
  }

  infer(options: DenseCrfOptions, call: PoolCallOptions = {}): Promise<Float32Array> {
    return this.#submit('q', options, call) as Promise<Float32Array>;
  }

  inferMap(options: DenseCrfOptions, call: PoolCallOptions = {}): Promise<Uint8Array> {
    return this.#submit('map', options, call) as Promise<Uint8Array>;
  }

  inferForeground(options: DenseCrfOptions, call: PoolCallOptions = {}): Promise<Float32Array> {
    return this.#submit('foreground', options, call) as Promise<Float32Array>;
  }

  async *inferAll(
    problems: Iterable<DenseCrfOptions> | AsyncIterable<DenseCrfOptions>,
    call: PoolCallOptions = {},
  ): AsyncGenerator<Float32Array, void, undefined> {
    // Our own controller takes back what is still under way when the consumer stops early or one image fails.
    const controller = new AbortController();
    const signal = call.signal ? AbortSignal.any([call.signal, controller.signal]) : controller.signal;
    const pending: Promise<Float32Array>[] = [];
    try {
      for await (const problem of problems) {
        const result = this.infer(problem, { signal });
        // Failures surface where the result is awaited, in order.
        result.catch(() => {});
        pending.push(result);
        if (pending.length > 2 * this.workers) yield await (pending.shift() as Promise<Float32Array>);
      }
      while (pending.length > 0) yield await (pending.shift() as Promise<Float32Array>);
    } finally {
      controller.abort();
    }
  }

  async dispose(): Promise<void> {
    if (!this.#disposed) {
      this.#disposed = true;
      const reason = new DenseCrfError('disposed', 'The pool was disposed before this image was done.');
      for (const task of this.#queue.splice(0)) this.#settle(task, () => task.reject(reason));
      for (const slot of this.#slots) {
        const { task } = slot;
        this.#endWorker(slot);
        if (task) this.#settle(task, () => task.reject(reason));
      }
    }
    await Promise.all(this.#ending);
  }

  #submit(
    output: PoolOutput,
    options: DenseCrfOptions,
    { signal }: PoolCallOptions,
  ): Promise<Float32Array | Uint8Array> {
    return new Promise((resolve, reject) => {
      if (this.#disposed) throw new DenseCrfError('disposed', 'This pool was disposed; create a new one.');
      signal?.throwIfAborted();
      // Shapes and ranges are checked here, so that a wrong call fails at once and without a copy.
      const problem = toDenseCrfProblem({ ...options, iterations: requireIterations(options) });
      if (output === 'map') requireByteLabels(problem.labels);
      if (output === 'foreground') requireTwoLabels(problem.labels);
      if (this.#queue.length >= this.#maxQueue) {
        throw new DenseCrfError(
          'queue-full',
          `Expected at most ${this.#maxQueue} waiting images (maxQueue); await earlier results, or use inferAll.`,
          { maxQueue: this.#maxQueue },
        );
      }
      const task: Task = {
        output,
        options,
        signal,
        resolve,
        reject,
        onAbort: () => this.#abort(task),
      };
      signal?.addEventListener('abort', task.onAbort, { once: true });
      this.#queue.push(task);
      this.#dispatch();
    });
  }

  #settle(task: Task, action: () => void): void {
    task.signal?.removeEventListener('abort', task.onAbort);
    action();
  }

  #abort(task: Task): void {
    const slot = this.#slots.find((one) => one.task === task);
    if (slot) this.#endWorker(slot);
    else this.#queue = this.#queue.filter((one) => one !== task);
    this.#settle(task, () => task.reject(task.signal?.reason));
    this.#dispatch();
  }

  #dispatch(): void {
    for (const slot of this.#slots) {
      if (this.#queue.length === 0 || this.#disposed) return;
      if (slot.task === null) this.#run(slot, this.#queue.shift() as Task);
    }
  }

  #run(slot: Slot, task: Task): void {
    slot.task = task;
    try {
      slot.worker ??= this.#startWorker(slot);
      const { options, transfer } = copyInputs(task.options);
      const request: PoolRequest = { kind: 'infer', output: task.output, options };
      this.#watch(slot);
      slot.worker.hold();
      slot.worker.post(request, transfer);
    } catch (error) {
      this.#fail(slot, error);
    }
  }

  #watch(slot: Slot): void {
    clearTimeout(slot.timer);
    const limit = slot.ready ? this.#timeoutMs : Math.max(this.#timeoutMs, startLimitMs);
    slot.timer = setTimeout(() => this.#fail(slot, timeoutError(limit)), limit);
  }

  #startWorker(slot: Slot): WorkerHandle {
    const worker = startWorker(this.#workerUrl, {
      message: (answer) => {
        if (slot.worker === worker) this.#finish(slot, answer as PoolAnswer);
      },
      failure: (message) => {
        if (slot.worker !== worker) return;
        this.#fail(
          slot,
          new DenseCrfError('worker-failed', `The worker that computed this image failed: ${message}`, {
            message,
          }),
        );
      },
    });
    worker.post(this.#setup, []);
    return worker;
  }

  #finish(slot: Slot, answer: PoolAnswer): void {
    const { task } = slot;
    if (answer.kind === 'ready') {
      slot.ready = true;
      if (task) this.#watch(slot);
      return;
    }
    if (task === null) return;
    clearTimeout(slot.timer);
    slot.task = null;
    slot.worker?.release();
    this.#settle(task, () => {
      if (answer.kind === 'result') task.resolve(answer.values);
      else task.reject(new DenseCrfError(answer.code ?? 'worker-failed', answer.message, answer.details));
    });
    this.#dispatch();
  }

  /** The worker is lost: its image fails, and the slot's next image gets a new worker. */
  #fail(slot: Slot, reason: unknown): void {
    const { task } = slot;
    this.#endWorker(slot);
    if (task) this.#settle(task, () => task.reject(reason));
    this.#dispatch();
  }

  #endWorker(slot: Slot): void {
    clearTimeout(slot.timer);
    slot.task = null;
    slot.ready = false;
    if (slot.worker === null) return;
    const ended = slot.worker.end().finally(() => {
      this.#ending.splice(this.#ending.indexOf(ended), 1);
    });
    this.#ending.push(ended);
    slot.worker = null;
  }
}

function timeoutError(timeoutMs: number): DenseCrfError {
  return new DenseCrfError(
    'worker-timeout',
    `Expected an answer within ${timeoutMs} ms (timeoutMs); the worker was ended and will be replaced.`,
    { timeoutMs },
  );
}

/**
 * Copies the large arrays into buffers that can be handed over without another copy. Not by slice(): that of Node's
 * Buffer, which an image may be, shares the memory, and the caller's bytes would be gone.
 */
function copyInputs(given: DenseCrfOptions): { options: DenseCrfOptions; transfer: ArrayBuffer[] } {
  const transfer: ArrayBuffer[] = [];
  const keep = <T extends Float32Array | Uint8Array>(copied: T): T => {
    transfer.push(copied.buffer as ArrayBuffer);
    return copied;
  };
  const floats = (values: Float32Array | undefined) => values && keep(new Float32Array(values));
  const { unary, probabilities, image, ...rest } = given;
  const options = {
    ...rest,
    unary: floats(unary),
    probabilities: floats(probabilities),
    image: image && keep(new Uint8Array(image)),
  };
  return { options, transfer };
}

/**
 * Creates a pool of workers (worker_threads in Node, module workers in browsers), each with its own dense CRF.
 *
 * Workers start with the first images and keep no process alive while idle. Calls start in order; every result has the
 * same bits as `createDenseCrf().infer` gives, whatever the number of workers. A worker that crashes, or that takes
 * longer than `timeoutMs`, fails its image (`worker-failed`, `worker-timeout`) and is replaced. An aborted call rejects
 * with its signal's reason. Throws DenseCrfError `bad-option`, or `unsupported` where there are no workers.
 */
export function createDenseCrfPool(options: CreateDenseCrfPoolOptions = {}): DenseCrfPool {
  return new WorkerPool(options);
}
