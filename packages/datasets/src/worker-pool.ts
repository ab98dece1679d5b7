import { Worker } from 'node:worker_threads';
import type { DataJob, DataResult } from './data-worker.js';
import { DatasetError, type DatasetErrorCode } from './dataset-error.js';

/** Worker threads for decoding and transforming, for one loader after the other: threads that run already give their first batch at once. */
export interface WorkerPool {
  /** Number of threads. */
  readonly size: number;
  /** Queues a job on the least loaded worker. */
  submit<Job extends DataJob>(job: Job): { result: Promise<DataResult<Job>>; cancel(): void };
  close(): Promise<void>;
}

interface Pending {
  readonly job: DataJob;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

interface Member {
  readonly worker: Worker;
  readonly progress: Int32Array;
  readonly pending: Map<number, Pending>;
}

interface Reply {
  readonly task: number;
  readonly result?: unknown;
  readonly error?: {
    message: string;
    stack?: string;
    code?: DatasetErrorCode;
    details?: Record<string, unknown>;
  };
}

/** Threads that one pool may have. */
export const MAX_WORKERS = 64;

// Worker threads run plain JavaScript: started from the TypeScript sources (our own tests), the built file is used.
function workerUrl(): URL {
  const here = import.meta.url;
  return new URL(here.endsWith('.ts') ? '../dist/data-worker.js' : './data-worker.js', here);
}

/**
 * Creates a pool; threads start with the first job and never keep the process alive while they are idle.
 * A worker that dies fails its jobs with an error naming the sample in work; the next job starts a new worker.
 * @throws DatasetError 'bad-option'.
 */
export function createWorkerPool(size: number, url: URL = workerUrl()): WorkerPool {
  if (!Number.isInteger(size) || size < 1 || size > MAX_WORKERS) {
    throw new DatasetError(
      'bad-option',
      `Expected the number of workers to be an integer in 1..${MAX_WORKERS}, came ${String(size)}.`,
      { option: 'workers', came: size },
    );
  }
  const members: (Member | null)[] = new Array(size).fill(null);
  let nextTask = 1;
  let closed = false;

  const settle = (member: Member, task: number): Pending | undefined => {
    const pending = member.pending.get(task);
    member.pending.delete(task);
    // A cancelled job's late reply changes nothing, and threads that `close` waits for must keep the process alive till then.
    if (pending && member.pending.size === 0 && !closed) member.worker.unref();
    return pending;
  };

  const start = (slot: number): Member => {
    const shared = new SharedArrayBuffer(8);
    const worker = new Worker(url, {
      workerData: { progress: shared },
      name: `auxseg-data-${slot}`,
      execArgv: [],
    });
    const member: Member = { worker, progress: new Int32Array(shared), pending: new Map() };
    worker.unref();
    worker.on('message', ({ task, result, error }: Reply) => {
      const pending = settle(member, task);
      if (!pending) return; // cancelled
      if (error) pending.reject(reviveError(error));
      else pending.resolve(result);
    });
    const died = (reason: string): void => {
      if (members[slot] === member) members[slot] = null;
      if (member.pending.size === 0) return;
      const running = member.pending.get(Atomics.load(member.progress, 0));
      const { id, file } = describeSample(running?.job, Atomics.load(member.progress, 1));
      const error = new DatasetError(
        'worker-died',
        `Expected a data worker to deliver its work, but it ended (${reason}) while working on ` +
          `${id === undefined ? 'no sample' : `sample ${id}${file ? ` (${file})` : ''}`}. ` +
          'Check that image; if memory ran out, use fewer workers or a smaller prefetch.',
        { reason, id, file },
      );
      for (const pending of member.pending.values()) pending.reject(error);
      member.pending.clear();
    };
    worker.on('error', (error) => died(error.message));
    worker.on('exit', (code) => died(closed ? 'the pool was closed' : `exit code ${code}`));
    members[slot] = member;
    return member;
  };

  return {
    size,
    submit<Job extends DataJob>(job: Job) {
      if (closed)
        throw new DatasetError(
          'bad-option',
          'Expected an open loader, this one was closed. Create a new one.',
          {},
        );
      let slot = 0;
      const load = (i: number): number => members[i]?.pending.size ?? 0;
      for (let i = 1; i < size; i++) if (load(i) < load(slot)) slot = i;
      const member = members[slot] ?? start(slot);
      const task = nextTask++;
      const result = new Promise<DataResult<Job>>((resolve, reject) => {
        member.pending.set(task, { job, resolve: resolve as Pending['resolve'], reject });
      });
      result.catch(() => {}); // awaited later and in order; until then it must not count as unhandled
      member.worker.ref();
      member.worker.postMessage({ type: 'job', task, job });
      return {
        result,
        cancel() {
          if (settle(member, task)) member.worker.postMessage({ type: 'cancel', task });
        },
      };
    },
    async close() {
      closed = true;
      await Promise.all(members.map((m) => m?.worker.terminate()));
    },
  };
}

function describeSample(job: DataJob | undefined, position: number): { id?: string; file?: string } {
  if (!job) return {};
  if (job.kind === 'inspect') return { id: job.id, file: job.image ?? job.mask };
  const item = job.kind === 'batch' ? job.items[position] : job.item;
  return { id: item?.id, file: item?.image.type === 'file' ? item.image.file : undefined };
}

function reviveError({ message, stack, code, details }: NonNullable<Reply['error']>): Error {
  const error = code ? new DatasetError(code, message, details) : new Error(message);
  if (stack) error.stack = `${stack}\n    in a data worker`;
  return error;
}
