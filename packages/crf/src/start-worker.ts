import { DenseCrfError } from './dense-crf-error.js';

/** A worker of either kind, as the pool sees it. */
export interface WorkerHandle {
  post(message: unknown, transfer: ArrayBuffer[]): void;
  /** Keeps the process alive (Node) while the worker has work. */
  hold(): void;
  release(): void;
  end(): Promise<void>;
}

interface WorkerListeners {
  message(data: unknown): void;
  /** The worker crashed, could not start, or ended by itself. */
  failure(message: string): void;
}

/** Starts a worker_threads worker in Node and a module worker elsewhere. Throws DenseCrfError `unsupported`. */
export function startWorker(url: URL | string | undefined, listeners: WorkerListeners): WorkerHandle {
  const node = globalThis.process?.getBuiltinModule?.('node:worker_threads');
  if (node) {
    const target = url ?? new URL('./pool-worker.js', import.meta.url);
    const worker = new node.Worker(
      typeof target === 'string' && URL.canParse(target) ? new URL(target) : target,
    );
    worker.unref();
    worker.on('message', listeners.message);
    worker.on('error', (error) => listeners.failure(error instanceof Error ? error.message : String(error)));
    worker.on('messageerror', (error) => listeners.failure(error.message));
    worker.on('exit', (code) => listeners.failure(`it ended with exit code ${code}`));
    return {
      post: (message, transfer) => worker.postMessage(message, transfer),
      hold: () => worker.ref(),
      release: () => worker.unref(),
      end: async () => {
        await worker.terminate();
      },
    };
  }
  if (typeof Worker === 'undefined') {
    throw new DenseCrfError(
      'unsupported',
      'Expected an environment with workers; use createDenseCrf() instead.',
    );
  }
  // The two forms stay apart: bundlers recognise `new Worker(new URL(..., import.meta.url))` only as a whole.
  const worker = url
    ? new Worker(url, { type: 'module' })
    : new Worker(new URL('./pool-worker.js', import.meta.url), { type: 'module' });
  worker.onmessage = (event) => listeners.message(event.data);
  worker.onerror = (event) => {
    event.preventDefault();
    listeners.failure(event.message || 'its script did not load');
  };
  worker.onmessageerror = () => listeners.failure('a message could not be read');
  return {
    post: (message, transfer) => worker.postMessage(message, transfer),
    hold: () => {},
    release: () => {},
    end: async () => worker.terminate(),
  };
}
