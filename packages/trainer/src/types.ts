import type { TensorMap } from '@auxseg/formats';
import type * as tf from '@tensorflow/tfjs-core';

/** A batch may be any object; its `ids`, where it has them, are named in errors. */
export interface TrainingBatch {
  readonly ids?: readonly string[];
}

/** Where in the run a loss is being computed. */
export interface LossContext {
  /** Index of the optimiser step, 0-based. */
  readonly step: number;
  /** Index of the batch within the step, 0 to `accumulate - 1`. */
  readonly microStep: number;
  readonly epoch: number;
  readonly training: true;
}

/** The losses of one batch; all scalars, `total` is what gets differentiated. The trainer disposes them. */
export interface LossOutput {
  readonly total: tf.Scalar;
  readonly parts: Readonly<Record<string, tf.Scalar>>;
}

/** Port: something with variables and a differentiable loss. */
export interface TrainableModel<B extends object = TrainingBatch> {
  /** The variables to train, always in the same order. */
  variables(): readonly tf.Variable[];
  /** The differentiable loss of one batch; runs under a gradient tape and inside a tidy. */
  loss(batch: B, context: LossContext): LossOutput;
}

/** Losses of a batch as numbers, and the gradients of `total` by variable name, which the caller disposes. */
export interface BatchGradients {
  readonly losses: Record<string, number>;
  readonly gradients: Record<string, tf.Tensor>;
}

/** Port: computes losses and gradients of a batch; `createReplicas` of the node entry does so on several threads. */
export interface GradientSource<B extends object = TrainingBatch> {
  /** `key` has been given to the random port for this thread already. */
  compute(batch: B, context: LossContext, key: number): Promise<BatchGradients>;
}

/** Port: batches by epoch, the same ones for the same epoch index every time (`createLoader` of datasets fits). */
export interface DataSource<B extends object = TrainingBatch> {
  readonly batchesPerEpoch: number;
  /** The batches `startBatch`, `startBatch + 1`, ... of one epoch, in order. */
  epoch(index: number, startBatch?: number): AsyncIterable<B>;
}

/** Port: an optimiser whose whole state can be saved. */
export interface Optimizer {
  /** Updates the variables in place; gradients by variable name, which stay the caller's to dispose. */
  step(gradients: Readonly<Record<string, tf.Tensor>>, learningRate: number): void;
  /** A copy of the state, float32 arrays by stable names. */
  state(): Promise<TensorMap>;
  /** Puts a saved state back. */
  restore(state: TensorMap): void;
  dispose(): void;
}

/** Learning rate of a 0-based step. */
export type Schedule = (step: number) => number;

/** Port: what draws random numbers inside the model (dropout) is keyed through this before each batch. */
export interface RandomPort {
  /** `firstSample`: index of the first sample in the whole batch where only a part of it is computed; 0 otherwise. */
  setKey(key: number, firstSample?: number): void;
}

/** Port: milliseconds on a clock that never runs backwards. */
export interface Clock {
  now(): number;
}

/** What a finished step tells: `losses` holds `total` and every part, averaged over the step's batches. */
export interface StepEvent {
  /** Number of steps done, 1 to `totalSteps`. */
  readonly step: number;
  readonly totalSteps: number;
  /** 0-based epoch of the step's last batch. */
  readonly epoch: number;
  readonly losses: Readonly<Record<string, number>>;
  /** Learning rate of the step, before a group's own factor. */
  readonly lr: number;
  /** Moving average over about ten steps. */
  readonly secondsPerStep: number;
  readonly etaSeconds: number;
  /** Fraction (0..1) of this run's time spent waiting for data. */
  readonly dataWaitFraction: number;
}

/** Port: keeps the step events. */
export interface StepLogger {
  write(event: StepEvent): void | Promise<void>;
  /** Called once before the first step: entries of steps after `step` belong to lost work and must go. */
  rewind?(step: number): void | Promise<void>;
  /** Called before each checkpoint: what is still buffered must be on disk before it, or a kill would lose it. */
  flush?(): void | Promise<void>;
}

/** Everything needed to continue a run: variables, optimiser state, loss log, position. */
export interface Checkpoint {
  readonly tensors: TensorMap;
  readonly metadata: Record<string, string>;
}

/** Port: keeps the newest checkpoint; `save` must replace the old one only when the new one is complete. */
export interface CheckpointStore {
  load(): Promise<Checkpoint | null>;
  save(checkpoint: Checkpoint): Promise<void>;
}
