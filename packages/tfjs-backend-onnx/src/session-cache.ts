import { OnnxBackendError } from './onnx-backend-error.js';
import { encodeOnnxModel, type OnnxGraph } from './onnx-model.js';
import type { OrtBinding, OrtSession, OrtTensor } from './ort-binding.js';

/** Counters of a session cache since it was created. */
export interface SessionCacheStats {
  /** Sessions alive now, at most `limit`. */
  size: number;
  limit: number;
  created: number;
  evicted: number;
  /** Runs of all sessions. */
  runs: number;
}

/** Whether a graph does enough arithmetic for the configured threads, or is limited by memory and runs on the caller's. */
export type Workload = 'compute' | 'memory';

const RUN_OPTIONS = {};

/**
 * Name of the extra first output of a quiet session.
 *
 * The binding copies every output into fresh memory after a run, also those that it has already written where we asked;
 * for memory-bound operators that costs more than the operator. It turns outputs into JavaScript in the model's order
 * and refuses element types that it has no typed array for, so a constant bfloat16 output in first place ends the call
 * with an error before anything is copied. The results are complete by then. Should a later release accept the type,
 * the call returns normally and only the time is lost.
 */
const QUIET_OUTPUT = 'quiet';
const QUIET_ERROR = 'Tensor type (16) is not supported.';

/** From so many bytes of output the copy costs more than the error (about 30 microseconds). */
const QUIET_BYTES = 128 * 1024;

function quietGraph(graph: OnnxGraph): OnnxGraph {
  return {
    ...graph,
    outputs: [{ name: QUIET_OUTPUT, type: 'bfloat16', rank: 0 }, ...graph.outputs],
    initializers: [
      ...(graph.initializers ?? []),
      { name: QUIET_OUTPUT, type: 'bfloat16', dims: [], data: new Uint8Array(2) },
    ],
  };
}

/** Least-recently-used cache of onnxruntime sessions, keyed by a string that names operator and attributes. */
export class SessionCache {
  readonly limit: number;
  /** Threads of sessions made from now on; those of another number stay cached beside them. */
  threads: number;
  #binding: OrtBinding;
  #sessions = new Map<string, OrtSession>();
  #created = 0;
  #evicted = 0;
  #runs = 0;

  constructor(binding: OrtBinding, options: { limit: number; threads: number }) {
    this.#binding = binding;
    this.limit = options.limit;
    this.threads = options.threads;
  }

  /**
   * Runs the graph named by `key`, building it first when it is not cached.
   *
   * Results are written into the arrays of `fetches`.
   *
   * @throws OnnxBackendError `session-failed` when onnxruntime rejects the model or the shapes.
   */
  run(
    key: string,
    build: () => OnnxGraph,
    feeds: Record<string, OrtTensor>,
    fetches: Record<string, OrtTensor>,
    workload: Workload = 'memory',
  ): void {
    let bytes = 0;
    for (const name in fetches) bytes += fetches[name].data.byteLength;
    const quiet = bytes >= QUIET_BYTES;
    const fullKey = `${key}${quiet ? ' quiet' : ''}${workload === 'compute' ? ` x${this.threads}` : ''}`;
    let session = this.#sessions.get(fullKey);
    try {
      if (session === undefined) {
        session = this.#create(quiet ? quietGraph(build()) : build(), workload);
        this.#evictOldest();
      } else {
        this.#sessions.delete(fullKey);
      }
      // Re-inserting moves the key to the young end of the map's insertion order.
      this.#sessions.set(fullKey, session);
      this.#runs++;
      session.run(feeds, quiet ? { [QUIET_OUTPUT]: null, ...fetches } : fetches, RUN_OPTIONS);
    } catch (cause) {
      // The error may stem from another realm (jest), so its class says nothing.
      if (quiet && (cause as Error).message === QUIET_ERROR) return;
      const shapes = Object.fromEntries(
        Object.entries({ ...feeds, ...fetches }).map(([k, v]) => [k, v.dims]),
      );
      throw new OnnxBackendError(
        'session-failed',
        `onnxruntime could not run "${key}" with shapes ${JSON.stringify(shapes)}: ` +
          `${cause instanceof Error ? cause.message : String(cause)}. Please report this with the shapes; ` +
          'the cpu or wasm backend can serve meanwhile.',
        { key, shapes },
        cause,
      );
    }
  }

  #create(graph: OnnxGraph, workload: Workload): OrtSession {
    const model = encodeOnnxModel(graph);
    const session = new this.#binding.InferenceSession();
    session.loadModel(model.buffer, model.byteOffset, model.byteLength, {
      intraOpNumThreads: workload === 'compute' ? this.threads : 1,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
      // An arena per session would keep the largest temporary of every cached operator for ever.
      enableCpuMemArena: false,
      enableMemPattern: false,
      // Failures come back as exceptions.
      logSeverityLevel: 4,
      // Many sessions share two cores: a pool that spins while it waits steals time from the one that works.
      extra: { session: { intra_op: { allow_spinning: '0' } } },
    });
    this.#created++;
    return session;
  }

  #evictOldest(): void {
    if (this.#sessions.size < this.limit) return;
    const oldest = this.#sessions.keys().next().value as string;
    this.#sessions.get(oldest)!.dispose();
    this.#sessions.delete(oldest);
    this.#evicted++;
  }

  stats(): SessionCacheStats {
    return {
      size: this.#sessions.size,
      limit: this.limit,
      created: this.#created,
      evicted: this.#evicted,
      runs: this.#runs,
    };
  }

  dispose(): void {
    for (const session of this.#sessions.values()) session.dispose();
    this.#sessions.clear();
  }
}
