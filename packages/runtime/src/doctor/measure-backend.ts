import * as tf from '@tensorflow/tfjs-core';
import { conv2DFilterGradient, conv2DInputGradient } from '../gradients/conv-dispatch.js';

/** Throughput in GFLOP/s (a multiply-add counts as two). */
export interface BackendSpeed {
  convForward: number;
  convGradInput: number;
  convGradFilter: number;
  matMul: number;
}

/** Limits of {@link measureBackend}. */
export interface MeasureOptions {
  /** Milliseconds that each of the four measurements may take, at least one run each. Default 300. */
  budgetMs?: number;
}

async function finish(result: tf.Tensor): Promise<void> {
  // Reading one value waits for backends that only queue work.
  const probe = tf.tidy(() => tf.slice(tf.reshape(result, [-1]), 0, 1));
  await probe.data();
  tf.dispose([probe, result]);
}

/** Best rate of several runs: whatever else the machine does can only slow one down. */
async function rate(run: () => tf.Tensor, flops: number, budgetMs: number): Promise<number> {
  const start = performance.now();
  let best = Number.POSITIVE_INFINITY;
  let runs = 0;
  do {
    const before = performance.now();
    await finish(run());
    // The first run packs, compiles and allocates.
    if (runs > 0) best = Math.min(best, performance.now() - before);
    runs++;
  } while (runs < 2 || performance.now() - start < budgetMs);
  return Number((flops / best / 1e6).toPrecision(3));
}

/**
 * Measures the active backend: a 3x3 convolution of 33x33x128 pixels forward, its two gradients, and a matrix product.
 *
 * GFLOP/s on this machine as loaded as it is; the best of several runs.
 */
export async function measureBackend(options: MeasureOptions = {}): Promise<BackendSpeed> {
  const budgetMs = options.budgetMs ?? 300;
  const slow = tf.getBackend() === 'cpu';
  const [size, channels, order] = slow ? [17, 32, 128] : [33, 128, 384];
  const x: tf.Tensor4D = tf.randomUniform([1, size, size, channels], -1, 1, 'float32', 1);
  const filter: tf.Tensor4D = tf.randomUniform([3, 3, channels, channels], -1, 1, 'float32', 2);
  const a: tf.Tensor2D = tf.randomUniform([order, order], -1, 1, 'float32', 3);
  const b: tf.Tensor2D = tf.randomUniform([order, order], -1, 1, 'float32', 4);
  const pads: [number, number, number, number] = [1, 1, 1, 1];
  const geometry = { strides: [1, 1], pads, dilations: [1, 1] } as const;
  const mutable = geometry as unknown as Parameters<typeof conv2DInputGradient>[3];
  const convFlops = 2 * 9 * channels * channels * size * size;
  const speed: BackendSpeed = {
    convForward: await rate(() => tf.conv2d(x, filter, 1, 'same'), convFlops, budgetMs),
    convGradInput: await rate(() => conv2DInputGradient(x, filter, x.shape, mutable), convFlops, budgetMs),
    convGradFilter: await rate(() => conv2DFilterGradient(x, x, filter.shape, mutable), convFlops, budgetMs),
    matMul: await rate(() => tf.matMul(a, b), 2 * order ** 3, budgetMs),
  };
  tf.dispose([x, filter, a, b]);
  return speed;
}
