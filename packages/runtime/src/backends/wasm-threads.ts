import type * as workerThreads from 'node:worker_threads';

/**
 * What the threaded build's own source refers to when tfjs's Node bundle hands it to its workers as text: names of the
 * bundle around it, which a worker does not have.
 */
const bundleNames = `
var require$$0 = require('fs'), require$$1 = require('path'), require$$3 = require('perf_hooks'), require$$4 = require('os');
var commonjsGlobal = globalThis;
function __values(o) { return o[Symbol.iterator](); }
function __read(o, n) { var r = []; for (var v of o) { if (n !== undefined && r.length >= n) break; r.push(v); } return r; }
function __spreadArray(to, from) { return Array.from(to).concat(Array.from(from)); }
`;

/** Name under which a worker reads the threaded build's source from its `workerData`. */
const mainScript = 'auxseg:wasm-main-script';

const workerPrologue = `
{
  const fs = require('fs');
  const { workerData } = require('worker_threads');
  const readFileSync = fs.readFileSync;
  fs.readFileSync = (file, ...rest) => (file === '${mainScript}' ? workerData.mainScript : readFileSync(file, ...rest));
}
`;

interface Mutable<T> {
  value: T;
}

/** Replaces a property while `work` runs. */
async function replacing<T extends object, K extends keyof T, R>(
  target: T,
  key: K,
  value: T[K],
  work: () => Promise<R>,
): Promise<R> {
  const before = target[key];
  target[key] = value;
  try {
    return await work();
  } finally {
    target[key] = before;
  }
}

/**
 * Starts tfjs's threaded wasm build in Node, where it comes without a way to start its workers.
 *
 * It asks for workers by a blob URL, and tells them where its source is by another; Node's workers load neither. While
 * `start` runs, blobs are recorded, workers are made from the recorded text, and the number of processors is reported
 * as large as it takes to get `threads` threads (the C++ side takes half of them). The workers never keep the process
 * alive.
 */
export async function withWasmWorkers<R>(threads: number, start: () => Promise<R>): Promise<R> {
  const { createRequire } = await import('node:module');
  const require = createRequire(import.meta.url);
  const threadsModule = require('node:worker_threads') as { Worker: typeof workerThreads.Worker };
  const os = require('node:os') as { cpus: () => unknown[] };
  const texts = new WeakMap<object, string>();
  const sources = new Map<string, string>();
  const script: Mutable<string> = { value: '' };
  const OriginalBlob = globalThis.Blob;
  const OriginalWorker = threadsModule.Worker;
  const processors = os.cpus();

  class RecordedBlob extends OriginalBlob {
    constructor(parts: BlobPart[] = [], options?: BlobPropertyBag) {
      super(parts, options);
      const text = parts.join('');
      texts.set(this, text);
      if (text.startsWith('var WasmBackendModuleThreadedSimd')) script.value = bundleNames + text;
    }
  }

  class WasmWorker extends OriginalWorker {
    constructor(url: string | URL, options?: workerThreads.WorkerOptions) {
      const source = sources.get(String(url));
      if (source == null) {
        super(url, options);
        return;
      }
      super(workerPrologue + source, { eval: true, execArgv: [], workerData: { mainScript: script.value } });
      super.unref();
    }
    override postMessage(message: { cmd?: string }, transfer?: never): void {
      super.postMessage(message.cmd === 'load' ? { ...message, urlOrBlob: mainScript } : message, transfer);
    }
    override ref(): void {}
  }

  const createObjectURL = (blob: object): string => {
    const url = `auxseg:blob-${sources.size}`;
    sources.set(url, texts.get(blob) ?? '');
    return url;
  };
  const enough = Array.from({ length: 2 * threads }, (_, i) => processors[i % processors.length]);
  // The Worker class is looked up by each worker made later too, so it stays replaced for those URLs alone.
  threadsModule.Worker = WasmWorker as typeof workerThreads.Worker;
  const globals = globalThis as { Worker?: unknown; Blob: typeof Blob };
  const workerBefore = globals.Worker;
  try {
    return await replacing(
      os,
      'cpus',
      () => enough,
      () =>
        replacing(globals, 'Blob', RecordedBlob as typeof Blob, () =>
          replacing(URL as { createObjectURL: unknown }, 'createObjectURL', createObjectURL, start),
        ),
    );
  } finally {
    threadsModule.Worker = OriginalWorker;
    globals.Worker = workerBefore;
  }
}
