import { readFileSync } from 'node:fs';
import { useBackend } from '@auxseg/runtime';
import { describe, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { type AffinityModule, affinityModules, createCrossTaskAffinity, refine } from './index.js';

// Made by tools/reference/auxsegnet/make_block_fixtures.py: PyTorch in float64.
type Fixture = Record<string, { shape: number[]; data: number[] }>;
const readFixture = (name: string): Fixture =>
  JSON.parse(readFileSync(new URL(`../fixtures/${name}.json`, import.meta.url), 'utf8'));

function build(module: AffinityModule, channels = 4) {
  const inputs = ['seg', 'sal'].map((name) =>
    tfl.input({ shape: [null, null, channels], name: `${name}_in` }),
  );
  const { seg, sal, affinity } = module({ seg: inputs[0], sal: inputs[1] });
  const outputs = affinity === null ? [seg, sal] : [seg, sal, affinity, refine(affinity, seg, 'refined')];
  return tfl.model({ inputs, outputs });
}

const officialName = (weight: { originalName: string }) =>
  weight.originalName
    .replace('/conv1_kernel', '.0.weight')
    .replace('/conv2_kernel', '.2.weight')
    .replace('/conv2_bias', '.2.bias')
    .replace('/kernel', '.weight')
    .replace('/bias', '.bias');
const inOurLayout = (x: tf.Tensor, rank: number) =>
  x.rank === 4 && rank === 4 ? tf.transpose(x, [2, 3, 1, 0]) : x;

describe.each(['cpu', 'wasm'] as const)('cross-task affinity on %s', (backend) => {
  test.each(['cross-task', 'cross-task-scaled'] as const)(
    '%s: outputs and gradients are those of PyTorch',
    async (name) => {
      await useBackend(backend);
      const fixture = readFixture(name);
      const tensor = (key: string) => tf.tensor(fixture[key].data, fixture[key].shape);
      const model = build(createCrossTaskAffinity({ scale: name === 'cross-task' ? 'none' : 'sqrt' }));
      tf.tidy(() => {
        for (const weight of model.weights) {
          weight.write(inOurLayout(tensor(`weight/${officialName(weight)}`), weight.shape.length));
        }
      });
      const inputs = ['seg', 'sal'].map((task) => tf.variable(tensor(`in/${task}`)));
      const run = () => model.apply(inputs, { training: false }) as tf.Tensor[];
      const outputs = run();
      for (const [i, key] of ['seg', 'sal', 'affinity', 'refined'].entries()) {
        expect(worstRelative(outputs[i], tensor(`out/${key}`))).toBeLessThan(1e-5);
      }
      const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
      expect(variables).toHaveLength(2 * 8 + 3);
      const { grads } = tf.variableGrads(
        () =>
          tf.addN(
            run().map((y) => tf.sum(tf.mul(y, tf.reshape(tf.cos(tf.range(0, y.size, 1)), y.shape)))),
          ) as tf.Scalar,
        [...inputs, ...variables],
      );
      expect(worstRelative(grads[inputs[0].name], tensor('grad/in/seg'))).toBeLessThan(1e-4);
      expect(worstRelative(grads[inputs[1].name], tensor('grad/in/sal'))).toBeLessThan(1e-4);
      for (const weight of model.trainableWeights) {
        const expected = inOurLayout(tensor(`grad/${officialName(weight)}`), weight.shape.length);
        // phi's bias shifts whole rows of the softmax's argument: its gradient is zero but for rounding.
        if (weight.originalName.endsWith('phi/bias')) expect(largest(grads[weight.name])).toBeLessThan(1e-5);
        else expect(worstRelative(grads[weight.name], expected)).toBeLessThan(1e-4);
      }
      tf.dispose(inputs);
      model.dispose();
    },
  );
});

function largest(x: tf.Tensor): number {
  return tf.tidy(() => tf.max(tf.abs(x)).dataSync()[0]);
}

function worstRelative(ours: tf.Tensor, theirs: tf.Tensor): number {
  expect(ours.shape).toEqual(theirs.shape);
  return largest(tf.sub(ours, theirs)) / largest(theirs);
}

/** A X in loops. */
function propagated(affinity: number[][][], x: number[][][][]): number[][][][] {
  return x.map((map, n) =>
    map.map((row, i) =>
      row.map((_, j) => {
        const weights = affinity[n][i * row.length + j];
        const cells = map.flat();
        return cells[0].map((__, c) => weights.reduce((sum, weight, l) => sum + weight * cells[l][c], 0));
      }),
    ),
  );
}

test('refinement is the affinity-weighted sum of all cells', async () => {
  await useBackend('cpu');
  const model = build(affinityModules.mean({}), 3);
  const inputs = [1, 2].map((seed) => tf.randomNormal([2, 3, 2, 3], 0, 1, 'float32', seed));
  const [seg, , affinity, refined] = model.apply(inputs) as tf.Tensor[];
  const expected = propagated(
    (await affinity.array()) as number[][][],
    (await seg.array()) as number[][][][],
  );
  expect(worstRelative(refined, tf.tensor4d(expected))).toBeLessThan(1e-5);
  model.dispose();
});

test('the alternatives enhance and refine what their names say', async () => {
  await useBackend('cpu');
  const inputs = [1, 2].map((seed) => tf.randomNormal([1, 3, 4, 4], 0, 1, 'float32', seed));
  const run = (name: keyof typeof affinityModules) => {
    const model = build(affinityModules[name]({ seed: 9 }));
    const outputs = model.apply(inputs) as tf.Tensor[];
    model.dispose();
    return outputs.map((y) => Array.from(y.dataSync()));
  };
  const given = inputs.map((x) => Array.from(x.dataSync()));
  const both = run('cross-task');
  expect(run('identity')).toEqual(given);
  const [segOnly, salOnly, mean] = [run('seg-only'), run('sal-only'), run('mean')];
  // The same seed gives each task's layers the same weights in every module.
  expect(segOnly.slice(0, 2)).toEqual([both[0], given[1]]);
  expect(salOnly.slice(0, 2)).toEqual([given[0], both[1]]);
  expect(mean.slice(0, 2)).toEqual(both.slice(0, 2));
  mean[2].forEach((value, i) => {
    expect(value).toBeCloseTo((segOnly[2][i] + salOnly[2][i]) / 2, 6);
  });
  for (const [, , affinity] of [segOnly, salOnly, mean]) {
    const rows = tf.sum(tf.tensor(affinity, [12, 12]), 1).dataSync();
    for (const row of rows) expect(row).toBeCloseTo(1, 5);
  }
});

test('zero-initialised modules leave the features as they are', async () => {
  await useBackend('cpu');
  const inputs = [1, 2].map((seed) => tf.randomNormal([1, 3, 4, 4], 0, 1, 'float32', seed));
  for (const name of ['cross-task', 'seg-only', 'sal-only', 'mean'] as const) {
    const model = build(affinityModules[name]({ zeroInit: true }));
    const [seg, sal] = model.apply(inputs) as tf.Tensor[];
    expect(largest(tf.sub(seg, inputs[0]))).toBe(0);
    expect(largest(tf.sub(sal, inputs[1]))).toBe(0);
    model.dispose();
  }
});

test('layers have the names of the authors', () => {
  const model = build(createCrossTaskAffinity());
  expect(model.weights.map(officialName).sort()).toEqual(
    [
      ...['seg', 'sal'].flatMap((task) =>
        ['att.theta', 'att.phi', 'g', 'W'].flatMap((layer) => [
          `${task}_${layer}.weight`,
          `${task}_${layer}.bias`,
        ]),
      ),
      'cross_att.0.weight',
      'cross_att.2.weight',
      'cross_att.2.bias',
    ].sort(),
  );
  model.dispose();
});

test('refuses nonsense', () => {
  expect(() => build(createCrossTaskAffinity({ channels: 0 }))).toThrow(/channels.*got 0/);
  expect(() => build(createCrossTaskAffinity({ scale: -1 }))).toThrow(
    /'none', 'sqrt' or a number above 0; got -1/,
  );
});
