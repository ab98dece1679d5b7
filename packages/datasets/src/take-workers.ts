import { availableParallelism } from 'node:os';
import { createWorkerPool, type WorkerPool } from './worker-pool.js';

// More decoding threads than this outrun any CPU training step.
const MAX_DEFAULT_WORKERS = 4;

/**
 * The threads that an option `workers` asks for: so many new ones, none (work on the calling thread), or a pool that is there already.
 * Default: the cores but one (which computes), at least 1 and at most 4. `close` ends threads that were started for it.
 * @throws DatasetError 'bad-option'.
 */
export function takeWorkers(workers?: number | WorkerPool): {
  pool: WorkerPool | null;
  count: number;
  close(): Promise<void>;
} {
  if (typeof workers === 'object') return { pool: workers, count: workers.size, close: async () => {} };
  const count = workers ?? Math.min(MAX_DEFAULT_WORKERS, Math.max(1, availableParallelism() - 1));
  const pool = count === 0 ? null : createWorkerPool(count);
  return { pool, count, close: async () => pool?.close() };
}
