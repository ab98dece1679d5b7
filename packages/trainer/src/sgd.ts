import type { TensorMap } from '@auxseg/formats';
import { updateBySgd } from '@auxseg/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { TrainerError } from './trainer-error.js';
import type { Optimizer } from './types.js';

/** Variables that share a learning-rate factor and a weight decay. */
export interface ParameterGroup {
  /** Shown in errors. */
  name: string;
  variables: readonly tf.Variable[];
  /** Factor on the step's learning rate; 1 by default. */
  lrScale?: number;
  /** L2 decay added to the gradient; 0 by default. */
  weightDecay?: number;
}

export interface SgdOptions {
  groups: readonly ParameterGroup[];
  /** 0 keeps no buffers. The authors' code amounts to momentum 1e-5 and decay 0 (method.md 5). */
  momentum?: number;
  /** Name of a variable in the saved state; its own `name` by default. See `layerVariableNames`. */
  nameOf?: (variable: tf.Variable) => string;
}

const MOMENTUM_PREFIX = 'momentum/';

/**
 * Stochastic gradient descent with PyTorch's update rule, parameter groups and a state that can be saved.
 *
 * For gradient g: `d = g + weightDecay w; v = momentum v + d; w = w - lr lrScale v`, with v = 0 at the start. A variable
 * without a gradient in a step is left alone, decay and momentum included, as PyTorch does for `grad = None`.
 * Source: `torch.optim.SGD` (no dampening, no Nesterov).
 * @throws TrainerError BAD_OPTION for a variable in two groups, SHAPE_MISMATCH, CHECKPOINT_MISMATCH in `restore`
 */
export function createSgd(options: SgdOptions): Optimizer {
  const { groups, momentum = 0, nameOf = (variable) => variable.name } = options;
  const slots = collectSlots(groups, momentum, nameOf);
  const velocities = new Map<string, tf.Variable>();

  const setVelocity = (name: string, value: tf.Tensor): void => {
    const existing = velocities.get(name);
    if (existing) existing.assign(value);
    else velocities.set(name, tf.variable(value, false));
  };

  return {
    step(gradients, learningRate) {
      for (const [name, gradient] of Object.entries(gradients)) {
        const slot = slots.get(name);
        if (slot === undefined) {
          throw new TrainerError(
            'BAD_OPTION',
            `Expected gradients of grouped variables only, came one of "${name}"; add the variable to a parameter group or freeze it.`,
            { name, groups: groups.map((group) => group.name) },
          );
        }
        const { variable, lrScale, weightDecay } = slot;
        if (momentum !== 0 && !velocities.has(name)) {
          tf.tidy(() => setVelocity(name, tf.zeros(variable.shape)));
        }
        updateBySgd({
          variable,
          gradient,
          velocity: velocities.get(name),
          learningRate: learningRate * lrScale,
          momentum,
          weightDecay,
        });
      }
    },
    async state() {
      const state: TensorMap = new Map();
      for (const [name, slot] of slots) {
        const velocity = velocities.get(name);
        if (!velocity) continue;
        const data = Float32Array.from((await velocity.data()) as Float32Array);
        state.set(MOMENTUM_PREFIX + slot.stateName, { dtype: 'float32', shape: [...velocity.shape], data });
      }
      return state;
    },
    restore(state) {
      const byStateName = new Map([...slots].map(([name, slot]) => [slot.stateName, { name, slot }]));
      for (const [key, tensor] of state) {
        const found = key.startsWith(MOMENTUM_PREFIX)
          ? byStateName.get(key.slice(MOMENTUM_PREFIX.length))
          : undefined;
        const shape = found?.slot.variable.shape;
        if (!found || momentum === 0 || !tf.util.arraysEqual(shape!, tensor.shape)) {
          throw new TrainerError(
            'CHECKPOINT_MISMATCH',
            `Expected momentum of this optimiser's variables${shape ? ` (shape [${shape}])` : ''}, came "${key}" [${tensor.shape}] with momentum=${momentum}; was the checkpoint written by another network or recipe?`,
            { key, shape: tensor.shape, expectedShape: shape, momentum },
          );
        }
      }
      for (const velocity of velocities.values()) velocity.dispose();
      velocities.clear();
      for (const [key, tensor] of state) {
        const { name } = byStateName.get(key.slice(MOMENTUM_PREFIX.length))!;
        tf.tidy(() => {
          setVelocity(
            name,
            tf.tensor(Float32Array.from(tensor.data as Float32Array), tensor.shape, 'float32'),
          );
        });
      }
    },
    dispose() {
      for (const velocity of velocities.values()) velocity.dispose();
      velocities.clear();
    },
  };
}

interface Slot {
  variable: tf.Variable;
  stateName: string;
  lrScale: number;
  weightDecay: number;
}

function collectSlots(
  groups: readonly ParameterGroup[],
  momentum: number,
  nameOf: (variable: tf.Variable) => string,
): Map<string, Slot> {
  if (!(momentum >= 0)) {
    throw new TrainerError('BAD_OPTION', `Expected momentum >= 0, came ${momentum}; correct the recipe.`, {
      momentum,
    });
  }
  const slots = new Map<string, Slot>();
  const stateNames = new Set<string>();
  for (const { name: group, variables, lrScale = 1, weightDecay = 0 } of groups) {
    if (!(lrScale >= 0) || !(weightDecay >= 0)) {
      throw new TrainerError(
        'BAD_OPTION',
        `Expected lrScale and weightDecay >= 0 in parameter group "${group}", came ${lrScale} and ${weightDecay}; correct the recipe.`,
        { group, lrScale, weightDecay },
      );
    }
    for (const variable of variables) {
      const stateName = nameOf(variable);
      if (slots.has(variable.name) || stateNames.has(stateName)) {
        throw new TrainerError(
          'BAD_OPTION',
          `Expected every variable in one parameter group and under a name of its own, came "${stateName}" again in group "${group}"; list it once.`,
          { group, name: stateName },
        );
      }
      stateNames.add(stateName);
      slots.set(variable.name, { variable, stateName, lrScale, weightDecay });
    }
  }
  return slots;
}
