import { availableParallelism } from 'node:os';

// More decoding threads than this outrun any CPU training step.
const MAX_DEFAULT_WORKERS = 4;

/** The cores but one (which computes), at least 1 and at most 4. */
export function defaultWorkers(): number {
  return Math.min(MAX_DEFAULT_WORKERS, Math.max(1, availableParallelism() - 1));
}
