import { checkThresholds } from './check-unit.js';
import { type DetectSaliencyOptions, detectSaliency, type SaliencyMethod } from './detect-saliency.js';
import { createDetectorPool, type DetectorPool } from './detector-pool.js';
import { SaliencyError } from './errors.js';
import type { SaliencySource, SaliencyThresholds } from './types.js';

/**
 * Thresholds that suit each method's maps, chosen on voc-animals `train`: background is about 93% pure below, `single` has precision and
 * recall alike (README, Thresholds). The paper's 0.06 as the only threshold would call half of each image foreground.
 */
export const unsupervisedThresholds: Record<SaliencyMethod, SaliencyThresholds> = {
  mbplus: { foreground: 0.5, background: 0.03, single: 0.3 },
  rbd: { foreground: 0.5, background: 0.06, single: 0.35 },
  combined: { foreground: 0.5, background: 0.1, single: 0.4 },
};

/** Options of the source; the detector's own are those of `detectSaliency`. */
export interface UnsupervisedSaliencyOptions extends DetectSaliencyOptions {
  /** Worker threads to use (Node only); 0, the default, works on the calling thread. The maps are the same for any number. */
  readonly workers?: number;
  readonly thresholds?: SaliencyThresholds;
}

/**
 * A source that detects what stands out in the photograph itself: no training, no downloads (`detectSaliency`).
 *
 * With `workers`, calls of `map` made at the same time run in parallel; idle threads do not keep the process alive, `close` ends them.
 * Throws SaliencyError: BAD_OPTION; from `map`, BAD_SHAPE, WORKER_FAILED, CLOSED.
 */
export function createUnsupervisedSaliency(options: UnsupervisedSaliencyOptions = {}): SaliencySource {
  const { workers = 0, thresholds: given, ...detection } = options;
  const method = detection.method ?? 'combined';
  if (!(method in unsupervisedThresholds)) {
    throw new SaliencyError(
      'BAD_OPTION',
      `Expected saliency method 'mbplus', 'rbd' or 'combined', got ${JSON.stringify(method)}.`,
      { method },
    );
  }
  if (!Number.isInteger(workers) || workers < 0) {
    throw new SaliencyError('BAD_OPTION', `Expected workers to be an integer >= 0, got ${workers}.`, {
      workers,
    });
  }
  const thresholds = given ?? unsupervisedThresholds[method];
  checkThresholds(method, thresholds);
  let pool: DetectorPool | null = null;
  let closed = false;
  return {
    name: `unsupervised(${method})`,
    thresholds,
    async map({ id, image }) {
      if (closed) {
        throw new SaliencyError(
          'CLOSED',
          `Expected an open saliency source for image ${id}, but it was closed; create a new one.`,
          {
            id,
          },
        );
      }
      if (workers === 0) return detectSaliency(image, detection);
      pool ??= createDetectorPool(workers);
      return pool.detect(id, image, detection);
    },
    async close() {
      closed = true;
      await pool?.close();
    },
  };
}
