import { parentPort, workerData } from 'node:worker_threads';
import { DatasetError } from './dataset-error.js';
import { type BatchJob, batchBuffers, produceBatch } from './produce-batch.js';

/** What the loader posts to a worker. */
export type WorkerRequest =
  | { readonly type: 'job'; readonly task: number; readonly job: BatchJob }
  | { readonly type: 'cancel'; readonly task: number };

/** Shared with the loader: [0] = running task, [1] = position of the sample in work; read when the worker dies. */
const progress = new Int32Array((workerData as { progress: SharedArrayBuffer }).progress);
const port = parentPort;
if (!port) throw new Error('loader-worker.js runs inside a worker thread of createLoader only');

const waiting: { task: number; job: BatchJob }[] = [];
let running = false;

port.on('message', (request: WorkerRequest) => {
  if (request.type === 'cancel') {
    const at = waiting.findIndex((w) => w.task === request.task);
    if (at >= 0) waiting.splice(at, 1);
    return;
  }
  waiting.push(request);
  if (!running) void drain();
});

async function drain(): Promise<void> {
  running = true;
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    const { task, job } = next;
    Atomics.store(progress, 0, task);
    try {
      const batch = await produceBatch(job, (position) => Atomics.store(progress, 1, position));
      port?.postMessage({ task, batch }, batchBuffers(batch));
    } catch (error) {
      const e = error as Error;
      const failure = e instanceof DatasetError ? { code: e.code, details: e.details } : {};
      port?.postMessage({ task, error: { message: e.message, stack: e.stack, ...failure } });
    }
  }
  running = false;
}
