import * as tf from '@tensorflow/tfjs-core';
import { RuntimeError } from '../errors.js';
import { prepareRuntime } from '../prepare-runtime.js';
import { type BackendOptions, backendLoaders, type ConcreteBackend } from './backend-loaders.js';
import { checkThreads } from './check-threads.js';
import { isBrowser } from './platform.js';

/** Names that useBackend takes; `auto` tries them in the order of {@link automaticOrder}. */
export type BackendName = 'auto' | ConcreteBackend;

/** The backend that is now active and why it is this one. */
export interface BackendChoice {
  name: string;
  reason: string;
}

/** The order in which `auto` tries backends here. */
export function automaticOrder(): ConcreteBackend[] {
  return isBrowser() ? ['webgpu', 'wasm', 'cpu'] : ['node-gpu', 'node', 'onnx', 'wasm', 'cpu'];
}

async function activate(name: ConcreteBackend, options: BackendOptions): Promise<BackendChoice> {
  const loader = backendLoaders[name];
  const { tfjsName } = await loader.load(options);
  prepareRuntime();
  const started = loader.start == null ? await tf.setBackend(tfjsName) : await loader.start(options);
  if (!started) {
    throw new RuntimeError(
      'backend-unavailable',
      `Expected backend "${name}" to start, but it did not. ${loader.remedy}`,
      {
        backend: name,
      },
    );
  }
  await tf.ready();
  // Asked again, now that it is known what started.
  const { reason } = await loader.load(options);
  return { name, reason };
}

/**
 * Loads, prepares and activates a backend.
 *
 * `auto` takes the first that works of node-gpu, node, onnx, wasm, cpu (in a browser: webgpu, wasm, cpu) and says why.
 * Also registers our gradients, kernels and layers, so that plain tf operations train from here on.
 *
 * @throws RuntimeError `unknown-backend`, `bad-threads` or `backend-unavailable`, with the remedy in the message
 */
export async function useBackend(
  name: BackendName = 'auto',
  options: BackendOptions = {},
): Promise<BackendChoice> {
  if (name !== 'auto' && !Object.hasOwn(backendLoaders, name)) {
    const known = ['auto', ...Object.keys(backendLoaders)].join(', ');
    throw new RuntimeError(
      'unknown-backend',
      `Expected a backend name out of ${known}; got ${JSON.stringify(name)}.`,
      {
        backend: name,
      },
    );
  }
  // Here, or 'auto' would pass over every backend that has threads.
  if (options.threads !== undefined) checkThreads(options.threads);
  if (name !== 'auto') return activate(name, options);
  const passedOver: string[] = [];
  for (const candidate of automaticOrder()) {
    try {
      const choice = await activate(candidate, options);
      const skipped = passedOver.length > 0 ? `; passed over ${passedOver.join(', ')}` : '';
      return { name: choice.name, reason: `${choice.reason}${skipped}` };
    } catch (error) {
      passedOver.push(`${candidate} (${firstSentence(error)})`);
    }
  }
  throw new RuntimeError(
    'backend-unavailable',
    `Expected at least one backend to start; ${passedOver.join('; ')}.`,
    {
      passedOver,
    },
  );
}

function firstSentence(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split('\n')[0].split('. ')[0].replace(/\.$/, '');
}
