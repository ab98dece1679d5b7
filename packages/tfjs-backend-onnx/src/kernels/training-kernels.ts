import type { KernelConfig, TensorInfo } from '@tensorflow/tfjs-core';
import type { OnnxBackend } from '../onnx-backend.js';
import { CHUNK_FLOATS, simdWorkspace } from '../simd-workspace.js';
import { callKernel } from './call-kernel.js';
import { defineKernel } from './kernel.js';

/** Where the new values of a tensor go: into its own memory if nobody else can see it, else into fresh memory. */
function writable(backend: OnnxBackend, dataId: object): { before: Float32Array; after: Float32Array } {
  const before = backend.data.get(dataId).values as Float32Array;
  return {
    before,
    after: backend.arrays.owns(before) ? before : backend.arrays.take('float32', before.length),
  };
}

/**
 * SGD with momentum and decay on the memory of a variable and its velocity: d = g + decay w; v = momentum v + d;
 * w = w - rate v. Both inputs change in place, so it is to be called directly, never through the engine.
 *
 * Returns an empty list, or null when it did nothing because another tensor shares their memory.
 */
const sgd = defineKernel<
  { variable: TensorInfo; velocity?: TensorInfo; gradient: TensorInfo },
  { momentum: number; weightDecay: number; rate: number }
>('AuxSgd', ({ inputs, attrs, backend }) => {
  const { variable, velocity, gradient } = inputs;
  const targets = velocity ? [variable, velocity] : [variable];
  const plain = [...targets, gradient].every(
    ({ dtype, dataId }) =>
      dtype === 'float32' && backend.floats({ dataId } as TensorInfo) === backend.data.get(dataId).values,
  );
  if (!plain || targets.some(({ dataId }) => backend.refCount(dataId) !== 1)) return null as never;
  const gradients = backend.floats(gradient);
  const w = writable(backend, variable.dataId);
  const v = velocity && writable(backend, velocity.dataId);
  const total = gradients.length;
  const piece = Math.min(total, CHUNK_FLOATS);
  const { kernels, floats, offsets } = simdWorkspace(piece, piece, piece);
  const [wAt, vAt, gAt] = offsets;
  for (let start = 0; start < total; start += piece) {
    const end = Math.min(total, start + piece);
    const count = end - start;
    floats.set(w.before.subarray(start, end), wAt);
    if (v) floats.set(v.before.subarray(start, end), vAt);
    floats.set(gradients.subarray(start, end), gAt);
    kernels.sgd(4 * wAt, 4 * vAt, 4 * gAt, count, v ? attrs.momentum : 0, attrs.weightDecay, attrs.rate);
    w.after.set(floats.subarray(wAt, wAt + count), start);
    v?.after.set(floats.subarray(vAt, vAt + count), start);
  }
  backend.data.get(variable.dataId).values = w.after;
  if (v) backend.data.get(velocity.dataId).values = v.after;
  return [];
});

/** Probabilities below this have lost digits: their logarithm is taken from the logits. */
const SMALLEST_PROBABILITY = 1e-20;
/** Many probabilities share one logarithm, that of their product; one more factor keeps it far from the smallest double. */
const SMALLEST_PRODUCT = 1e-280;

/**
 * Softmax cross-entropy over the last axis, averaged over the rows whose label is not `ignoreLabel`, and its gradient.
 *
 * {logits [..., C], labels int32 [...]} -> [loss [], gradient [..., C]]; 0 where no row counts. Labels must be in range.
 */
const softmaxCrossEntropy = defineKernel<{ logits: TensorInfo; labels: TensorInfo }, { ignoreLabel: number }>(
  'AuxSoftmaxCrossEntropy',
  ({ inputs, attrs, backend }) => {
    const { ignoreLabel } = attrs;
    const logits = backend.floats(inputs.logits);
    const labels = backend.numbers(inputs.labels);
    const classes = inputs.logits.shape[inputs.logits.shape.length - 1];
    let count = 0;
    for (let row = 0; row < labels.length; row++) if (labels[row] !== ignoreLabel) count++;
    const scale = count > 0 ? 1 / count : 0;
    const gradient = callKernel(backend, 'Softmax', { logits: inputs.logits }, { dim: -1 });
    const values = backend.floats(gradient);
    let sum = 0;
    let product = 1;
    for (let row = 0, start = 0; row < labels.length; row++, start += classes) {
      if (labels[row] === ignoreLabel) continue;
      const chosen = start + labels[row];
      if (!(values[chosen] > SMALLEST_PROBABILITY)) {
        sum -= logProbability(logits, start, start + classes, chosen);
        continue;
      }
      product *= values[chosen];
      if (product < SMALLEST_PRODUCT) {
        sum -= Math.log(product);
        product = 1;
      }
    }
    sum -= Math.log(product);
    probabilitiesToGradient(values, labels, classes, ignoreLabel, scale);
    const loss = backend.allocate([], 'float32');
    loss.values[0] = sum * scale;
    return [loss.info, gradient];
  },
);

/** Turns softmax probabilities [rows, classes] into scale (p - onehot(label)), 0 where the label is `ignoreLabel`. */
function probabilitiesToGradient(
  values: Float32Array,
  labels: ArrayLike<number>,
  classes: number,
  ignoreLabel: number,
  scale: number,
): void {
  const piece = Math.max(1, Math.min(labels.length, Math.floor(CHUNK_FLOATS / classes)));
  const { kernels, floats, offsets } = simdWorkspace(piece * classes, piece);
  const integers = new Int32Array(floats.buffer);
  const labelsAt = offsets[1];
  for (let start = 0; start < labels.length; start += piece) {
    const rows = Math.min(piece, labels.length - start);
    const first = start * classes;
    floats.set(values.subarray(first, first + rows * classes));
    for (let row = 0; row < rows; row++) integers[labelsAt + row] = labels[start + row];
    kernels.crossEntropyGradient(0, 4 * labelsAt, rows, classes, ignoreLabel, scale);
    values.set(floats.subarray(0, rows * classes), first);
  }
}

function logProbability(logits: Float32Array, start: number, end: number, chosen: number): number {
  let highest = logits[start];
  for (let i = start + 1; i < end; i++) if (logits[i] > highest) highest = logits[i];
  let total = 0;
  for (let i = start; i < end; i++) total += Math.exp(logits[i] - highest);
  // In this order: the difference of two huge logits is exact, their logarithm would drown in either.
  return logits[chosen] - highest - Math.log(total);
}

/** What a training step needs besides its network: loss and update. */
export const trainingKernels: readonly KernelConfig[] = [sgd, softmaxCrossEntropy];
