import {
  auxSegLosses,
  forwardForTraining,
  type NetworkConfig,
  type OfficialLoadReport,
  type OutputName,
  runNetwork,
} from '@auxseg/auxsegnet';
import { pyTorchPlace, toPyTorch } from '@auxseg/backbone';
import type { TensorMap } from '@auxseg/formats';
import * as tf from '@tensorflow/tfjs-core';
import { CliUsageError } from './cli-error.js';
import { networkFromOfficialTensors } from './official-weights.js';

/** How far our network is from what PyTorch recorded. */
export interface VerifyResult {
  /** max|ours - reference| / max|reference| by `<tag>_<output>`. */
  outputs: Record<string, number>;
  /** The same over the five losses; null when none were recorded. */
  losses: number | null;
  gradients: { count: number; worst: { name: string; relNormError: number } } | null;
}

const comparable: readonly OutputName[] = [
  'classification',
  'cam',
  'initialSaliency',
  'refinedSaliency',
  'initialSegmentation',
  'refinedSegmentation',
  'affinity',
];
/** What the losses are computed against, and they themselves. */
const lossArrays = ['labels', 'salTarget', 'segTarget', 'losses'];
/** Order of the recorded `losses` [5]. */
const lossOrder = [
  'classification',
  'saliencyInitial',
  'saliencyRefined',
  'segmentationInitial',
  'segmentationRefined',
];

/**
 * Gradients smaller than this share of the largest one's norm are compared on that scale: some are zero in exact arithmetic
 * (a bias of phi adds the same number to a whole row before its softmax), and what is recorded of them is rounding.
 */
const NEGLIGIBLE = 1e-5;

/** A result, and what it is about. */
export interface Verification extends VerifyResult {
  report: OfficialLoadReport;
  /** Recorded arrays and gradients that are none of this network's. */
  notCompared: string[];
}

/**
 * Runs the network on the recorded inputs and compares (formats: docs/formats.md, "Recorded references").
 *
 * @throws CliUsageError for recorded arrays that lack, have another shape, or hold NaN
 */
export function verifyWeights(input: {
  weights: TensorMap;
  reference: TensorMap;
  gradients: TensorMap | null;
  base: NetworkConfig;
  source: string;
  strict: boolean;
}): Verification {
  // Dropout is off where gradients are recorded.
  const base = {
    ...input.base,
    backbone: { ...input.base.backbone, dropout: false },
    head: { ...input.base.head, dropout: 0 },
  };
  const { network, report } = networkFromOfficialTensors(input.weights, base, input);
  const { reference } = input;
  const tags = [...reference.keys()].filter((name) => name.endsWith('_x')).map((name) => name.slice(0, -2));
  if (tags.length === 0) {
    throw new CliUsageError(
      `Expected inputs named <tag>_x in the reference, found ${[...reference.keys()].join(', ')}.`,
    );
  }
  const known = new Set([
    ...lossArrays,
    ...tags.flatMap((tag) => ['x', ...comparable].map((name) => `${tag}_${name}`)),
  ]);
  const outputs: Record<string, number> = {};
  for (const tag of tags) {
    tf.tidy(() => {
      const names = comparable.filter(
        (name) => reference.has(`${tag}_${name}`) && network.outputs.includes(name),
      );
      const results = runNetwork(network, imageOf(reference, tag), names);
      // A network without affinity has no such output; what was recorded must then not be passed over in silence.
      const absent = comparable.filter((name) => reference.has(`${tag}_${name}`) && !names.includes(name));
      if (absent.length > 0) {
        throw new CliUsageError(
          `Expected recorded outputs that this network has (${network.outputs.join(', ')}), got ${absent.join(', ')} for tag ${tag}.`,
        );
      }
      for (const name of names) {
        const ours = toChannelsFirst(results[name]);
        outputs[`${tag}_${name}`] = maxRelativeError(
          ours.dataSync() as Float32Array,
          floats(reference, `${tag}_${name}`, ours.shape),
        );
      }
    });
  }
  if (Object.keys(outputs).length === 0 && !reference.has('losses')) {
    throw new CliUsageError(
      `Expected recorded outputs such as ${tags[0]}_cam beside ${tags[0]}_x, found ${[...reference.keys()].join(', ')}.`,
    );
  }
  const gradients = input.gradients;
  const parameters = new Map(
    network.model.weights.map(({ originalName, shape }) => {
      const place = pyTorchPlace(originalName, shape as number[])!;
      return [place.name, place.shape];
    }),
  );
  const result: Verification = {
    outputs,
    losses: null,
    gradients: null,
    report,
    notCompared: [
      ...[...reference.keys()].filter((name) => !known.has(name)),
      ...[...(gradients?.keys() ?? [])].filter((name) => !parameters.has(name)),
    ],
  };
  if (!reference.has('losses') && gradients === null) return result;
  tf.tidy(() => {
    const tag = tags.includes('a') ? 'a' : tags[0];
    const images = imageOf(reference, tag);
    const [n, height, width] = images.shape;
    const targets = {
      labels: tf.tensor2d(floats(reference, 'labels', [n, network.numClasses]), [n, network.numClasses]),
      // Saliency targets are binarised at 0.5 (method facts, section 3).
      saliency: tf.tensor4d(
        floats(reference, 'salTarget', [n, 1, height, width]).map((p) => (p >= 0.5 ? 1 : 0)),
        [n, height, width, 1],
      ),
      segmentation: tf.tensor3d(
        Int32Array.from(floats(reference, 'segTarget', [n, height, width])),
        [n, height, width],
        'int32',
      ),
    };
    const computeLosses = (outputs: ReturnType<typeof forwardForTraining>) => {
      const computed = auxSegLosses(outputs, targets, { classification: 1, saliency: 1, segmentation: 1 });
      if (reference.has('losses')) {
        const recorded = floats(reference, 'losses', [lossOrder.length]);
        // Without an affinity map the refined losses are the initial ones.
        const part = (name: string) =>
          computed.parts[name] ?? computed.parts[name.replace('Refined', 'Initial')];
        const ours = Float32Array.from(lossOrder, (name) => part(name).dataSync()[0]);
        result.losses = maxRelativeError(ours, recorded);
      }
      return computed.total;
    };
    if (gradients === null) {
      // Inference gives the same numbers as training without dropout, in a third of the memory.
      computeLosses(runNetwork(network, images, network.outputs));
      return;
    }
    const variables = network.model.trainableWeights.map((weight) => weight.read() as tf.Variable);
    const { grads } = tf.variableGrads(() => computeLosses(forwardForTraining(network, images)), variables);
    const recorded = new Map(
      [...gradients.keys()]
        .filter((name) => parameters.has(name))
        .map((name) => [name, floats(gradients, name, parameters.get(name)!)]),
    );
    const largest = Math.max(...[...recorded.values()].map(norm));
    let count = 0;
    let worst = { name: '', relNormError: 0 };
    for (const weight of network.model.trainableWeights) {
      const variable = weight.read() as tf.Variable;
      const ours = toPyTorch({
        name: weight.originalName,
        shape: variable.shape,
        data: grads[variable.name].dataSync() as Float32Array,
      })!;
      const reference = recorded.get(ours.name);
      if (reference === undefined) continue;
      count++;
      const error = relativeNormError(ours.data, reference, largest * NEGLIGIBLE);
      if (error >= worst.relNormError) worst = { name: ours.name, relNormError: error };
    }
    if (count === 0)
      throw new CliUsageError("Expected gradients under the authors' parameter names, found none of them.");
    result.gradients = { count, worst };
  });
  return result;
}

function imageOf(reference: TensorMap, tag: string): tf.Tensor4D {
  const { shape } = reference.get(`${tag}_x`)!;
  if (shape.length !== 4 || shape[1] !== 3) {
    throw new CliUsageError(`Expected ${tag}_x to be [N,3,H,W], got [${shape}].`);
  }
  return tf.transpose(
    tf.tensor4d(floats(reference, `${tag}_x`), shape as [number, number, number, number]),
    [0, 2, 3, 1],
  );
}

function toChannelsFirst(x: tf.Tensor): tf.Tensor {
  return x.rank === 4 ? tf.transpose(x, [0, 3, 1, 2]) : x;
}

/** A recorded array; its shape may differ from the expected one by axes of length 1. */
function floats(tensors: TensorMap, name: string, shape?: readonly number[]): Float32Array {
  const found = tensors.get(name);
  if (found === undefined)
    throw new CliUsageError(`Expected an array '${name}' in the recorded file, found none.`);
  const essential = (sizes: readonly number[]) => sizes.filter((size) => size !== 1).join();
  if (shape !== undefined && essential(found.shape) !== essential(shape)) {
    throw new CliUsageError(
      `Expected the recorded '${name}' to be [${shape.join(', ')}] for these weights and this input, got [${found.shape.join(', ')}].`,
    );
  }
  const values = Float32Array.from(found.data as ArrayLike<number | bigint>, Number);
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) {
    throw new CliUsageError(
      `Expected finite numbers in the recorded '${name}', got ${values[bad]} at ${bad}: nothing can be compared with it. Did the network that was recorded diverge?`,
    );
  }
  return values;
}

function maxRelativeError(ours: Float32Array, reference: Float32Array): number {
  let error = 0;
  let largest = 0;
  for (let i = 0; i < ours.length; i++) {
    error = Math.max(error, Math.abs(ours[i] - reference[i]));
    largest = Math.max(largest, Math.abs(reference[i]));
  }
  return beyondAll(error / Math.max(largest, Number.MIN_VALUE));
}

function relativeNormError(ours: Float32Array, reference: Float32Array, floor: number): number {
  const difference = norm(ours.map((value, i) => value - reference[i]));
  return beyondAll(difference / Math.max(norm(reference), floor, Number.MIN_VALUE));
}

/** NaN, which no comparison finds too large, as an error that every tolerance does. */
function beyondAll(error: number): number {
  return Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
}

function norm(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return Math.sqrt(sum);
}
