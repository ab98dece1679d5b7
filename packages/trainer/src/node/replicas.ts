import { Worker } from 'node:worker_threads';
import * as tf from '@tensorflow/tfjs-core';
import { computeGradients } from '../compute-gradients.js';
import { TrainerError } from '../trainer-error.js';
import type { BatchGradients, GradientSource, RandomPort, TrainableModel } from '../types.js';
import { type ReplicaAnswer, type ReplicaData, type ReplicaRequest, STOP } from './serve-replica.js';

/** A thread that has not ended so long after it was asked to hangs; computing its part of a step takes minutes at most. */
const STOP_WITHIN_MS = 600_000;

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
  /** Ends the threads, after the steps in work. */
  close(): Promise<void>;
}

interface Member {
  /** This replica's gradients, all variables one after another. */
  gradients: Float32Array;
  ask(request: ReplicaRequest<object>): Promise<ReplicaAnswer>;
  /** Resolves when the thread has ended. */
  stop(): Promise<void>;
}

/**
 * Data-parallel training: each thread computes the gradients of its shard, from weights and into gradients that lie in
 * SharedArrayBuffers; they are added in the order of the shards.
 *
 * The same number of replicas gives the same bits, and one replica what training without them gives; another number, the
 * same up to the rounding of sums. Only this thread has an optimiser.
 *
 * @throws TrainerError REPLICA_FAILED when a thread ends or throws, BAD_OPTION for a batch without samples or after `close`
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
  let closing: Promise<void> | null = null;

  return {
    async compute(batch, context, key) {
      if (closing) {
        throw new TrainerError(
          'BAD_OPTION',
          'Expected open replicas, but they were closed; create new ones.',
        );
      }
      const shards = split(batch, replicas);
      if (shards.length < 1 || shards.length > replicas) {
        throw new TrainerError(
          'BAD_OPTION',
          `Expected 1 to ${replicas} shards of a batch, came ${shards.length}; is the batch empty?`,
          { shards: shards.length, replicas },
        );
      }
      let offset = 0;
      for (const variable of variables) {
        weights.set(variable.dataSync() as Float32Array, offset);
        offset += variable.size;
      }
      // Every answer is awaited, also when this thread fails: a late one would be taken for the next step's.
      const settled = Promise.allSettled(
        shards
          .slice(1)
          .map(({ batch: part, firstSample }, index) =>
            members[index].ask({ batch: part, firstSample, context, key }),
          ),
      );
      let own: BatchGradients;
      try {
        random.setKey(key, shards[0].firstSample);
        own = await computeGradients(model, variables, shards[0].batch, context);
      } catch (error) {
        await settled;
        throw error;
      }
      const answers: ReplicaAnswer[] = [];
      for (const outcome of await settled) {
        if (outcome.status === 'rejected') {
          tf.dispose(own.gradients);
          throw outcome.reason;
        }
        answers.push(outcome.value);
      }
      const losses = { ...own.losses };
      for (const answer of answers) {
        for (const [name, value] of Object.entries(answer.losses)) losses[name] = (losses[name] ?? 0) + value;
      }
      return { losses, gradients: addUp(variables, own.gradients, answers, members) };
    },
    close() {
      closing ??= Promise.all(members.map((member) => member.stop())).then(() => undefined);
      return closing;
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
      `Expected gradients from replica ${data.replica}, but its thread failed: ${reasonOf(cause)}. Train with one replica to see whether the network itself fails.`,
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
  const ended = new Promise<void>((resolve) => {
    worker.on('exit', (code) => {
      fail(new Error(`it ended with code ${code}`));
      resolve();
    });
  });
  return {
    gradients: data.gradients,
    ask: (request: ReplicaRequest<object>) =>
      new Promise((resolve, reject) => {
        if (failure) return reject(failure);
        worker.postMessage(request);
        waiting = { resolve, reject };
      }),
    async stop() {
      // Not terminate(): a thread that is stopped inside a native kernel may take the whole process down.
      worker.postMessage(STOP);
      const lastResort = setTimeout(() => worker.terminate(), STOP_WITHIN_MS);
      await ended;
      clearTimeout(lastResort);
    },
  };
}

/** A message without its full stop, to go on after it. */
function reasonOf(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).replace(/\.$/, '');
}
