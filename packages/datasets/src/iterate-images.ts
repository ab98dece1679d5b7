import { decodeWholeImage, type WholeImage, type WholeImageJob } from './decode-whole-image.js';
import { checkTransform } from './plan-transform.js';
import { takeWorkers } from './take-workers.js';
import type { Dataset, Normalization, TransformOptions } from './types.js';
import type { WorkerPool } from './worker-pool.js';

export interface IterateImagesOptions {
  readonly dataset: Dataset;
  /** Default all of the data set's, in its order. */
  readonly ids?: readonly string[];
  /** Give it to get `input` too. */
  readonly normalization?: Normalization;
  /** Size of `input`; default the image's own. */
  readonly resize?: TransformOptions['resize'];
  /** Worker threads, or a pool that goes on to exist; 0 = on the calling thread. Default: the cores but one, 1..4. */
  readonly workers?: number | WorkerPool;
  /** Images decoded ahead; default 2 per worker, at least 2. */
  readonly prefetch?: number;
}

/**
 * Yields whole images in order, without augmentation, decoded ahead in worker threads: for inference.
 * @throws whatever reading an image can throw, at that image's turn.
 */
export async function* iterateImages(options: IterateImagesOptions): AsyncIterableIterator<WholeImage> {
  const { dataset, normalization, resize } = options;
  const ids = options.ids ?? dataset.ids;
  checkTransform({ resize });
  const { pool, count, close } = takeWorkers(options.workers);
  const prefetch = options.prefetch ?? Math.max(2, 2 * count);
  const begin = async (id: string): Promise<WholeImage> => {
    const sample = dataset.imageSource ? null : await dataset.sample(id);
    const image = sample ? { type: 'pixels' as const, image: sample.image } : dataset.imageSource?.(id);
    const job: WholeImageJob = {
      kind: 'whole-image',
      item: {
        id,
        image: image as WholeImageJob['item']['image'],
        labels: sample ? sample.labels : dataset.imageLabels(id),
      },
      input: normalization ? { normalization, resize } : undefined,
    };
    return pool ? pool.submit(job).result : decodeWholeImage(job);
  };
  const ahead: Promise<WholeImage>[] = [];
  let next = 0;
  try {
    for (let i = 0; i < ids.length; i++) {
      while (next < ids.length && ahead.length < prefetch) {
        const work = begin(ids[next++]);
        work.catch(() => {}); // awaited in order
        ahead.push(work);
      }
      // A turn of the event loop even when the image is ready, so that workers' messages arrive.
      await new Promise((resolve) => setImmediate(resolve));
      yield await (ahead.shift() as Promise<WholeImage>);
    }
  } finally {
    await close();
  }
}
