import * as tf from '@tensorflow/tfjs-core';
import { createCheckpoint, type RunIdentity, restoreCheckpoint } from './checkpoint.js';
import { computeGradients } from './compute-gradients.js';
import { createLossLog } from './loss-log.js';
import { hashToKey } from './random-key.js';
import { TrainerError } from './trainer-error.js';
import type {
  CheckpointStore,
  Clock,
  DataSource,
  GradientSource,
  Optimizer,
  RandomPort,
  Schedule,
  StepEvent,
  StepLogger,
  TrainableModel,
  TrainingBatch,
} from './types.js';

export interface TrainerOptions<B extends object> {
  model: TrainableModel<B>;
  data: DataSource<B>;
  /** Where gradients are computed; by default here, on the calling thread. */
  gradients?: GradientSource<B>;
  optimizer: Optimizer;
  schedule: Schedule;
  /** Optimiser steps of the whole run, over all resumptions. */
  totalSteps: number;
  /** Batches whose averaged gradient makes one step; 1 by default. */
  accumulate?: number;
  /** Keys everything random in the model; the data source has its own seed. */
  seed: number;
  /** Receives a key hashed from (seed, batch index) before each batch: pass `{ setKey: setRandomKey }` of the runtime. */
  random: RandomPort;
  /** Without one, an interrupted run starts again. */
  checkpoint?: CheckpointStore;
  /** A checkpoint after so many steps; the last step always gets one. */
  checkpointEverySteps?: number;
  /** A checkpoint after so many seconds; 60 where neither this nor the steps are given. */
  checkpointEverySeconds?: number;
  /** Name of a variable in checkpoints; its own `name` by default. See `layerVariableNames`. */
  nameOf?: (variable: tf.Variable) => string;
  /** Anything that must not change between a run and its resumption (a hash of the recipe, say). */
  identity?: string;
  logger?: StepLogger;
  clock?: Clock;
  /** On abort the current step is finished, a checkpoint is written, and `run` throws ABORTED. */
  signal?: AbortSignal;
  onStep?: (event: StepEvent) => void;
}

export interface TrainingResult {
  /** Steps done, equal to `totalSteps`. */
  steps: number;
  /** Steps that a checkpoint had brought along. */
  resumedFrom: number;
  /** `total` and every loss part by step, including the steps before the resumption. */
  losses: Record<string, Float64Array>;
  /** Seconds of this call, without what was spent before the resumption. */
  seconds: number;
  /** Fraction (0..1) of `seconds` spent waiting for data. */
  dataWaitFraction: number;
}

export interface Trainer {
  /**
   * Trains to `totalSteps`, from the last checkpoint if there is one: killed at any moment and called again, it ends with
   * the same bytes as undisturbed, on the same backend.
   *
   * @throws TrainerError NON_FINITE_LOSS (step, batch ids, loss parts; the last good checkpoint stays), NON_FINITE_VARIABLE,
   *   DATA_EXHAUSTED, CHECKPOINT_MISMATCH, CHECKPOINT_CORRUPT, ABORTED, and whatever the ports throw
   */
  run(): Promise<TrainingResult>;
}

const DEFAULT_CHECKPOINT_SECONDS = 60;
/** Weight of the newest step in the moving average behind the estimate of the remaining time. */
const STEP_TIME_WEIGHT = 0.1;

/**
 * Creates the training loop: batches in order, losses, gradients, accumulation, update, checkpoint, events.
 *
 * It knows no network and no data set; all it touches comes through the ports in `options`. The number of live tensors is
 * constant over steps.
 * @throws TrainerError BAD_OPTION
 */
export function createTrainer<B extends object>(options: TrainerOptions<B>): Trainer {
  const { totalSteps, accumulate = 1, data } = options;
  for (const [name, value] of Object.entries({
    totalSteps,
    accumulate,
    batchesPerEpoch: data.batchesPerEpoch,
  })) {
    if (!Number.isInteger(value) || value < 1) {
      throw new TrainerError(
        'BAD_OPTION',
        `Expected ${name} to be a whole number of at least 1, came ${value}; ${name === 'batchesPerEpoch' ? 'is the list of images empty, or shorter than one batch with dropLast?' : 'correct the recipe.'}`,
        { [name]: value },
      );
    }
  }
  return { run: () => train(options) };
}

async function train<B extends object>(options: TrainerOptions<B>): Promise<TrainingResult> {
  const { model, data, optimizer, schedule, totalSteps, accumulate = 1, seed, random } = options;
  const { checkpoint: store, logger, signal, onStep } = options;
  const { nameOf = (variable: tf.Variable) => variable.name } = options;
  const clock = options.clock ?? performance;
  const { checkpointEverySteps: everySteps = Number.POSITIVE_INFINITY } = options;
  const everySeconds =
    options.checkpointEverySeconds ??
    (options.checkpointEverySteps === undefined ? DEFAULT_CHECKPOINT_SECONDS : Number.POSITIVE_INFINITY);
  const variables = model.variables().filter((variable) => variable.trainable);
  const identity: RunIdentity = {
    totalSteps: String(totalSteps),
    accumulate: String(accumulate),
    seed: String(seed),
    batchesPerEpoch: String(data.batchesPerEpoch),
    identity: options.identity ?? '',
  };

  const loaded = (await store?.load()) ?? null;
  const resumedFrom = loaded ? restoreCheckpoint(loaded, { variables, nameOf, optimizer, identity }) : 0;
  const log = createLossLog(loaded?.tensors ?? new Map(), resumedFrom);
  await logger?.rewind?.(resumedFrom);

  const startedAt = clock.now();
  const seconds = (): number => (clock.now() - startedAt) / 1000;
  const batches = createBatchReader(data, resumedFrom * accumulate, clock);
  let savedStep = resumedFrom;
  let savedAt = seconds();
  let secondsPerStep = 0;

  const save = async (step: number): Promise<void> => {
    if (!store || step === savedStep) return;
    await logger?.flush?.();
    const extra = new Map();
    log.save(extra);
    const next = step * accumulate;
    const position = { epoch: Math.floor(next / data.batchesPerEpoch), batch: next % data.batchesPerEpoch };
    await store.save(
      await createCheckpoint({ variables, nameOf, optimizer, step, position, identity, extra }),
    );
    savedStep = step;
    savedAt = seconds();
  };

  try {
    for (let step = resumedFrom; step < totalSteps; step++) {
      if (signal?.aborted) {
        await save(step);
        throw new TrainerError(
          'ABORTED',
          `Training was stopped after step ${step} of ${totalSteps}; ${store ? 'start it again to continue from there.' : 'there is no checkpoint store, so the work is lost.'}`,
          { step, totalSteps, checkpoint: store !== undefined },
          { cause: signal.reason },
        );
      }
      const stepStartedAt = seconds();
      const lr = schedule(step);
      const sums: Record<string, number> = {};
      const gradients = new Map<string, tf.Tensor>();
      let epoch = 0;
      try {
        for (let microStep = 0; microStep < accumulate; microStep++) {
          const { batch, epoch: batchEpoch } = await batches.next();
          epoch = batchEpoch;
          const key = hashToKey(seed, step * accumulate + microStep);
          random.setKey(key);
          const context = { step, microStep, epoch, training: true } as const;
          const computed = await (options.gradients?.compute(batch, context, key) ??
            computeGradients(model, variables, batch, context));
          const { losses } = computed;
          addGradients(gradients, computed.gradients);
          if (!Object.values(losses).every(Number.isFinite)) {
            throw nonFiniteLoss(step + 1, totalSteps, batch, losses, lr, store ? savedStep : undefined);
          }
          for (const [name, value] of Object.entries(losses)) {
            sums[name] = (sums[name] ?? 0) + value / accumulate;
          }
        }
        applyGradients(optimizer, gradients, accumulate, lr);
      } finally {
        for (const gradient of gradients.values()) gradient.dispose();
      }
      log.append(sums);

      const done = step + 1;
      const stepSeconds = seconds() - stepStartedAt;
      secondsPerStep =
        step === resumedFrom
          ? stepSeconds
          : secondsPerStep + STEP_TIME_WEIGHT * (stepSeconds - secondsPerStep);
      const event: StepEvent = {
        step: done,
        totalSteps,
        epoch,
        losses: sums,
        lr,
        secondsPerStep,
        etaSeconds: secondsPerStep * (totalSteps - done),
        dataWaitFraction: fraction(batches.waitedSeconds(), seconds()),
      };
      await logger?.write(event);
      onStep?.(event);
      if (done === totalSteps || done - savedStep >= everySteps || seconds() - savedAt >= everySeconds) {
        await save(done);
      }
      // Lets timers, signals and the loader's messages in: promises alone would starve them.
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  } finally {
    await batches.close();
  }
  return {
    steps: totalSteps,
    resumedFrom,
    losses: log.columns(),
    seconds: seconds(),
    dataWaitFraction: fraction(batches.waitedSeconds(), seconds()),
  };
}

/** Adds gradients to the sums, whose tensors are the caller's to dispose. */
function addGradients(sums: Map<string, tf.Tensor>, gradients: Readonly<Record<string, tf.Tensor>>): void {
  for (const [name, gradient] of Object.entries(gradients)) {
    const sum = sums.get(name);
    sums.set(name, sum ? tf.add(sum, gradient) : gradient);
    if (sum) {
      sum.dispose();
      gradient.dispose();
    }
  }
}

function applyGradients(
  optimizer: Optimizer,
  gradients: ReadonlyMap<string, tf.Tensor>,
  accumulate: number,
  lr: number,
): void {
  tf.tidy(() => {
    const averaged = [...gradients].map(([name, gradient]): [string, tf.Tensor] => [
      name,
      accumulate === 1 ? gradient : tf.mul(gradient, 1 / accumulate),
    ]);
    optimizer.step(Object.fromEntries(averaged), lr);
  });
}

interface BatchReader<B> {
  next(): Promise<{ batch: B; epoch: number }>;
  waitedSeconds(): number;
  close(): Promise<void>;
}

/** Reads batch after batch over epoch borders, starting anywhere. */
function createBatchReader<B extends object>(
  data: DataSource<B>,
  startBatch: number,
  clock: Clock,
): BatchReader<B> {
  let index = startBatch;
  let iterator: AsyncIterator<B> | null = null;
  let waited = 0;
  return {
    async next() {
      const startedAt = clock.now();
      const epoch = Math.floor(index / data.batchesPerEpoch);
      const position = index % data.batchesPerEpoch;
      if (position === 0) await iterator?.return?.();
      if (iterator === null || position === 0) iterator = data.epoch(epoch, position)[Symbol.asyncIterator]();
      const result = await iterator.next();
      if (result.done) {
        throw new TrainerError(
          'DATA_EXHAUSTED',
          `Expected ${data.batchesPerEpoch} batches in epoch ${epoch}, came ${position}; does batchesPerEpoch of the data source count a dropped last batch?`,
          { epoch, batches: position, batchesPerEpoch: data.batchesPerEpoch },
        );
      }
      index++;
      waited += (clock.now() - startedAt) / 1000;
      return { batch: result.value, epoch };
    },
    waitedSeconds: () => waited,
    async close() {
      await iterator?.return?.();
    },
  };
}

function nonFiniteLoss(
  step: number,
  totalSteps: number,
  batch: object,
  losses: Record<string, number>,
  lr: number,
  lastCheckpoint: number | undefined,
): TrainerError {
  const ids = [...((batch as TrainingBatch).ids ?? [])];
  const parts = Object.entries(losses).map(([name, value]) => `${name} ${value}`);
  return new TrainerError(
    'NON_FINITE_LOSS',
    `Expected a finite loss at step ${step} of ${totalSteps}, came ${parts.join(', ')} for the batch [${ids.join(', ') || 'no ids'}] at learning rate ${lr}; ${lastCheckpoint === undefined ? 'nothing was saved' : `the checkpoint of step ${lastCheckpoint} is kept`}. Lower the learning rate or lengthen the warm-up; if it fails at the same batch again, look at those images and labels.`,
    { step, totalSteps, batchIds: ids, losses, lr, lastCheckpoint },
  );
}

function fraction(part: number, whole: number): number {
  return whole > 0 ? part / whole : 0;
}
