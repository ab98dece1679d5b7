import { fusedSoftmaxCrossEntropy } from '@auxseg/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { scaleSavedGradient, tensorsAreInHostMemory } from './host-memory.js';
import { TrainerError } from './trainer-error.js';

/** The label that is left out of loss and evaluation, as in VOC's masks. */
export const DEFAULT_IGNORE_LABEL = 255;

/**
 * Softmax cross-entropy per pixel, averaged over the pixels whose label is not `ignoreLabel`; 0 when there is none.
 *
 * `logits` [N,H,W,C] float32, `labels` [N,H,W] int32 in 0..C-1 or `ignoreLabel`. The gradient flows to the logits only
 * and costs no one-hot or gather: on backends in host memory forward and gradient are one pass over the logits.
 * Returns a scalar, the caller's to dispose.
 * Source: L_seg of the paper (method.md 3), `torch.nn.functional.cross_entropy(ignore_index=255)`, which gives NaN where
 * this gives 0.
 * @throws TrainerError SHAPE_MISMATCH; BAD_LABEL for a label out of range (host-memory backends only: elsewhere such
 *   a pixel counts as probability 1 and has no gradient towards any class)
 */
export function softmaxCrossEntropyWithIgnore(
  logits: tf.Tensor4D,
  labels: tf.Tensor3D,
  ignoreLabel: number = DEFAULT_IGNORE_LABEL,
): tf.Scalar {
  assertShapes(logits, labels);
  const forward = tensorsAreInHostMemory() ? hostForward : deviceForward;
  const loss = tf.customGrad((x, save) =>
    forward(x as tf.Tensor4D, labels, ignoreLabel, save as tf.GradSaveFunc),
  );
  return loss(logits) as tf.Scalar;
}

interface CustomGradient {
  value: tf.Tensor;
  gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.Tensor;
}

function hostForward(
  logits: tf.Tensor4D,
  labels: tf.Tensor3D,
  ignoreLabel: number,
  save: tf.GradSaveFunc,
): CustomGradient {
  const y = labels.dataSync();
  const numClasses = logits.shape[3];
  let count = 0;
  for (let pixel = 0; pixel < y.length; pixel++) {
    const label = y[pixel];
    if (label === ignoreLabel) continue;
    if (!(label >= 0 && label < numClasses)) throw badLabel(logits, label, pixel, ignoreLabel);
    count++;
  }
  const fused = fusedSoftmaxCrossEntropy(logits, labels, ignoreLabel);
  if (fused !== null) {
    save([fused.gradient]);
    return { value: fused.loss, gradFunc: (dy, [saved]) => scaleSavedGradient(dy, saved) };
  }
  const scale = count > 0 ? 1 / count : 0;
  const x = logits.dataSync() as Float32Array;
  const gradient = new Float32Array(x.length);
  let sum = 0;
  for (let pixel = 0, start = 0; pixel < y.length; pixel++, start += numClasses) {
    const label = y[pixel];
    if (label === ignoreLabel) continue;
    const end = start + numClasses;
    let highest = x[start];
    for (let i = start + 1; i < end; i++) if (x[i] > highest) highest = x[i];
    let total = 0;
    for (let i = start; i < end; i++) total += gradient[i] = Math.exp(x[i] - highest);
    const factor = scale / total;
    for (let i = start; i < end; i++) gradient[i] *= factor;
    gradient[start + label] -= scale;
    // In this order: the difference of two huge logits is exact, their logarithm would drown in either.
    sum += Math.log(total) - (x[start + label] - highest);
  }
  save([tf.tensor(gradient, logits.shape, 'float32')]);
  return {
    value: tf.scalar(sum * scale),
    gradFunc: (dy, [saved]) => scaleSavedGradient(dy, saved),
  };
}

function deviceForward(
  logits: tf.Tensor4D,
  labels: tf.Tensor3D,
  ignoreLabel: number,
  save: tf.GradSaveFunc,
): CustomGradient {
  const numClasses = logits.shape[3];
  const mask = tf.cast(tf.notEqual(labels, tf.scalar(ignoreLabel, 'int32')), 'float32');
  const scale = tf.expandDims(tf.div(mask, tf.maximum(tf.sum(mask), 1)), -1);
  const classes = tf.reshape(tf.range(0, numClasses, 1, 'int32'), [1, 1, 1, numClasses]);
  const chosen = tf.cast(tf.equal(tf.expandDims(labels, -1), classes), 'float32');
  const logProbabilities = tf.logSoftmax(logits, -1);
  save([tf.mul(tf.sub(tf.exp(logProbabilities), chosen), scale)]);
  return {
    value: tf.sum(tf.mul(tf.mul(logProbabilities, chosen), tf.neg(scale))),
    gradFunc: (dy, [saved]) => tf.mul(saved, dy),
  };
}

/**
 * The same loss composed of plain operations with their own gradients: slow, and what the tests compare with.
 *
 * @throws TrainerError SHAPE_MISMATCH
 */
export function softmaxCrossEntropyWithIgnoreReference(
  logits: tf.Tensor4D,
  labels: tf.Tensor3D,
  ignoreLabel: number = DEFAULT_IGNORE_LABEL,
): tf.Scalar {
  assertShapes(logits, labels);
  return tf.tidy(() => {
    const mask = tf.cast(tf.notEqual(labels, tf.scalar(ignoreLabel, 'int32')), 'float32');
    const oneHot = tf.oneHot(labels, logits.shape[3]);
    const losses = tf.neg(tf.sum(tf.mul(tf.logSoftmax(logits, -1), oneHot), -1));
    return tf.div(tf.sum(tf.mul(losses, mask)), tf.maximum(tf.sum(mask), 1)) as tf.Scalar;
  });
}

function assertShapes(logits: tf.Tensor4D, labels: tf.Tensor3D): void {
  if (logits.rank === 4 && tf.util.arraysEqual(logits.shape.slice(0, 3), labels.shape)) return;
  throw new TrainerError(
    'SHAPE_MISMATCH',
    `Expected logits [N,H,W,C] and labels [N,H,W], came [${logits.shape}] and [${labels.shape}]; upsample the logits to the labels' size first.`,
    { logits: logits.shape, labels: labels.shape },
  );
}

function badLabel(logits: tf.Tensor4D, label: number, pixel: number, ignoreLabel: number): TrainerError {
  const [, height, width, numClasses] = logits.shape;
  const position = {
    image: Math.floor(pixel / (height * width)),
    y: Math.floor(pixel / width) % height,
    x: pixel % width,
  };
  return new TrainerError(
    'BAD_LABEL',
    `Expected labels 0..${numClasses - 1} or ${ignoreLabel} (ignore), came ${label} at x=${position.x}, y=${position.y} of image ${position.image} of the batch; does the label map belong to this list of classes?`,
    { label, numClasses, ignoreLabel, ...position },
  );
}
