import type { NamedTensor, TensorMap } from '@auxseg/formats';
import * as tf from '@tensorflow/tfjs-core';
import { TrainerError } from './trainer-error.js';
import type { Checkpoint, Optimizer } from './types.js';

/** Written into every checkpoint; another value means another layout of the file. */
export const CHECKPOINT_FORMAT = 'auxseg-trainer-1';

const VARIABLE_PREFIX = 'variable/';
const OPTIMIZER_PREFIX = 'optimizer/';

/** What must be the same in the run that wrote a checkpoint and the run that continues from it. */
export type RunIdentity = Readonly<Record<string, string>>;

/**
 * Reads variables and optimiser into a checkpoint; entries of `extra` are put in after them.
 *
 * @throws TrainerError NON_FINITE_VARIABLE, so that a diverged state never replaces a good one
 */
export async function createCheckpoint(options: {
  variables: readonly tf.Variable[];
  nameOf: (variable: tf.Variable) => string;
  optimizer: Optimizer;
  step: number;
  position: { epoch: number; batch: number };
  identity: RunIdentity;
  extra: TensorMap;
}): Promise<Checkpoint> {
  const { variables, nameOf, optimizer, step, position, identity, extra } = options;
  const tensors: TensorMap = new Map();
  for (const variable of variables) {
    const name = nameOf(variable);
    const data = Float32Array.from((await variable.data()) as Float32Array);
    const bad = data.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) {
      throw new TrainerError(
        'NON_FINITE_VARIABLE',
        `Expected finite weights after step ${step}, came ${data[bad]} in "${name}" [${variable.shape}] at index ${bad}; the checkpoint before it is kept: lower the learning rate and start again.`,
        { step, variable: name, index: bad, value: data[bad] },
      );
    }
    tensors.set(VARIABLE_PREFIX + name, { dtype: 'float32', shape: [...variable.shape], data });
  }
  for (const [key, tensor] of await optimizer.state()) tensors.set(OPTIMIZER_PREFIX + key, tensor);
  for (const [key, tensor] of extra) tensors.set(key, tensor);
  const metadata = {
    format: CHECKPOINT_FORMAT,
    ...identity,
    step: String(step),
    epoch: String(position.epoch),
    batch: String(position.batch),
  };
  return { tensors, metadata };
}

/**
 * Checks that a checkpoint belongs to this run and puts variables and optimiser back; returns the number of steps done.
 *
 * Everything is checked before anything is changed.
 * @throws TrainerError CHECKPOINT_MISMATCH, CHECKPOINT_CORRUPT
 */
export function restoreCheckpoint(
  checkpoint: Checkpoint,
  options: {
    variables: readonly tf.Variable[];
    nameOf: (variable: tf.Variable) => string;
    optimizer: Optimizer;
    identity: RunIdentity;
  },
): number {
  const { tensors, metadata } = checkpoint;
  const { variables, nameOf, optimizer, identity } = options;
  const step = Number(metadata.step);
  if (metadata.format !== CHECKPOINT_FORMAT || !Number.isInteger(step) || step < 0) {
    throw new TrainerError(
      'CHECKPOINT_CORRUPT',
      `Expected a checkpoint of format "${CHECKPOINT_FORMAT}" with a step count, came format "${metadata.format}" and step "${metadata.step}"; remove the file to start from the first step.`,
      { metadata },
    );
  }
  const differing = Object.keys(identity).filter((key) => metadata[key] !== identity[key]);
  if (differing.length > 0) {
    const list = differing.map((key) => `${key}: ${metadata[key]} there, ${identity[key]} here`).join('; ');
    throw new TrainerError(
      'CHECKPOINT_MISMATCH',
      `Expected the checkpoint of the same run, came one of another (${list}); use another output folder, or the settings it was started with.`,
      { differing, checkpoint: metadata, run: identity },
    );
  }
  const entries = new Map<string, NamedTensor>();
  const optimizerState: TensorMap = new Map();
  for (const [key, tensor] of tensors) {
    if (key.startsWith(VARIABLE_PREFIX)) entries.set(key.slice(VARIABLE_PREFIX.length), tensor);
    if (key.startsWith(OPTIMIZER_PREFIX)) optimizerState.set(key.slice(OPTIMIZER_PREFIX.length), tensor);
  }
  const names = variables.map(nameOf);
  const missing = names.filter((name) => !entries.has(name));
  const unexpected = [...entries.keys()].filter((name) => !names.includes(name));
  const wrongShape = variables
    .filter((variable) => {
      const entry = entries.get(nameOf(variable));
      return entry && !tf.util.arraysEqual(entry.shape, variable.shape);
    })
    .map(
      (variable) => `${nameOf(variable)}: [${entries.get(nameOf(variable))!.shape}] for [${variable.shape}]`,
    );
  if (missing.length + unexpected.length + wrongShape.length > 0) {
    throw new TrainerError(
      'CHECKPOINT_MISMATCH',
      `Expected a checkpoint of this network's ${names.length} variables, came one with ${missing.length} missing (${sample(missing)}), ${unexpected.length} unexpected (${sample(unexpected)}) and ${wrongShape.length} of another shape (${sample(wrongShape)}); was it written by another network?`,
      { missing, unexpected, wrongShape },
    );
  }
  optimizer.restore(optimizerState);
  for (const variable of variables) {
    const entry = entries.get(nameOf(variable))!;
    tf.tidy(() => {
      variable.assign(tf.tensor(Float32Array.from(entry.data as Float32Array), variable.shape, 'float32'));
    });
  }
  return step;
}

const SAMPLE_LENGTH = 4;

function sample(names: readonly string[]): string {
  if (names.length === 0) return 'none';
  return names.slice(0, SAMPLE_LENGTH).join(', ') + (names.length > SAMPLE_LENGTH ? ', ...' : '');
}
