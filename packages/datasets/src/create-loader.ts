import { DatasetError } from './dataset-error.js';
import { checkTransform } from './plan-transform.js';
import { type BatchItem, type BatchJob, produceBatch } from './produce-batch.js';
import { createRandom, randomPermutation } from './random.js';
import { takeWorkers } from './take-workers.js';
import type { Batch, Dataset, LabelTarget, SaliencyTarget, TransformOptions } from './types.js';
import type { WorkerPool } from './worker-pool.js';

export interface LoaderOptions {
  readonly dataset: Dataset;
  /** The ids to draw from; default all of the data set's. */
  readonly ids?: readonly string[];
  readonly targets?: { readonly segmentation?: LabelTarget; readonly saliency?: SaliencyTarget };
  readonly transform: TransformOptions;
  readonly batchSize: number;
  readonly seed: number;
  /**
   * Worker threads, or a pool that outlives the loader; 0 = work on the calling thread. Default: the cores but one, 1..4. The batches never
   * depend on it.
   */
  readonly workers?: number | WorkerPool;
  /** Batches made ahead of the consumer; default 2 per worker, at least 4. Bounds the memory. */
  readonly prefetch?: number;
  /** Default true. */
  readonly shuffle?: boolean;
  /** Leave out a last smaller batch; default false. */
  readonly dropLast?: boolean;
  /** At the end of an epoch, begin the next one's first batches: for training, which goes on with it. Default false. */
  readonly aheadOfEpoch?: boolean;
}

/** Batches of a data set, epoch by epoch. */
export interface Loader {
  readonly batchesPerEpoch: number;
  /** The ids of epoch `index` in their order. */
  epochIds(index: number): string[];
  /**
   * The batches of one epoch, optionally from batch `startBatch` on: exactly those that a full pass would give from there.
   * Leaving the loop early cancels the work ahead.
   */
  epoch(index: number, startBatch?: number): AsyncIterableIterator<Batch>;
  /** How long the consumer has waited for data, in all. */
  stats(): { batches: number; waitedMs: number };
  /** Ends the worker threads, unless they came from outside. */
  close(): Promise<void>;
}

/**
 * Creates a loader that decodes and augments in worker threads, ahead of the consumer, in order and bounded.
 *
 * Everything random about a sample is keyed by (seed, epoch, id) and about a batch by (seed, epoch, batch), so the batches are the same bytes for any
 * number of workers, and an epoch can be entered in the middle. Whole batches are made in one worker and their buffers transferred, so a
 * consumer that blocks its thread for long (synchronous compute) finds up to `prefetch` batches ready.
 * Padded pixels: image 0 after normalisation, label 255, saliency 0 unless the transform says otherwise.
 * @throws DatasetError 'bad-option', 'empty-list'; while iterating whatever reading a sample can throw, at that batch's turn.
 */
export function createLoader(options: LoaderOptions): Loader {
  const { dataset, targets, transform, batchSize, seed } = options;
  const ids = options.ids ?? dataset.ids;
  const shuffle = options.shuffle ?? true;
  const demand = (ok: boolean, name: string, expected: string, came: unknown): void => {
    if (!ok)
      throw new DatasetError('bad-option', `Expected ${name} to be ${expected}, came ${String(came)}.`, {
        option: name,
        came,
      });
  };
  demand(Number.isInteger(batchSize) && batchSize > 0, 'batchSize', 'a positive integer', batchSize);
  demand(Number.isFinite(seed), 'seed', 'a number', seed);
  checkTransform(transform);
  if (ids.length === 0) {
    throw new DatasetError(
      'empty-list',
      'Expected at least one id to load, came none. Check the list or the filter that made it.',
      {},
    );
  }
  const batchesPerEpoch = options.dropLast
    ? Math.floor(ids.length / batchSize)
    : Math.ceil(ids.length / batchSize);
  demand(
    batchesPerEpoch > 0,
    'batchSize',
    `at most the ${ids.length} samples when dropLast is set`,
    batchSize,
  );

  const { pool, count, close: closeWorkers } = takeWorkers(options.workers);
  const prefetch = options.prefetch ?? Math.max(4, 2 * count);
  demand(Number.isInteger(prefetch) && prefetch > 0, 'prefetch', 'a positive integer', prefetch);
  const stats = { batches: 0, waitedMs: 0 };

  const epochIds = (index: number): string[] => {
    if (!shuffle) return [...ids];
    return Array.from(randomPermutation(ids.length, createRandom('order', seed, index)), (i) => ids[i]);
  };

  const describe = async (id: string): Promise<BatchItem> => {
    const [sample, segmentation, saliency] = await Promise.all([
      dataset.imageSource ? null : dataset.sample(id),
      describeTarget(targets?.segmentation, id),
      describeTarget(targets?.saliency, id),
    ]);
    return {
      id,
      image: sample
        ? { type: 'pixels', image: sample.image }
        : (dataset.imageSource?.(id) as BatchItem['image']),
      labels: sample ? sample.labels : dataset.imageLabels(id),
      segmentation,
      saliency,
    };
  };

  interface Ahead {
    readonly result: Promise<Batch>;
    cancel(): void;
  }
  const begin = (order: readonly string[], epoch: number, batch: number): Ahead => {
    let cancelled = false;
    let cancelJob: (() => void) | undefined;
    const work = async (): Promise<Batch> => {
      const members = order.slice(batch * batchSize, (batch + 1) * batchSize);
      const items = await Promise.all(members.map(describe));
      const job: BatchJob = {
        kind: 'batch',
        seed,
        epoch,
        batch,
        transform,
        numClasses: dataset.classes.length,
        items,
      };
      if (cancelled || !pool) return produceBatch(job);
      const submitted = pool.submit(job);
      cancelJob = submitted.cancel;
      return submitted.result;
    };
    const result = work();
    result.catch(() => {}); // awaited in order; until then it must not count as unhandled
    return {
      result,
      cancel() {
        cancelled = true;
        cancelJob?.();
      },
    };
  };

  /** First batches of the epoch after the one in work: training goes on with it, and would wait at every border. */
  let coming: { epoch: number; order: readonly string[]; batches: Ahead[] } | null = null;
  const cancelComing = (): void => {
    for (const batch of coming?.batches ?? []) batch.cancel();
    coming = null;
  };
  const beginComing = (epoch: number, count: number): void => {
    coming ??= { epoch, order: epochIds(epoch), batches: [] };
    const { order, batches } = coming;
    while (batches.length < Math.min(count, batchesPerEpoch))
      batches.push(begin(order, epoch, batches.length));
  };

  async function* iterate(index: number, startBatch: number): AsyncIterableIterator<Batch> {
    demand(Number.isInteger(index) && index >= 0, 'epoch index', 'an integer from 0', index);
    demand(Number.isInteger(startBatch) && startBatch >= 0, 'startBatch', 'an integer from 0', startBatch);
    const begun = coming?.epoch === index && startBatch === 0 ? coming : null;
    if (begun) coming = null;
    else cancelComing();
    const order = begun?.order ?? epochIds(index);
    const ahead: Ahead[] = begun?.batches ?? [];
    let next = startBatch + ahead.length;
    const fill = (): void => {
      while (ahead.length < prefetch && next < batchesPerEpoch) ahead.push(begin(order, index, next++));
      if (options.aheadOfEpoch && next >= batchesPerEpoch) beginComing(index + 1, prefetch - ahead.length);
    };
    let complete = false;
    try {
      for (let batch = startBatch; batch < batchesPerEpoch; batch++) {
        fill();
        const began = performance.now();
        // A turn of the event loop even when the batch is ready: workers' messages and target reads would starve otherwise.
        await new Promise((resolve) => setImmediate(resolve));
        const ready = await (ahead.shift() as Ahead).result;
        stats.waitedMs += performance.now() - began;
        stats.batches++;
        fill();
        complete = batch + 1 === batchesPerEpoch;
        yield ready;
      }
    } finally {
      for (const a of ahead) a.cancel();
      if (!complete) cancelComing();
    }
  }

  return {
    batchesPerEpoch,
    epochIds,
    epoch: (index, startBatch = 0) => iterate(index, startBatch),
    stats: () => ({ ...stats }),
    close: async () => {
      cancelComing();
      await closeWorkers();
    },
  };
}

async function describeTarget<M>(
  target: ((id: string) => Promise<M>) | { file(id: string): string } | undefined,
  id: string,
): Promise<{ type: 'file'; file: string } | { type: 'pixels'; map: M } | undefined> {
  if (!target) return undefined;
  if (typeof target === 'function') return { type: 'pixels', map: await target(id) };
  return { type: 'file', file: target.file(id) };
}
