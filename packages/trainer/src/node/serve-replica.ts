import { parentPort, workerData } from 'node:worker_threads';
import * as tf from '@tensorflow/tfjs-core';
import { computeGradients } from '../compute-gradients.js';
import { TrainerError } from '../trainer-error.js';
import type { LossContext, RandomPort, TrainableModel } from '../types.js';

/** What a replica's thread starts with. */
export interface ReplicaData {
  /** 1, 2, ...; 0 is the main thread. */
  replica: number;
  /** All trainable variables one after another, in shared memory; written by the main thread before each request. */
  weights: Float32Array;
  gradients: Float32Array;
  options: unknown;
}

export interface ReplicaRequest<B extends object> {
  batch: B;
  firstSample: number;
  context: LossContext;
  key: number;
}

/** Asks the thread to end itself, once what was asked before is answered. */
export const STOP = 'stop';

export interface ReplicaAnswer {
  losses: Record<string, number>;
  /** Indices of the variables that have a gradient. */
  present: number[];
}

/** What the worker module makes: the main thread's network once more. */
export interface ReplicaModel<B extends object> {
  model: TrainableModel<B>;
  random: RandomPort;
}

/**
 * The other side of `createReplicas`: called by a worker's module with how to build the network from the `workerData` given
 * there. The backend must be active when `build` is done.
 *
 * @throws TrainerError BAD_OPTION outside a worker, or when the network has other variables than the main thread's
 */
export async function serveReplica<B extends object, O>(
  build: (options: O) => Promise<ReplicaModel<B>>,
): Promise<void> {
  if (parentPort === null) {
    throw new TrainerError(
      'BAD_OPTION',
      'Expected serveReplica to be called in a worker thread of createReplicas.',
      {},
    );
  }
  const port = parentPort;
  const { weights, gradients, options } = workerData as ReplicaData;
  const { model, random } = await build(options as O);
  const variables = model.variables().filter((variable) => variable.trainable);
  const total = variables.reduce((sum, { size }) => sum + size, 0);
  if (total !== weights.length) {
    throw new TrainerError(
      'BAD_OPTION',
      `Expected a network of ${weights.length} trainable numbers, as the main thread's, built ${total}; build both from the same configuration.`,
      { expected: weights.length, built: total },
    );
  }
  const answer = async ({ batch, firstSample, context, key }: ReplicaRequest<B>) => {
    let offset = 0;
    for (const variable of variables) {
      const { size, shape } = variable;
      // A copy in memory of its own: native kernels do not read shared memory.
      const values = weights.slice(offset, offset + size);
      tf.tidy(() => variable.assign(tf.tensor(values, shape, 'float32')));
      offset += size;
    }
    random.setKey(key, firstSample);
    const computed = await computeGradients(model, variables, batch, context).catch((error) => {
      // The loss counts the samples of its shard.
      const reason = String((error as Error)?.message ?? error).replace(/\.$/, '');
      throw new Error(`${reason} (counted from sample ${firstSample} of the whole batch)`, { cause: error });
    });
    const present: number[] = [];
    offset = 0;
    variables.forEach(({ name, size }, index) => {
      const gradient = computed.gradients[name] as tf.Tensor | undefined;
      if (gradient !== undefined) {
        gradients.set(gradient.dataSync() as Float32Array, offset);
        present.push(index);
      }
      offset += size;
    });
    tf.dispose(computed.gradients);
    port.postMessage({ losses: computed.losses, present } satisfies ReplicaAnswer);
  };
  // One after the other; a failure is left unhandled, which ends the thread and tells the main one.
  let work = Promise.resolve();
  port.on('message', (request: ReplicaRequest<B> | typeof STOP) => {
    // In a worker, exit ends this thread only.
    work = work.then(() => (request === STOP ? process.exit(0) : answer(request)));
  });
}
