import { availableParallelism } from 'node:os';
import { type Batch, createLoader, type LabelTarget, type SaliencyTarget } from '@auxseg/datasets';
import { type BackendName, changeThreads, setRandomKey } from '@auxseg/runtime';
import { createSgd, createTrainer, layerVariableNames, polySchedule } from '@auxseg/trainer';
import { createFileCheckpointStore, createReplicas } from '@auxseg/trainer/node';
import type * as tf from '@tensorflow/tfjs-core';
import type { AuxSegNet } from '../network.js';
import type { LossWeights, Schedule } from '../recipe.js';
import { encodeModel, type WeightsMetadata } from '../weights.js';
import { type BatchLossOptions, lossOfBatch, splitBatch, type TrainingPart } from './batch-loss.js';
import type { PipelineContext } from './context.js';
import type { ReplicaOptions } from './replica-worker.js';

/** One training: which network, on what, for how long, and where its files go. */
export interface TrainingJob {
  /** Name in the log and in progress events, e.g. 'stage-1'. */
  phase: string;
  network: AuxSegNet;
  schedule: Schedule;
  losses: LossWeights;
  targets?: { segmentation: LabelTarget; saliency: SaliencyTarget };
  /** Saliency of at least this is a positive of the saliency loss. */
  saliencyTarget: number;
  metadata: WeightsMetadata;
  /** Weight file in the run directory. */
  output: string;
  /** Checkpoint in the run directory; removed when the weights are written. */
  checkpoint: string;
  /** Distinguishes the random streams of trainings with the same recipe seed. */
  seedOffset: number;
}

/** Parameters whose learning rate is multiplied: the authors' rule by name (method facts, section 5). */
export function isHeadParameter(name: string): boolean {
  return !name.startsWith('cross_att') && /seg|sal|fc8/.test(name);
}

/** Trains, logs to log.jsonl, checkpoints, resumes, and writes the weights. Returns the final losses. */
export async function trainNetwork(
  context: PipelineContext,
  job: TrainingJob,
): Promise<Record<string, number>> {
  const { recipe, directory } = context;
  const { schedule, network } = job;
  const seed = recipe.seed + 1000 * job.seedOffset;
  const loader = createLoader({
    dataset: context.train,
    targets: job.targets,
    transform: {
      ...(recipe.data.longSidePx > 0 ? { resize: { longer: recipe.data.longSidePx } } : {}),
      flip: schedule.flip,
      scale: { min: schedule.scale[0], max: schedule.scale[1], per: schedule.scalePer },
      ...(schedule.cropPx > 0 ? { crop: schedule.cropPx } : {}),
      padLabel: schedule.paddingLabel,
      padSaliency: -1,
      ...(schedule.colourJitter > 0
        ? {
            jitter: {
              brightness: schedule.colourJitter,
              contrast: schedule.colourJitter,
              saturation: schedule.colourJitter,
            },
          }
        : {}),
      normalization: recipe.network.normalization,
    },
    batchSize: schedule.batchSize,
    seed,
    workers: context.dataWorkers,
    shuffle: true,
    dropLast: true,
    aheadOfEpoch: true,
  });
  const totalSteps = Math.max(
    1,
    Math.floor((schedule.epochs * loader.batchesPerEpoch) / schedule.accumulate),
  );
  const nameOf = layerVariableNames(network.model);
  const variables = network.model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  const heads = variables.filter((variable) => isHeadParameter(nameOf(variable)));
  const others = variables.filter((variable) => !isHeadParameter(nameOf(variable)));
  const optimizer = createSgd({
    groups: [
      { name: 'backbone', variables: others, lrScale: 1, weightDecay: schedule.weightDecay },
      { name: 'heads', variables: heads, lrScale: schedule.headLrScale, weightDecay: schedule.weightDecay },
    ],
    momentum: schedule.momentum,
    nameOf,
  });
  let lossesAtEnd: Record<string, number> = {};
  let logLines: object[] = [];
  const flushLog = async () => {
    const lines = logLines;
    logLines = [];
    await directory.appendLog(lines);
  };
  const loss: BatchLossOptions = {
    losses: job.losses,
    saliencyTarget: job.saliencyTarget,
    recompute: schedule.recompute,
  };
  const random = { setKey: setRandomKey };
  const numReplicas = replicasFor(context.backend, schedule);
  const threads = threadsFor(recipe.threads, numReplicas);
  const replicas =
    numReplicas > 1
      ? createReplicas<TrainingPart>({
          replicas: numReplicas,
          model: { variables: () => variables, loss: (part) => lossOfBatch(network, part, loss) },
          random,
          split: ({ batch }, parts) => splitBatch(batch, parts),
          worker: workerUrl(),
          workerData: replicaOptions(context, job, loss, threads),
        })
      : null;
  const whole = { classification: 1, saliency: 1, segmentation: 1 };
  const trainer = createTrainer<Batch>({
    model: {
      variables: () => variables,
      loss: (batch) => lossOfBatch(network, { batch, shares: whole }, loss),
    },
    gradients: replicas
      ? { compute: (batch, at, key) => replicas.compute({ batch, shares: whole }, at, key) }
      : undefined,
    data: loader,
    optimizer,
    schedule: polySchedule({
      baseLr: schedule.lr,
      totalSteps,
      power: schedule.power,
      warmupSteps: Math.min(schedule.warmupSteps, totalSteps - 1),
    }),
    totalSteps,
    accumulate: schedule.accumulate,
    seed,
    random,
    nameOf,
    checkpoint: createFileCheckpointStore(directory.path(job.checkpoint)),
    checkpointEverySteps: schedule.checkpointEverySteps,
    signal: context.signal,
    logger: {
      rewind: (step) => directory.truncateLog(job.phase, step),
      write: async (event) => {
        lossesAtEnd = { ...event.losses };
        logLines.push({
          time: new Date().toISOString(),
          phase: job.phase,
          step: event.step,
          totalSteps: event.totalSteps,
          epoch: event.epoch,
          lr: event.lr,
          losses: event.losses,
        });
        if (logLines.length >= 10) await flushLog();
      },
      flush: flushLog,
    },
    onStep: (event) =>
      context.emit({
        type: 'progress',
        step: job.phase,
        done: event.step,
        total: event.totalSteps,
        etaSeconds: event.etaSeconds,
        text: `loss ${event.losses['total'].toFixed(3)}, ${event.secondsPerStep.toFixed(2)} s/step${
          event.dataWaitFraction > 0.05
            ? `, ${Math.round(100 * event.dataWaitFraction)}% waiting for data`
            : ''
        }`,
      }),
  });
  const threadsBefore = replicas ? changeThreads(threads) : null;
  try {
    await trainer.run();
    await flushLog();
    await directory.write(job.output, encodeModel(network.model, job.metadata));
  } finally {
    if (threadsBefore !== null) changeThreads(threadsBefore);
    optimizer.dispose();
    await replicas?.close();
    await loader.close();
  }
  return lossesAtEnd;
}

/** Worker threads run plain JavaScript: started from the TypeScript sources (our own tests), the built file is used. */
function workerUrl(): URL {
  const here = import.meta.url;
  return new URL(
    here.endsWith('.ts') ? '../../dist/pipeline/replica-worker.js' : './replica-worker.js',
    here,
  );
}

function replicaOptions(
  context: PipelineContext,
  job: TrainingJob,
  loss: BatchLossOptions,
  threads: number,
): ReplicaOptions {
  const { metadata, network } = job;
  return {
    backend: context.backend as BackendName,
    threads,
    kind: metadata.kind,
    config: metadata.network,
    numClasses: network.numClasses,
    weights: network.model.weights.map((weight) => Float32Array.from(weight.read().dataSync())),
    loss,
  };
}

/** Backends that compute on the calling thread: libtensorflow has one pool of threads for all callers, a GPU one queue. */
const DATA_PARALLEL = ['onnx', 'wasm', 'cpu'];

/** How many threads compute parts of a batch. */
function replicasFor(backend: string, { replicas, batchSize }: Schedule): number {
  return DATA_PARALLEL.includes(backend) ? Math.min(replicas, batchSize) : 1;
}

/** Threads of each operation when several replicas share the processor. */
function threadsFor(threads: number, replicas: number): number {
  return Math.max(1, Math.floor((threads > 0 ? threads : availableParallelism()) / replicas));
}
