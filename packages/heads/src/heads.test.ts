import { readFileSync } from 'node:fs';
import { prepareRuntime, useBackend } from '@auxseg/runtime';
import { describe, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { createClassificationHead, createPixelHead } from './index.js';

// Made by tools/reference/auxsegnet/make_block_fixtures.py: PyTorch in float64.
const fixture: Record<string, { shape: number[]; data: number[] }> = JSON.parse(
  readFileSync(new URL('../fixtures/heads.json', import.meta.url), 'utf8'),
);
const tensor = (name: string) => tf.tensor(fixture[name].data, fixture[name].shape);

/** The name that a weight of ours has in the fixture, and its values in our layout. */
const officialName = (weight: { originalName: string }) =>
  weight.originalName.replace('/kernel', '.weight').replace('/bias', '.bias');
const inOurLayout = (x: tf.Tensor) => (x.rank === 4 ? tf.transpose(x, [2, 3, 1, 0]) : x);

function buildHeads() {
  const input = tfl.input({ shape: [null, null, 6] });
  const { logits, cam } = createClassificationHead({ numClasses: 3 })(input);
  const head = createPixelHead({ task: 'seg', channels: 5, dilations: [2, 3, 4], outputs: 4 });
  const before = head.before(input);
  const model = tfl.model({ inputs: input, outputs: [logits, cam, before, head.after(before)] });
  return model;
}

function loadFixture(model: tfl.LayersModel) {
  tf.tidy(() => {
    for (const weight of model.weights) weight.write(inOurLayout(tensor(`weight/${officialName(weight)}`)));
  });
}

function worstRelative(ours: tf.Tensor, theirs: tf.Tensor): number {
  expect(ours.shape).toEqual(theirs.shape);
  return tf.tidy(() => tf.div(tf.max(tf.abs(tf.sub(ours, theirs))), tf.max(tf.abs(theirs))).dataSync()[0]);
}

describe.each(['cpu', 'wasm'] as const)('on %s', (backend) => {
  test('outputs and gradients are those of PyTorch', async () => {
    await useBackend(backend);
    const model = buildHeads();
    loadFixture(model);
    const x = tf.variable(tensor('in/features'));
    const run = () => model.apply(x, { training: false }) as tf.Tensor[];
    for (const [i, name] of ['classification', 'cam', 'before', 'logits'].entries()) {
      expect(
        worstRelative(
          tf.tidy(() => run()[i]),
          tensor(`out/${name}`),
        ),
      ).toBeLessThan(1e-5);
    }
    const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
    const { grads } = tf.variableGrads(
      () =>
        tf.addN(
          run().map((y) => tf.sum(tf.mul(y, tf.reshape(tf.cos(tf.range(0, y.size, 1)), y.shape)))),
        ) as tf.Scalar,
      [x, ...variables],
    );
    expect(worstRelative(grads[x.name], tensor('grad/in/features'))).toBeLessThan(1e-4);
    expect(variables).toHaveLength(8);
    for (const weight of model.trainableWeights) {
      const expected = inOurLayout(tensor(`grad/${officialName(weight)}`));
      expect(worstRelative(grads[weight.name], expected)).toBeLessThan(1e-4);
    }
    x.dispose();
    model.dispose();
  });
});

test('a saved model loads and computes the same', async () => {
  await useBackend('cpu');
  prepareRuntime();
  const model = buildHeads();
  let saved: tf.io.ModelArtifacts | undefined;
  await model.save(
    tf.io.withSaveHandler(async (artifacts) => {
      saved = artifacts;
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
    }),
  );
  const restored = await tfl.loadLayersModel(tf.io.fromMemory(saved!));
  const [ours, theirs] = [model, restored].map((m) =>
    (m.apply(tensor('in/features')) as tf.Tensor[]).map((y) => y.dataSync()),
  );
  expect(theirs).toEqual(ours);
  const lines: string[] = [];
  restored.summary(undefined, undefined, (line) => lines.push(String(line)));
  expect(lines.join('\n')).toMatch(/seg_conv4/);
  model.dispose();
  restored.dispose();
});

test('dropout acts in training only, and never on the CAM', async () => {
  await useBackend('cpu');
  const input = tfl.input({ shape: [null, null, 64] });
  const { logits, cam } = createClassificationHead({ numClasses: 2, dropout: 0.5 })(input);
  const model = tfl.model({ inputs: input, outputs: [logits, cam] });
  const x = tf.randomNormal([2, 4, 4, 64], 0, 1, 'float32', 1);
  const run = (training: boolean) =>
    (model.apply(x, { training }) as tf.Tensor[]).map((y) => Array.from(y.dataSync()));
  const [still, trained] = [run(false), run(true)];
  expect(trained[0]).not.toEqual(still[0]);
  expect(trained[1]).toEqual(still[1]);
  // Without dropout the logits are the means of the CAM.
  const means = tf.mean(tf.tensor(still[1], [2, 4, 4, 2]), [1, 2]).dataSync();
  means.forEach((mean, i) => {
    expect(still[0][i]).toBeCloseTo(mean, 5);
  });
  model.dispose();
});

test('layers have the names and shapes of the authors', () => {
  const input = tfl.input({ shape: [null, null, 64] });
  const head = createPixelHead({ task: 'sal', outputs: 1 });
  const model = tfl.model({ inputs: input, outputs: head.after(head.before(input)) });
  const shapes = Object.fromEntries(model.weights.map((weight) => [weight.originalName, weight.shape]));
  expect(shapes).toEqual({
    'sal_conv1/kernel': [3, 3, 64, 128],
    'sal_conv1/bias': [128],
    'sal_conv2/kernel': [3, 3, 128, 128],
    'sal_conv2/bias': [128],
    'sal_conv3/kernel': [3, 3, 128, 128],
    'sal_conv3/bias': [128],
    'sal_conv4/kernel': [1, 1, 128, 1],
  });
  expect(model.layers.slice(1, 4).map((layer) => layer.getConfig()['dilation'])).toEqual([
    [6, 6],
    [12, 12],
    [18, 18],
  ]);
  model.dispose();
});

test('the seed decides the initial weights', () => {
  const kernels = [3, 3, 4].map((seed) => {
    const input = tfl.input({ shape: [null, null, 6] });
    const head = createPixelHead({ task: 'seg', channels: 5, outputs: 2, seed });
    const model = tfl.model({ inputs: input, outputs: head.after(head.before(input)) });
    const values = model.getWeights().map((weight) => Array.from(weight.dataSync()));
    model.dispose();
    return values;
  });
  expect(kernels[1]).toEqual(kernels[0]);
  expect(kernels[2]).not.toEqual(kernels[0]);
});

test('refuses nonsense', () => {
  expect(() => createClassificationHead({ numClasses: 0 })).toThrow(/numClasses.*got 0/);
  for (const dropout of [-0.5, 1, Number.NaN]) {
    expect(() => createClassificationHead({ numClasses: 2, dropout })).toThrow(
      `dropout to be at least 0 and below 1; got ${dropout}`,
    );
  }
  expect(() => createPixelHead({ task: 'seg', outputs: 2.5 })).toThrow(/outputs of the 'seg' head.*got 2.5/);
  expect(() => createPixelHead({ task: 'sal', outputs: 1, dilations: [1, 0, 2] })).toThrow(
    /dilations\[1\].*got 0/,
  );
});
