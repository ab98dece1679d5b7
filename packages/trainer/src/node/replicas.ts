import { Worker } from 'node:worker_threads';
import * as tf from '@tensorflow/tfjs-core';
import { computeGradients } from '../compute-gradients.js';
import { TrainerError } from '../trainer-error.js';
import type { GradientSource, RandomPort, TrainableModel } from '../types.js';
import type { ReplicaAnswer, ReplicaData, ReplicaRequest } from './serve-replica.js';

/** A part of a batch, made of what `structuredClone` copies, whose loss is its share of the whole batch's. */
export interface Shard<B extends object> {
  batch: B;
  /** Index of its first sample in the whole batch. */
  firstSample: number;
}

export interface ReplicasOptions<B extends object> {
  /** Threads that compute, this one included; at least 1. */
  replicas: number;
  /** This thread's network. */
  model: TrainableModel<B>;
  random: RandomPort;
  /**
   * Cuts a batch into at most `parts` shards. The shards' losses, parts and total, must add up to the batch's: a mean over
   * pixels is to be weighted by the shard's share of those pixels.
   */
  split(batch: B, parts: number): readonly Shard<B>[];
  /** Module that calls `serveReplica`. */
  worker: URL;
  /** What its `build` gets: all that is needed to make the same network there. */
  workerData: unknown;
}

/** Gradients from several threads. */
export interface Replicas<B extends object> extends GradientSource<B> {
  close(): Promise<void>;
}

interface Member {
  worker: Worker;
  /** This replica's gradients, all variables one after another. */
  gradients: Float32Array;
  ask(request: ReplicaRequest<object>): Promise<ReplicaAnswer>;
}

/**
 * Data-parallel training: each thread computes the gradients of its shard, from weights and into gradients that lie in
 * SharedArrayBuffers; they are added in the order of the shards.
 *
 * The same number of replicas gives the same bits, and one replica what training without them gives; another number, the
 * same up to the rounding of sums. Only this thread has an optimiser.
 *
 * @throws TrainerError REPLICA_FAILED when a thread ends or throws
 */
export function createReplicas<B extends object>(options: ReplicasOptions<B>): Replicas<B> {
  const { model, replicas, random, split } = options;
  if (!Number.isInteger(replicas) || replicas < 1) {
    throw new TrainerError(
      'BAD_OPTION',
      `Expected replicas to be a whole number of at least 1, came ${replicas}.`,
      {
        replicas,
      },
    );
  }
  const variables = model.variables().filter((variable) => variable.trainable);
  const total = variables.reduce((sum, { size }) => sum + size, 0);
  const shared = () => new Float32Array(new SharedArrayBuffer(4 * total));
  const weights = shared();
  const members = Array.from({ length: replicas - 1 }, (_, index) =>
    startMember(options.worker, {
      replica: index + 1,
      weights,
      gradients: shared(),
      options: options.workerData,
    }),
  );

  return {
    async compute(batch, context, key) {
      const shards = split(batch, replicas);
      let offset = 0;
      for (const variable of variables) {
        weights.set(variable.dataSync() as Float32Array, offset);
        offset += variable.size;
      }
      const asked = shards.slice(1).map(({ batch: part, firstSample }, index) => {
        const answer = members[index].ask({ batch: part, firstSample, context, key });
        // It is awaited below; until then a failure must not count as unhandled.
        answer.catch(() => undefined);
        return answer;
      });
      random.setKey(key, shards[0].firstSample);
      const own = await computeGradients(model, variables, shards[0].batch, context);
      const answers = await Promise.all(asked).catch((error) => {
        tf.dispose(own.gradients);
        throw error;
      });
      const losses = { ...own.losses };
      for (const answer of answers) {
        for (const [name, value] of Object.entries(answer.losses)) losses[name] = (losses[name] ?? 0) + value;
      }
      return { losses, gradients: addUp(variables, own.gradients, answers, members) };
    },
    async close() {
      await Promise.all(members.map(({ worker }) => worker.terminate()));
    },
  };
}

/** Sums in the order of the shards; consumes the first shard's gradients. */
function addUp(
  variables: readonly tf.Variable[],
  own: Readonly<Record<string, tf.Tensor>>,
  answers: readonly ReplicaAnswer[],
  members: readonly Member[],
): Record<string, tf.Tensor> {
  const result: Record<string, tf.Tensor> = {};
  let offset = 0;
  variables.forEach((variable, index) => {
    const { name, size, shape } = variable;
    const others = answers.flatMap((answer, member) =>
      answer.present.includes(index) ? [members[member].gradients.subarray(offset, offset + size)] : [],
    );
    offset += size;
    const first = own[name] as tf.Tensor | undefined;
    if (others.length === 0) {
      if (first !== undefined) result[name] = first;
      return;
    }
    const sum = first === undefined ? new Float32Array(size) : Float32Array.from(first.dataSync());
    first?.dispose();
    for (const values of others) for (let i = 0; i < size; i++) sum[i] += values[i];
    result[name] = tf.tensor(sum, shape, 'float32');
  });
  return result;
}

function startMember(url: URL, data: ReplicaData): Member {
  const worker = new Worker(url, { workerData: data, execArgv: [] });
  let waiting: { resolve(answer: ReplicaAnswer): void; reject(error: Error): void } | null = null;
  let failure: TrainerError | null = null;
  const fail = (cause: unknown) => {
    failure ??= new TrainerError(
      'REPLICA_FAILED',
      `Expected gradients from replica ${data.replica}, but its thread failed: ${cause instanceof Error ? cause.message : String(cause)}. Train with one replica to see whether the network itself fails.`,
      { replica: data.replica },
      { cause },
    );
    waiting?.reject(failure);
    waiting = null;
  };
  worker.on('message', (answer: ReplicaAnswer) => {
    waiting?.resolve(answer);
    waiting = null;
  });
  worker.on('error', fail);
  worker.on('exit', (code) => fail(new Error(`it ended with code ${code}`)));
  return {
    worker,
    gradients: data.gradients,
    ask: (request: ReplicaRequest<object>) =>
      new Promise((resolve, reject) => {
        if (failure) return reject(failure);
        waiting = { resolve, reject };
        worker.postMessage(request);
      }),
  };
}
