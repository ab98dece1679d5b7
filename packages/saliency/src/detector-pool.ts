import type { Worker } from 'node:worker_threads';
import type { RgbImage, ScoreMap } from '@auxseg/formats';
import type { DetectSaliencyOptions } from './detect-saliency.js';
import { SaliencyError } from './errors.js';

/** Worker threads that each run the detector on one image at a time. */
export interface DetectorPool {
  detect(id: string, image: RgbImage, options: DetectSaliencyOptions): Promise<ScoreMap>;
  close(): Promise<void>;
}

/** What the pool posts to a worker. */
export interface DetectorRequest {
  readonly image: RgbImage;
  readonly options: DetectSaliencyOptions;
}

/** What a worker posts back. */
export type DetectorReply =
  | { readonly map: ScoreMap }
  | {
      readonly error: {
        readonly code: string;
        readonly message: string;
        readonly details: Record<string, unknown>;
      };
    };

interface Job {
  readonly id: string;
  readonly request: DetectorRequest;
  readonly resolve: (map: ScoreMap) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Starts up to `size` worker threads, each when a job first finds the others busy.
 *
 * A thread that dies fails its own job with WORKER_FAILED and is replaced by the next one.
 */
export function createDetectorPool(size: number): DetectorPool {
  const waiting: Job[] = [];
  const idle: Worker[] = [];
  const running = new Map<Worker, Job>();
  let starting = 0;
  let closed = false;

  async function start(): Promise<void> {
    starting++;
    try {
      const { Worker } = await import('node:worker_threads');
      const worker = // Flags of the calling process (--input-type, --test, ...) are not for the worker.
        new Worker(new URL('./detector-worker.js', import.meta.url), { execArgv: [] });
      // Only a thread at work keeps the process alive.
      worker.unref();
      worker.on('message', (reply: DetectorReply) => {
        const job = running.get(worker);
        running.delete(worker);
        worker.unref();
        idle.push(worker);
        if (job) {
          if ('map' in reply) job.resolve(reply.map);
          else
            job.reject(
              new SaliencyError(reply.error.code as never, reply.error.message, reply.error.details),
            );
        }
        dispatch();
      });
      worker.on('error', (cause) => lose(worker, cause));
      worker.on('exit', (code) => lose(worker, new Error(`it exited with code ${code}`)));
      if (closed) await worker.terminate();
      else idle.push(worker);
    } catch (cause) {
      const job = waiting.shift();
      job?.reject(
        new SaliencyError(
          'WORKER_FAILED',
          `Expected to start a worker thread, got: ${String(cause)}; use workers: 0 where there are no worker_threads.`,
          {},
          { cause },
        ),
      );
    } finally {
      starting--;
    }
    dispatch();
  }

  function lose(worker: Worker, cause: unknown): void {
    const job = running.get(worker);
    running.delete(worker);
    const at = idle.indexOf(worker);
    if (at >= 0) idle.splice(at, 1);
    job?.reject(
      new SaliencyError(
        'WORKER_FAILED',
        `Expected the saliency of image ${job.id} from a worker thread, got: ${cause instanceof Error ? cause.message : String(cause)}.`,
        { id: job.id },
        { cause },
      ),
    );
    if (!closed) dispatch();
  }

  function dispatch(): void {
    while (waiting.length > 0 && idle.length > 0) {
      const worker = idle.pop()!;
      const job = waiting.shift()!;
      running.set(worker, job);
      worker.ref();
      // Copied, not transferred: the image stays the caller's.
      worker.postMessage(job.request);
    }
    const wanted = Math.min(waiting.length, size - running.size - idle.length) - starting;
    for (let i = 0; i < wanted; i++) void start();
  }

  return {
    detect(id, image, options) {
      return new Promise((resolve, reject) => {
        // A view of a larger buffer would be posted with all of it.
        const data = image.data.byteLength === image.data.buffer.byteLength ? image.data : image.data.slice();
        const copy = { width: image.width, height: image.height, data };
        waiting.push({ id, request: { image: copy, options }, resolve, reject });
        dispatch();
      });
    },
    async close() {
      closed = true;
      for (const job of waiting.splice(0)) {
        job.reject(
          new SaliencyError('CLOSED', `Saliency of image ${job.id} was not made: the source was closed.`, {
            id: job.id,
          }),
        );
      }
      const workers = [...idle, ...running.keys()];
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}
