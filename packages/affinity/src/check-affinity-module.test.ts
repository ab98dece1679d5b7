import { conv2d, pairwiseAffinity, useBackend } from '@auxseg/runtime';
import { beforeAll, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { type AffinityModule, type AffinityName, affinityModules } from './index.js';
import { checkAffinityModule } from './testing.js';

beforeAll(async () => {
  await useBackend('cpu');
});

test.each(Object.keys(affinityModules) as AffinityName[])('%s keeps the promises', async (name) => {
  await checkAffinityModule(affinityModules[name]());
});

test.each(['cross-task', 'mean'] as const)(
  '%s keeps them with other channels inside, scaled, from zero',
  async (name) => {
    await checkAffinityModule(affinityModules[name]({ channels: 3, scale: 'sqrt', zeroInit: true, seed: 4 }));
  },
);

test('findings name a dead weight, a wrong shape and mixed images', async () => {
  const bad: AffinityModule = ({ seg, sal }) => {
    const dead = conv2d({ name: 'dead', filters: 6, kernelSize: 1 }).apply(seg);
    const silenced = tfl.layers.rescaling({ scale: 0 }).apply(dead) as tfl.SymbolicTensor;
    const narrow = conv2d({ name: 'narrow', filters: 2, kernelSize: 1 }).apply(sal) as tfl.SymbolicTensor;
    return {
      seg: tfl.layers.add().apply([seg, silenced]) as tfl.SymbolicTensor,
      sal: narrow,
      affinity: null,
    };
  };
  await expect(checkAffinityModule(bad)).rejects.toThrow(
    /affinity: none.*expected sal \[2,3,4,6\], got \[2,3,4,2\].*gradient of dead\/kernel\S* is zero everywhere/,
  );
});

test('a module that takes the features away from the heads is found', async () => {
  const bad: AffinityModule = ({ seg, sal }) => ({
    seg,
    sal,
    affinity: pairwiseAffinity({ name: 'twice' }).apply([
      seg,
      seg,
    ] as tfl.SymbolicTensor[]) as tfl.SymbolicTensor,
  });
  await expect(checkAffinityModule(bad)).rejects.toThrow(
    /predict of a network whose heads read the features too fails.*takes? one tensor twice/,
  );
});

/** Scales by a factor, which is lost when a model is saved and loaded. */
class Factor extends tfl.layers.Layer {
  static readonly className = 'TestFactor';
  private readonly factor: number;
  constructor(config: { factor?: number }) {
    super({});
    this.factor = config.factor ?? 1;
  }
  override computeOutputShape(shape: tfl.Shape): tfl.Shape {
    return shape;
  }
  override call(x: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.mul(Array.isArray(x) ? x[0]! : x, this.factor);
  }
}
tf.serialization.registerClass(Factor);

test.each(['sal', 'affinity'] as const)(
  'a %s that a saved file does not bring back is found',
  async (lost) => {
    const bad: AffinityModule = (features) => {
      const output = affinityModules['cross-task']()(features);
      return { ...output, [lost]: new Factor({ factor: 3 }).apply(output[lost]!) };
    };
    await expect(checkAffinityModule(bad)).rejects.toThrow(new RegExp(`something else for ${lost}`));
  },
);
