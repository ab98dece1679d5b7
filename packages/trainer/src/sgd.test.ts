import { useBackend } from '@auxseg/runtime';
import { beforeAll, describe, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { type PackedArray, readFixture, unpack, unpackTensor } from './fixtures/read-fixture.js';
import {
  createSgd,
  createTrainer,
  layerVariableNames,
  polySchedule,
  softmaxCrossEntropyWithIgnore,
} from './index.js';

interface Trajectory {
  name: string;
  steps: number;
  baseLr: number;
  momentum: number;
  weightDecay: number[];
  lrScale: number[];
  accumulate: number;
  start: PackedArray[];
  x: PackedArray;
  y: PackedArray;
  losses: number[];
  end: PackedArray[];
}
const trajectories = readFixture<Trajectory[]>('trajectories.json');

describe.each(['cpu', 'wasm', 'onnx'] as const)(
  '30 steps through the trainer on %s equal PyTorch',
  (backend) => {
    beforeAll(() => useBackend(backend));

    test.each(trajectories.map((one) => [one.name, one] as const))('%s', async (_name, one) => {
      const [w1, b1, w2] = one.start.map((packed) => tf.variable(unpackTensor(packed)));
      const unused = tf.variable(tf.ones([3]));
      const x = unpack(one.x) as Float32Array;
      const y = unpack(one.y) as Int32Array;
      const [batchesPerEpoch, rows, inputs] = one.x.shape;
      const trainer = createTrainer({
        model: {
          variables: () => [w1, b1, unused, w2],
          loss(batch: { index: number }) {
            const input = tf.tensor2d(
              x.slice(batch.index * rows * inputs, (batch.index + 1) * rows * inputs),
              [rows, inputs],
            );
            const hidden = tf.relu(tf.add(tf.matMul(input, w1 as tf.Tensor2D), b1));
            const logits = tf.reshape(tf.matMul(hidden as tf.Tensor2D, w2 as tf.Tensor2D), [1, 1, rows, -1]);
            const labels = tf.tensor3d(
              y.slice(batch.index * rows, (batch.index + 1) * rows),
              [1, 1, rows],
              'int32',
            );
            return { total: softmaxCrossEntropyWithIgnore(logits as tf.Tensor4D, labels), parts: {} };
          },
        },
        data: {
          batchesPerEpoch,
          async *epoch(_index, start = 0) {
            for (let index = start; index < batchesPerEpoch; index++) yield { index };
          },
        },
        optimizer: createSgd({
          momentum: one.momentum,
          groups: [
            {
              name: 'first',
              variables: [w1, b1, unused],
              lrScale: one.lrScale[0],
              weightDecay: one.weightDecay[0],
            },
            { name: 'second', variables: [w2], lrScale: one.lrScale[1], weightDecay: one.weightDecay[1] },
          ],
        }),
        schedule: polySchedule({ baseLr: one.baseLr, totalSteps: one.steps }),
        totalSteps: one.steps,
        accumulate: one.accumulate,
        seed: 1,
        random: { setKey: () => undefined },
      });
      const { losses } = await trainer.run();
      one.losses.forEach((loss, step) => {
        expect(Math.abs(losses.total[step] - loss)).toBeLessThan(1e-5 * Math.max(1, loss));
      });
      [w1, b1, w2].forEach((variable, index) => {
        const expected = unpack(one.end[index]);
        variable.dataSync().forEach((value, i) => {
          expect(Math.abs(value - expected[i])).toBeLessThan(2e-5 * Math.max(1, Math.abs(expected[i])));
        });
      });
      expect([...unused.dataSync()]).toEqual([1, 1, 1]);
    });
  },
);

describe('createSgd', () => {
  beforeAll(() => useBackend('cpu'));

  const variables = () => [tf.variable(tf.tensor([1, 2, 3])), tf.variable(tf.tensor([[4], [5]]))];
  const gradientsOf = (list: tf.Variable[], value: number) =>
    Object.fromEntries(list.map((variable) => [variable.name, tf.fill(variable.shape, value)]));

  test('saves and restores its state: the same next step', async () => {
    const [a, b] = [variables(), variables()];
    const names = new Map([...a, ...b].map((variable, index) => [variable.name, `v${index % 2}`]));
    const nameOf = (variable: tf.Variable) => names.get(variable.name)!;
    const create = (list: tf.Variable[]) =>
      createSgd({ groups: [{ name: 'all', variables: list, weightDecay: 0.1 }], momentum: 0.9, nameOf });
    const first = create(a);
    first.step(gradientsOf(a, 0.3), 0.1);
    first.step(gradientsOf(a, -0.2), 0.1);
    const state = await first.state();
    expect([...state.keys()]).toEqual(['momentum/v0', 'momentum/v1']);
    const second = create(b);
    a.forEach((variable, index) => {
      b[index].assign(variable);
    });
    second.restore(state);
    first.step(gradientsOf(a, 0.7), 0.1);
    second.step(gradientsOf(b, 0.7), 0.1);
    a.forEach((variable, index) => {
      expect(b[index].dataSync()).toEqual(variable.dataSync());
    });
  });

  test('keeps the number of tensors constant and gives all back', () => {
    const list = variables();
    const gradients = gradientsOf(list, 1);
    const before = tf.memory().numTensors;
    const optimizer = createSgd({
      groups: [{ name: 'all', variables: list, weightDecay: 1e-3 }],
      momentum: 0.9,
    });
    for (let step = 0; step < 3; step++) optimizer.step(gradients, 0.1);
    expect(tf.memory().numTensors).toBe(before + list.length);
    optimizer.dispose();
    expect(tf.memory().numTensors).toBe(before);
    // The caller's gradients are still there.
    for (const gradient of Object.values(gradients)) expect(gradient.dataSync()[0]).toBe(1);
  });

  test('names what is wrong', () => {
    const [a] = variables();
    expect(() =>
      createSgd({
        groups: [
          { name: 'x', variables: [a] },
          { name: 'y', variables: [a] },
        ],
      }),
    ).toThrow(/again in group "y"/);
    expect(() => createSgd({ groups: [], momentum: -1 })).toThrow(/momentum >= 0/);
    const optimizer = createSgd({ groups: [{ name: 'x', variables: [a] }] });
    expect(() => optimizer.step({ stranger: tf.zeros([1]) }, 1)).toThrow(/came one of "stranger"/);
    expect(() =>
      optimizer.restore(
        new Map([['momentum/w', { dtype: 'float32', shape: [1], data: new Float32Array(1) }]]),
      ),
    ).toThrow(/momentum\/w/);
  });
});

test('layerVariableNames gives the same names to a network built twice', () => {
  const build = () => {
    const input = tfl.input({ shape: [3] });
    const output = tfl.layers.dense({ name: 'twice', units: 2 }).apply(input) as tfl.SymbolicTensor;
    return tfl.model({ inputs: input, outputs: output });
  };
  const namesOf = (model: tfl.LayersModel) => {
    const nameOf = layerVariableNames(model);
    return model.trainableWeights.map((weight) => nameOf(weight.read() as tf.Variable));
  };
  const [first, second] = [build(), build()];
  expect(namesOf(first)).toEqual(['twice/kernel', 'twice/bias']);
  expect(namesOf(second)).toEqual(namesOf(first));
  expect(second.trainableWeights[0].name).not.toBe(first.trainableWeights[0].name);
});
