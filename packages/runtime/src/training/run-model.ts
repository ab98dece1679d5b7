import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { RuntimeError } from '../errors.js';
import { tapeEngine } from './backpropagate.js';
import { recompute } from './recompute.js';

/** Options of {@link runModel}. */
export interface RunModelOptions {
  /** Passed to every layer. Default false. */
  training?: boolean;
  /**
   * Names of layers whose outputs are kept; between two of them nothing is, and the backward pass computes it again.
   * Only in training. Default: none, everything is kept that a gradient needs.
   */
  recomputeBetween?: readonly string[];
  /** True if gradients with respect to the model's inputs are wanted. Default false: what only they need is not kept. */
  differentiateInputs?: boolean;
}

/** One call of a layer in the model. */
interface Step {
  layer: tfl.layers.Layer;
  inputs: tfl.SymbolicTensor[];
  outputs: tfl.SymbolicTensor[];
}

interface LayerNode {
  inputTensors: tfl.SymbolicTensor[];
  outputTensors: tfl.SymbolicTensor[];
}

const plans = new WeakMap<tfl.LayersModel, Step[]>();

/** The model's layer calls in an order in which each finds its inputs. */
function planOf(model: tfl.LayersModel): Step[] {
  const known = plans.get(model);
  if (known != null) return known;
  const steps: Step[] = [];
  const done = new Set<string>(model.inputs.map((input) => input.name));
  const visited = new Set<LayerNode>();
  // A stack of our own: deep networks would overflow a recursion.
  const stack: { tensor: tfl.SymbolicTensor; expanded: boolean }[] = [...model.outputs]
    .reverse()
    .map((tensor) => ({ tensor, expanded: false }));
  while (stack.length > 0) {
    const { tensor, expanded } = stack.pop()!;
    if (done.has(tensor.name)) continue;
    const node = tensor.sourceLayer.inboundNodes[tensor.nodeIndex] as unknown as LayerNode;
    if (expanded) {
      steps.push({ layer: tensor.sourceLayer, inputs: node.inputTensors, outputs: node.outputTensors });
      for (const output of node.outputTensors) done.add(output.name);
    } else if (!visited.has(node)) {
      visited.add(node);
      stack.push({ tensor, expanded: true });
      for (const input of [...node.inputTensors].reverse()) stack.push({ tensor: input, expanded: false });
    }
  }
  plans.set(model, steps);
  return steps;
}

/** Runs `work` without recording it, so that it keeps nothing for a backward pass. */
function unrecorded<T>(work: () => T): T {
  const { state } = tapeEngine();
  state.kernelDepth++;
  try {
    return work();
  } finally {
    state.kernelDepth--;
  }
}

const trainableVariables = (layer: tfl.layers.Layer) =>
  layer.trainableWeights.map((weight) => weight.read() as tf.Variable);

/** Runs steps on values by symbolic name, dropping each value after its last use unless it is in `keep`. */
function runSteps(
  steps: readonly Step[],
  values: Map<string, tf.Tensor>,
  keep: ReadonlySet<string>,
  call: (step: Step, inputs: tf.Tensor[]) => tf.Tensor[],
): void {
  const uses = new Map<string, number>();
  for (const { inputs } of steps) {
    for (const { name } of inputs) uses.set(name, (uses.get(name) ?? 0) + 1);
  }
  for (const step of steps) {
    const results = call(
      step,
      step.inputs.map(({ name }) => values.get(name)!),
    );
    step.outputs.forEach(({ name }, i) => {
      if (keep.has(name) || uses.has(name)) values.set(name, results[i]);
      else results[i].dispose();
    });
    for (const { name } of step.inputs) {
      const left = uses.get(name)! - 1;
      uses.set(name, left);
      if (left > 0 || keep.has(name)) continue;
      values.get(name)?.dispose();
      values.delete(name);
    }
  }
}

function callLayer(step: Step, inputs: tf.Tensor[], training: boolean): tf.Tensor[] {
  const result = step.layer.apply(inputs.length === 1 ? inputs[0] : inputs, { training });
  return (Array.isArray(result) ? result : [result]) as tf.Tensor[];
}

/** The steps cut into runs that end with a step of a named layer; what follows the last cut is a run too. */
function segmentsOf(steps: readonly Step[], cuts: ReadonlySet<string>): Step[][] {
  const segments: Step[][] = [[]];
  for (const step of steps) {
    segments[segments.length - 1].push(step);
    if (cuts.has(step.layer.name)) segments.push([]);
  }
  return segments.filter((segment) => segment.length > 0);
}

function checkNames(model: tfl.LayersModel, names: readonly string[]): void {
  const known = new Set(model.layers.map((layer) => layer.name));
  const unknown = names.filter((name) => !known.has(name));
  if (unknown.length === 0) return;
  throw new RuntimeError(
    'unknown-layer',
    `Expected recomputeBetween to name layers of model "${model.name}"; it has no ${unknown.join(', ')}.`,
    { unknown },
  );
}

/**
 * Runs a model as `model.apply` does, keeping no more than a gradient needs.
 *
 * `model.apply` in training holds the output of every layer until all have run. Here an output goes after its last use;
 * layers that no trainable weight lies before are not recorded at all, so a frozen part keeps nothing; and on request
 * whole stretches are computed again in the backward pass instead of being kept.
 *
 * @param inputs one tensor per model input
 * @returns one tensor per model output, in order; the caller disposes them
 * @throws RuntimeError `bad-model-input` or `unknown-layer`
 */
export function runModel(
  model: tfl.LayersModel,
  inputs: tf.Tensor | readonly tf.Tensor[],
  options: RunModelOptions = {},
): tf.Tensor[] {
  const given = Array.isArray(inputs) ? (inputs as readonly tf.Tensor[]) : [inputs as tf.Tensor];
  if (given.length !== model.inputs.length) {
    throw new RuntimeError(
      'bad-model-input',
      `Expected ${model.inputs.length} inputs for model "${model.name}", got ${given.length}.`,
      { expected: model.inputs.length, got: given.length },
    );
  }
  const { training = false, recomputeBetween = [], differentiateInputs = false } = options;
  checkNames(model, recomputeBetween);
  const steps = planOf(model);
  const outputNames = model.outputs.map((output) => output.name);
  return tf.tidy(() => {
    const values = new Map<string, tf.Tensor>();
    model.inputs.forEach((input, i) => {
      values.set(input.name, given[i]);
    });
    // What must not be disposed on the way: the caller's inputs and the results.
    const keep = new Set([...model.inputs.map((input) => input.name), ...outputNames]);
    const differentiable = new Set(differentiateInputs ? model.inputs.map((input) => input.name) : []);
    for (const { layer, inputs: from, outputs } of steps) {
      if (layer.trainableWeights.length === 0 && !from.some(({ name }) => differentiable.has(name))) continue;
      for (const { name } of outputs) differentiable.add(name);
    }
    const plain = (step: Step, tensors: tf.Tensor[]) =>
      step.outputs.some(({ name }) => differentiable.has(name))
        ? callLayer(step, tensors, training)
        : unrecorded(() => callLayer(step, tensors, training));
    if (!training || recomputeBetween.length === 0) {
      runSteps(steps, values, keep, plain);
    } else {
      const segments = segmentsOf(steps, new Set(recomputeBetween));
      runSegments({ segments, values, keep, plain, differentiable });
    }
    return outputNames.map((name) => {
      const value = values.get(name)!;
      // A model may hand an input through, or the same tensor out twice.
      return given.includes(value) || outputNames.indexOf(name) !== outputNames.lastIndexOf(name)
        ? tf.clone(value)
        : value;
    });
  });
}

interface SegmentRun {
  segments: readonly Step[][];
  values: Map<string, tf.Tensor>;
  keep: ReadonlySet<string>;
  plain: (step: Step, tensors: tf.Tensor[]) => tf.Tensor[];
  differentiable: ReadonlySet<string>;
}

/** Runs segment by segment; all but the last, and but those that no gradient passes, keep their inputs only. */
function runSegments({ segments, values, keep, plain, differentiable }: SegmentRun): void {
  segments.forEach((segment, index) => {
    const later = segments.slice(index + 1).flat();
    const usedLater = new Set(later.flatMap((step) => step.inputs.map((input) => input.name)));
    const produced = new Set(segment.flatMap((step) => step.outputs.map((output) => output.name)));
    const read = new Set(segment.flatMap((step) => step.inputs.map((input) => input.name)));
    const needed = [...read].filter((name) => !produced.has(name));
    const results = [...produced].filter((name) => keep.has(name) || usedLater.has(name));
    if (index === segments.length - 1 || !results.some((name) => differentiable.has(name))) {
      runSteps(segment, values, new Set([...keep, ...usedLater]), plain);
      return;
    }
    const run = (tensors: tf.Tensor[]): tf.Tensor[] => {
      const local = new Map(needed.map((name, i) => [name, tensors[i]]));
      runSteps(segment, local, new Set([...needed, ...results]), plain);
      return results.map((name) => local.get(name)!);
    };
    const variables = [...new Set(segment.map((step) => step.layer))].flatMap(trainableVariables);
    const given = needed.map((name) => values.get(name)!);
    recompute(run, given, variables).forEach((output, i) => {
      values.set(results[i], output);
    });
    for (const name of needed) {
      if (keep.has(name) || usedLater.has(name)) continue;
      values.get(name)?.dispose();
      values.delete(name);
    }
  });
}
