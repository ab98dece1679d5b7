import { parentPort, workerData } from 'node:worker_threads';
import { DatasetError } from './dataset-error.js';
import { decodeWholeImage, type WholeImage, type WholeImageJob } from './decode-whole-image.js';
import { type InspectJob, inspectSample, type SampleInspection } from './inspect-sample.js';
import { type BatchJob, batchBuffers, produceBatch } from './produce-batch.js';
import type { Batch } from './types.js';

/** What a pool posts to its workers. */
export type WorkerRequest =
  | { readonly type: 'job'; readonly task: number; readonly job: DataJob }
  | { readonly type: 'cancel'; readonly task: number };

/** The kinds of work that a data worker knows. */
export type DataJob = BatchJob | InspectJob | WholeImageJob;

/** What each kind of work gives. */
export type DataResult<Job extends DataJob> = Job extends BatchJob
  ? Batch
  : Job extends WholeImageJob
    ? WholeImage
    : SampleInspection;

/** Shared with the pool: [0] = running task, [1] = position of the sample in work; read when the worker dies. */
const progress = new Int32Array((workerData as { progress: SharedArrayBuffer }).progress);
const port = parentPort;
if (!port) throw new Error('data-worker.js runs inside a worker thread of createWorkerPool only');

const waiting: { task: number; job: DataJob }[] = [];
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
    Atomics.store(progress, 1, 0);
    try {
      const { result, transfer } = await perform(job);
      port?.postMessage({ task, result }, transfer);
    } catch (error) {
      const e = error as Error;
      const failure = e instanceof DatasetError ? { code: e.code, details: e.details } : {};
      port?.postMessage({ task, error: { message: e.message, stack: e.stack, ...failure } });
    }
  }
  running = false;
}

async function perform(job: DataJob): Promise<{ result: unknown; transfer: ArrayBuffer[] }> {
  if (job.kind === 'batch') {
    const batch = await produceBatch(job, (position) => Atomics.store(progress, 1, position));
    return { result: batch, transfer: batchBuffers(batch) };
  }
  if (job.kind === 'whole-image') {
    const whole = await decodeWholeImage(job);
    const buffers = [whole.image.data.buffer, whole.input?.data.buffer].filter((b) => b !== undefined);
    return { result: whole, transfer: buffers as ArrayBuffer[] };
  }
  return { result: await inspectSample(job), transfer: [] };
}
