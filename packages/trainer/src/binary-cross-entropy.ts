import * as tf from '@tensorflow/tfjs-core';
import { scaleSavedGradient, tensorsAreInHostMemory } from './host-memory.js';
import { TrainerError } from './trainer-error.js';

export interface BinaryCrossEntropyOptions {
  /** Leave elements with a negative target (crop padding) out of the mean; false by default. */
  ignoreNegative?: boolean;
}

/**
 * Binary cross-entropy of logits against targets in 0..1, averaged over all elements that count; 0 when none does.
 *
 * `logits` and `targets` have the same shape, any rank, float32. Stable for any finite logit:
 * `max(x,0) - x t + ln(1 + e^-|x|)`. The gradient flows to the logits only. Returns a scalar, the caller's to dispose.
 * Source: L_sal of the paper (method.md 3), `torch.nn.functional.binary_cross_entropy_with_logits`.
 * @throws TrainerError SHAPE_MISMATCH
 */
export function binaryCrossEntropyWithLogits(
  logits: tf.Tensor,
  targets: tf.Tensor,
  options: BinaryCrossEntropyOptions = {},
): tf.Scalar {
  assertSameShape(logits, targets);
  const { ignoreNegative = false } = options;
  const forward = tensorsAreInHostMemory() ? hostForward : deviceForward;
  const loss = tf.customGrad((x, save) =>
    forward(x as tf.Tensor, targets, ignoreNegative, save as tf.GradSaveFunc),
  );
  return loss(logits) as tf.Scalar;
}

/** Far from the largest double, 2^1024. */
const LARGE = 2 ** 512;

interface CustomGradient {
  value: tf.Tensor;
  gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.Tensor;
}

function hostForward(
  logits: tf.Tensor,
  targets: tf.Tensor,
  ignoreNegative: boolean,
  save: tf.GradSaveFunc,
): CustomGradient {
  const x = logits.dataSync();
  const t = targets.dataSync();
  const gradient = new Float32Array(x.length);
  let sum = 0;
  let count = 0;
  // One logarithm for many factors of at most 2: their product stays in range, and is exact to some 1e-13.
  let product = 1;
  for (let i = 0; i < x.length; i++) {
    if (ignoreNegative && t[i] < 0) continue;
    const e = Math.exp(-Math.abs(x[i]));
    sum += Math.max(x[i], 0) - x[i] * t[i];
    product *= 1 + e;
    if (product > LARGE) {
      sum += Math.log(product);
      product = 1;
    }
    gradient[i] = (x[i] >= 0 ? 1 : e) / (1 + e) - t[i];
    count++;
  }
  sum += Math.log(product);
  const scale = count > 0 ? 1 / count : 0;
  for (let i = 0; i < gradient.length; i++) gradient[i] *= scale;
  save([tf.tensor(gradient, logits.shape, 'float32')]);
  return {
    value: tf.scalar(sum * scale),
    gradFunc: (dy, [saved]) => scaleSavedGradient(dy, saved),
  };
}

function deviceForward(
  logits: tf.Tensor,
  targets: tf.Tensor,
  ignoreNegative: boolean,
  save: tf.GradSaveFunc,
): CustomGradient {
  const elements = elementwiseBinaryCrossEntropy(logits, targets);
  const scale = meanWeights(targets, ignoreNegative);
  save([tf.mul(tf.sub(tf.sigmoid(logits), targets), scale)]);
  return {
    value: tf.sum(tf.mul(elements, scale)),
    gradFunc: (dy, [saved]) => tf.mul(saved, dy),
  };
}

/**
 * The same loss composed of plain operations with their own gradients: slow, and what the tests compare with.
 *
 * @throws TrainerError SHAPE_MISMATCH
 */
export function binaryCrossEntropyWithLogitsReference(
  logits: tf.Tensor,
  targets: tf.Tensor,
  options: BinaryCrossEntropyOptions = {},
): tf.Scalar {
  assertSameShape(logits, targets);
  return tf.tidy(() => {
    const elements = elementwiseBinaryCrossEntropy(logits, targets);
    return tf.sum(tf.mul(elements, meanWeights(targets, options.ignoreNegative ?? false))) as tf.Scalar;
  });
}

function elementwiseBinaryCrossEntropy(logits: tf.Tensor, targets: tf.Tensor): tf.Tensor {
  const softplus = tf.log1p(tf.exp(tf.neg(tf.abs(logits))));
  return tf.add(tf.sub(tf.relu(logits), tf.mul(logits, targets)), softplus);
}

/** One over the number of elements that count, 0 for the others. */
function meanWeights(targets: tf.Tensor, ignoreNegative: boolean): tf.Tensor {
  if (!ignoreNegative) return tf.scalar(1 / targets.size);
  const mask = tf.cast(tf.greaterEqual(targets, 0), 'float32');
  return tf.div(mask, tf.maximum(tf.sum(mask), 1));
}

function assertSameShape(logits: tf.Tensor, targets: tf.Tensor): void {
  if (tf.util.arraysEqual(logits.shape, targets.shape)) return;
  throw new TrainerError(
    'SHAPE_MISMATCH',
    `Expected targets of the logits' shape [${logits.shape}], came [${targets.shape}]; resize or reshape one of them first.`,
    { logits: logits.shape, targets: targets.shape },
  );
}
