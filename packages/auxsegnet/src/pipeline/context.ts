import type { DenseCrfPool } from '@auxseg/crf';
import { type Dataset, mapConcurrently, type WorkerPool } from '@auxseg/datasets';
import type { SaliencySource } from '@auxseg/saliency';
import type { Recipe } from '../recipe.js';
import type { RunDirectory } from './run-directory.js';
import type { ScoredImages } from './scored-images.js';

/** What the pipeline tells about itself; the terminal or a program listens. */
export type PipelineEvent =
  | { type: 'step-start'; step: string; description: string }
  | { type: 'step-skip'; step: string }
  | { type: 'step-done'; step: string; seconds: number; result?: string }
  | {
      type: 'progress';
      step: string;
      done: number;
      total: number;
      etaSeconds: number;
      /** For example the loss. */
      text: string;
    }
  | { type: 'note'; text: string };

/** Everything that a step works with. */
export interface PipelineContext {
  readonly recipe: Recipe;
  readonly directory: RunDirectory;
  /** Backend in use. */
  readonly backend: string;
  /** Folders in which relative weight and saliency paths are looked up. */
  readonly searchPaths: readonly string[];
  readonly train: Dataset;
  readonly val: Dataset;
  /** Images of `train` with masks, on which pseudo labels are scored; null when there are none. */
  readonly scoredTrain: ScoredImages | null;
  /** Images of `val` with masks. */
  readonly scoredVal: ScoredImages | null;
  readonly saliency: SaliencySource;
  /** Workers start when they are first used, and are kept for the run. */
  readonly crf: DenseCrfPool;
  /** Decoding threads, kept from training to training; 0 = none. */
  readonly dataWorkers: WorkerPool | 0;
  emit(event: PipelineEvent): void;
  readonly signal?: AbortSignal;
}

/** Throws when the user has asked to stop. */
export function throwIfAborted(context: PipelineContext): void {
  context.signal?.throwIfAborted();
}

/**
 * Calls `work` for every id in order, with progress events. Work that is already on disk is recognised by `isDone` and
 * skipped, so that a killed step goes on where it stopped.
 */
export async function forEachImage(
  context: PipelineContext,
  step: string,
  ids: readonly string[],
  isDone: (id: string) => Promise<boolean>,
  work: (id: string) => Promise<void>,
  concurrency = 1,
): Promise<void> {
  const open: string[] = [];
  for (const id of ids) if (!(await isDone(id))) open.push(id);
  const started = performance.now();
  let done = 0;
  const total = ids.length;
  const skipped = total - open.length;
  await mapConcurrently(open, concurrency, async (id) => {
    throwIfAborted(context);
    await work(id);
    done++;
    const secondsPerImage = (performance.now() - started) / 1000 / done;
    context.emit({
      type: 'progress',
      step,
      done: skipped + done,
      total,
      etaSeconds: secondsPerImage * (open.length - done),
      text: `${(1 / secondsPerImage).toFixed(1)} images/s`,
    });
  });
}
