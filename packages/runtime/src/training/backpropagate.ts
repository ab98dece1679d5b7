import * as tf from '@tensorflow/tfjs-core';

/** One recorded operation, as tfjs's engine keeps it. */
export interface TapeNode {
  kernelName: string;
  inputs: Record<string, tf.Tensor>;
  outputs: tf.Tensor[];
  saved: tf.Tensor[];
  gradient?: (dys: (tf.Tensor | null)[]) => Record<string, () => tf.Tensor>;
}

/** What we use of tfjs's engine beyond its public face; held by tests. */
export interface TapeEngine {
  state: { activeTape: TapeNode[] | null; gradientDepth: number; kernelDepth: number };
  startTape(): void;
  endTape(): void;
}

/** The engine with its tape. */
export const tapeEngine = (): TapeEngine => tf.engine() as unknown as TapeEngine;

/** Names of the inputs whose gradient is wanted of the node in work; null outside our own backward pass. */
let requestedInputs: ReadonlySet<string> | null = null;

/** Whether the gradient of this input of the node in work is wanted; true where nobody said otherwise. */
export function isRequested(inputName: string): boolean {
  return requestedInputs == null || requestedInputs.has(inputName);
}

/** Runs `forward` and returns its result with what was recorded; the caller disposes the saved tensors. */
export function record<T extends tf.TensorContainer>(forward: () => T): { result: T; tape: TapeNode[] } {
  const engine = tapeEngine();
  const outer = engine.state.activeTape;
  engine.startTape();
  try {
    const result = tf.tidy('forward', forward) as T;
    return { result, tape: engine.state.activeTape ?? [] };
  } finally {
    engine.endTape();
    engine.state.activeTape = outer;
  }
}

interface PlannedNode {
  node: TapeNode;
  inputNames: string[];
}

function disposeSaved(node: TapeNode): void {
  for (const tensor of node.saved) tensor.dispose();
  node.saved = [];
}

/** The nodes on a path from a source to a seeded tensor, with the inputs that lie on one. */
function planned(tape: TapeNode[], sources: ReadonlySet<number>, seeds: ReadonlySet<number>): PlannedNode[] {
  const fromSources = new Set(sources);
  const touched = tape.map((node) => {
    const inputNames = Object.keys(node.inputs).filter((name) => fromSources.has(node.inputs[name].id));
    if (inputNames.length > 0) for (const output of node.outputs) fromSources.add(output.id);
    return inputNames;
  });
  const towardsSeeds = new Set(seeds);
  const plan: PlannedNode[] = [];
  for (let i = tape.length - 1; i >= 0; i--) {
    const node = tape[i];
    const leads = node.outputs.some((output) => towardsSeeds.has(output.id));
    if (leads) for (const name of Object.keys(node.inputs)) towardsSeeds.add(node.inputs[name].id);
    if (leads && touched[i].length > 0) plan.push({ node, inputNames: touched[i] });
    else disposeSaved(node);
  }
  return plan;
}

/** Gradients of the inputs of one node, each a tensor of its own. */
function nodeGradients({ node, inputNames }: PlannedNode, dys: (tf.Tensor | null)[]): tf.Tensor[] {
  const outer = requestedInputs;
  requestedInputs = new Set(inputNames);
  try {
    return tf.tidy(() => {
      if (node.gradient == null) {
        throw new Error(`Cannot compute gradient: gradient function not found for ${node.kernelName}.`);
      }
      const gradients = node.gradient(dys);
      return inputNames.map((name) => {
        if (!(name in gradients)) {
          throw new Error(`Cannot backprop through input ${name} of ${node.kernelName}.`);
        }
        const gradient = tf.tidy(() => gradients[name]());
        const { shape } = node.inputs[name];
        if (gradient.dtype !== 'float32' || !tf.util.arraysEqual(gradient.shape, shape)) {
          throw new Error(
            `Expected the gradient of ${node.kernelName}'s input ${name} to be float32 [${shape}], ` +
              `got ${gradient.dtype} [${gradient.shape}].`,
          );
        }
        // A gradient may be dy itself or a tensor that somebody else owns: only a handle of our own may be disposed.
        return tf.clone(gradient);
      });
    });
  } finally {
    requestedInputs = outer;
  }
}

/**
 * Gradients of the seeded tensors with respect to `sources`, from a tape that is consumed on the way.
 *
 * tfjs keeps every saved tensor and every intermediate gradient until its backward pass ends. Here both go as soon as
 * the operation that they belong to is done, so that memory falls while the pass runs.
 *
 * @param seeds upstream gradients by the id of the tensor they belong to; not disposed
 * @returns one gradient per source, null where there is no path; the caller disposes them
 */
export function backpropagate(
  tape: TapeNode[],
  seeds: ReadonlyMap<number, tf.Tensor>,
  sources: readonly tf.Tensor[],
): (tf.Tensor | null)[] {
  const sourceIds = new Set(sources.map((source) => source.id));
  const plan = planned(tape, sourceIds, new Set(seeds.keys()));
  const gradients = new Map<number, tf.Tensor>();
  for (const [id, seed] of seeds) gradients.set(id, tf.clone(seed));
  for (const step of plan) {
    const { node, inputNames } = step;
    const dys = node.outputs.map((output) => gradients.get(output.id) ?? null);
    if (dys.some((dy) => dy != null)) {
      nodeGradients(step, dys).forEach((gradient, i) => {
        const { id } = node.inputs[inputNames[i]];
        const sum = gradients.get(id);
        if (sum == null) {
          gradients.set(id, gradient);
        } else {
          gradients.set(id, tf.add(sum, gradient));
          tf.dispose([sum, gradient]);
        }
      });
    }
    disposeSaved(node);
    for (const output of node.outputs) {
      if (sourceIds.has(output.id)) continue;
      gradients.get(output.id)?.dispose();
      gradients.delete(output.id);
    }
  }
  for (const [id, gradient] of gradients) if (!sourceIds.has(id)) gradient.dispose();
  const seen = new Set<number>();
  return sources.map((source) => {
    const gradient = gradients.get(source.id);
    if (gradient == null) return null;
    if (seen.has(source.id)) return tf.clone(gradient);
    seen.add(source.id);
    return gradient;
  });
}
