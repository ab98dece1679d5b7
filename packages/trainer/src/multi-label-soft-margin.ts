import type * as tf from '@tensorflow/tfjs-core';
import { binaryCrossEntropyWithLogits } from './binary-cross-entropy.js';
import { TrainerError } from './trainer-error.js';

/**
 * Multi-label soft margin loss: the binary cross-entropy of each class, averaged over classes and then over the batch.
 *
 * `logits` and `labels` are [N,K] float32, labels multi-hot 0/1. All rows having the same length, the two averages
 * are one. Returns a scalar, the caller's to dispose.
 * Source: L_cls of the paper (method.md 3), `torch.nn.functional.multilabel_soft_margin_loss`.
 * @throws TrainerError SHAPE_MISMATCH
 */
export function multiLabelSoftMarginLoss(logits: tf.Tensor2D, labels: tf.Tensor2D): tf.Scalar {
  if (logits.rank !== 2) {
    throw new TrainerError(
      'SHAPE_MISMATCH',
      `Expected logits [N,K], came [${logits.shape}]; pool the spatial axes first.`,
      { logits: logits.shape },
    );
  }
  return binaryCrossEntropyWithLogits(logits, labels);
}
