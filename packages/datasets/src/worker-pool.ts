import { Worker } from 'node:worker_threads';
import { DatasetError, type DatasetErrorCode } from './dataset-error.js';
import type { BatchJob } from './produce-batch.js';
import type { Batch } from './types.js';

/** Worker threads that produce batches. */
export interface WorkerPool {
  /** Queues a job on the least loaded worker. */
  submit(job: BatchJob): { result: Promise<Batch>; cancel(): void };
  close(): Promise<void>;
}

interface Pending {
  readonly job: BatchJob;
  readonly resolve: (batch: Batch) => void;
  readonly reject: (error: Error) => void;
}

interface Member {
  readonly worker: Worker;
  readonly progress: Int32Array;
  readonly pending: Map<number, Pending>;
}

interface Reply {
  readonly task: number;
  readonly batch?: Batch;
  readonly error?: {
    message: string;
    stack?: string;
    code?: DatasetErrorCode;
    details?: Record<string, unknown>;
  };
}

// Worker threads run plain JavaScript: started from the TypeScript sources (our own tests), the built file is used.
function workerUrl(): URL {
  const here = import.meta.url;
  return new URL(here.endsWith('.ts') ? '../dist/loader-worker.js' : './loader-worker.js', here);
}

/**
 * Creates a pool; threads start with the first job and never keep the process alive while they are idle.
 * A worker that dies fails its jobs with an error naming the sample in work; the next job starts a new worker.
 */
export function createWorkerPool(size: number, url: URL = workerUrl()): WorkerPool {
  const members: (Member | null)[] = new Array(size).fill(null);
  let nextTask = 1;
  let closed = false;

  const settle = (member: Member, task: number): Pending | undefined => {
    const pending = member.pending.get(task);
    member.pending.delete(task);
    if (member.pending.size === 0) member.worker.unref();
    return pending;
  };

  const start = (slot: number): Member => {
    const shared = new SharedArrayBuffer(8);
    const worker = new Worker(url, {
      workerData: { progress: shared },
      name: `auxseg-loader-${slot}`,
      execArgv: [],
    });
    const member: Member = { worker, progress: new Int32Array(shared), pending: new Map() };
    worker.unref();
    worker.on('message', ({ task, batch, error }: Reply) => {
      const pending = settle(member, task);
      if (!pending) return; // cancelled
      if (batch) pending.resolve(batch);
      else pending.reject(reviveError(error as NonNullable<Reply['error']>));
    });
    const died = (reason: string): void => {
      if (members[slot] === member) members[slot] = null;
      if (member.pending.size === 0) return;
      const running = member.pending.get(Atomics.load(member.progress, 0));
      const item = running?.job.items[Atomics.load(member.progress, 1)];
      const file = item?.image.type === 'file' ? item.image.file : undefined;
      const sample = item ? `sample ${item.id}${file ? ` (${file})` : ''}` : 'no sample';
      const error = new DatasetError(
        'worker-died',
        `Expected a loader worker to deliver its batches, but it ended (${reason}) while working on ${sample}. ` +
          'Check that image; if memory ran out, use fewer workers or a smaller prefetch.',
        { reason, id: item?.id, file },
      );
      for (const pending of member.pending.values()) pending.reject(error);
      member.pending.clear();
    };
    worker.on('error', (error) => died(error.message));
    worker.on('exit', (code) => died(closed ? 'the loader was closed' : `exit code ${code}`));
    members[slot] = member;
    return member;
  };

  return {
    submit(job) {
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
      const result = new Promise<Batch>((resolve, reject) =>
        member.pending.set(task, { job, resolve, reject }),
      );
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

function reviveError({ message, stack, code, details }: NonNullable<Reply['error']>): Error {
  const error = code ? new DatasetError(code, message, details) : new Error(message);
  if (stack) error.stack = `${stack}\n    in a loader worker`;
  return error;
}
