/**
 * Body of the pool's workers (worker_threads in Node, a module worker in browsers): one dense CRF per worker, one image
 * at a time.
 */
import { createDenseCrf } from './create-dense-crf.js';
import { DenseCrfError } from './dense-crf-error.js';
import type { PoolAnswer, PoolRequest, PoolSetup } from './pool-protocol.js';
import type { DenseCrf } from './types.js';

interface Port {
  post(answer: PoolAnswer, transfer: ArrayBuffer[]): void;
  listen(listener: (message: PoolSetup | PoolRequest) => void): void;
}

function openPort(): Port {
  const node = globalThis.process?.getBuiltinModule?.('node:worker_threads');
  if (node?.parentPort) {
    const { parentPort } = node;
    return {
      post: (answer, transfer) => parentPort.postMessage(answer, transfer),
      listen: (listener) => void parentPort.on('message', listener),
    };
  }
  const scope = globalThis as unknown as {
    postMessage(message: unknown, transfer: ArrayBuffer[]): void;
    onmessage: ((event: MessageEvent) => void) | null;
  };
  return {
    post: (answer, transfer) => scope.postMessage(answer, transfer),
    listen: (listener) => {
      scope.onmessage = (event) => listener(event.data);
    },
  };
}

const port = openPort();
let crf: Promise<DenseCrf> | null = null;

port.listen(async (message) => {
  if (message.kind === 'setup') {
    crf = createDenseCrf({ implementation: message.implementation, skipLabels: message.skipLabels });
    // A failure is reported with the first image.
    await crf.catch(() => {});
    port.post({ kind: 'ready' }, []);
    return;
  }
  try {
    const engine = await (crf as Promise<DenseCrf>);
    const { options, output } = message;
    const values =
      output === 'q'
        ? engine.infer(options)
        : output === 'map'
          ? engine.inferMap(options)
          : engine.inferForeground(options);
    port.post({ kind: 'result', values }, [values.buffer as ArrayBuffer]);
  } catch (error) {
    const known = error instanceof DenseCrfError;
    port.post(
      {
        kind: 'error',
        code: known ? error.code : null,
        message: error instanceof Error ? error.message : String(error),
        details: known ? error.details : {},
      },
      [],
    );
  }
});
