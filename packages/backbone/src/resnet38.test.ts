import { readFileSync } from 'node:fs';
import { readSafetensors, type TensorMap } from '@auxseg/formats';
import { useBackend } from '@auxseg/runtime';
import { describe, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { hashedValues } from './hashed-values.js';
import { loadResNet38Weights } from './load-resnet38-weights.js';
import { pyTorchPlace, toPyTorch } from './pytorch-layout.js';
import { createResNet38, type ResNet38Options } from './resnet38.js';
import { checkBackbone } from './testing.js';

const fixture = (name: string) => readFileSync(new URL(`../fixtures/${name}`, import.meta.url));
const reference = readSafetensors(fixture('resnet38-w16.safetensors')).tensors;
const referenceGradients: Record<string, { data: [number, number] }> = JSON.parse(
  fixture('resnet38-w16-gradients.json').toString(),
);

const height = 33;
const width = 41;

function build(options: ResNet38Options = {}) {
  const input = tfl.input({ shape: [null, null, 3] });
  const maps = createResNet38({ width: 1 / 16, ...options })(input);
  const names = ['conv4', 'conv5', 'conv6'];
  return tfl.model({ inputs: input, outputs: names.map((name) => maps.named[name]) });
}

/** The weights of tools/reference/auxsegnet/make_backbone_fixtures.py under PyTorch's names. */
function referenceWeights(model: tfl.LayersModel): TensorMap {
  const tensors: TensorMap = new Map();
  for (const weight of model.weights) {
    const { name, shape } = pyTorchPlace(weight.originalName, weight.shape as number[])!;
    const noise = hashedValues(
      name,
      shape.reduce((a, b) => a * b, 1),
    );
    const gain = Math.sqrt(3 / (shape[1] * shape[2] * shape[3]));
    const data = noise.map((v) =>
      shape.length === 4 ? v * gain : /running_var|weight/.test(name) ? 1 + 0.3 * v : 0.2 * v,
    );
    tensors.set(name, { dtype: 'float32', shape, data });
  }
  return tensors;
}

/** NCHW -> NHWC. */
function hashedImages(): tf.Tensor4D {
  const planar = tf.tensor4d(hashedValues('image', 2 * 3 * height * width), [2, 3, height, width]);
  return tf.transpose(tf.mul(planar, 2), [0, 2, 3, 1]) as tf.Tensor4D;
}

function expectClose(ours: ArrayLike<number>, theirs: ArrayLike<number>, tolerance: number) {
  expect(ours.length).toBe(theirs.length);
  let worst = 0;
  let peak = 0;
  for (let i = 0; i < ours.length; i++) {
    worst = Math.max(worst, Math.abs(ours[i] - theirs[i]));
    peak = Math.max(peak, Math.abs(theirs[i]));
  }
  expect(worst / peak).toBeLessThan(tolerance);
}

describe.each(['cpu', 'wasm'] as const)('on %s', (backend) => {
  test('computes what PyTorch computes, at every named map', async () => {
    await useBackend(backend);
    const model = build();
    loadResNet38Weights(model, referenceWeights(model));
    const outputs = tf.tidy(() => model.apply(hashedImages(), { training: false }) as tf.Tensor4D[]);
    for (const [i, name] of ['conv4', 'conv5', 'conv6'].entries()) {
      const first = tf.slice(outputs[i], 0, 1);
      expect(first.shape).toEqual(reference.get(name)!.shape);
      expectClose(await first.data(), reference.get(name)!.data as Float32Array, 2e-5);
    }
    model.dispose();
  });
});

test('has the gradients of PyTorch, and none for conv1a and batch norm', async () => {
  await useBackend('wasm');
  const model = build({ dropout: false });
  loadResNet38Weights(model, referenceWeights(model));
  const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  const { grads } = tf.variableGrads(() => {
    const features = (model.apply(hashedImages(), { training: true }) as tf.Tensor4D[])[2];
    const [n, h, w, c] = features.shape;
    const direction = tf.transpose(
      tf.tensor4d(hashedValues('direction', n * h * w * c), [n, c, h, w]),
      [0, 2, 3, 1],
    );
    return tf.sum(tf.mul(features, direction)) as tf.Scalar;
  }, variables);
  const seen: string[] = [];
  for (const weight of model.trainableWeights) {
    const gradient = grads[weight.name];
    const ours = toPyTorch({
      name: weight.originalName,
      shape: gradient.shape,
      data: (await gradient.data()) as Float32Array,
    })!;
    const along = hashedValues(ours.name, ours.data.length);
    const norm = Math.sqrt(ours.data.reduce((sum, v) => sum + v * v, 0));
    const projection = ours.data.reduce((sum, v, i) => sum + v * along[i], 0);
    const [expectedNorm, expectedProjection] = referenceGradients[ours.name].data;
    expect(Math.abs(norm - expectedNorm) / expectedNorm).toBeLessThan(1e-4);
    expect(Math.abs(projection - expectedProjection) / expectedNorm).toBeLessThan(1e-3);
    seen.push(ours.name);
  }
  expect(seen.sort()).toEqual(Object.keys(referenceGradients).sort());
  model.dispose();
});

test('keeps the promises of a backbone', async () => {
  await useBackend('wasm');
  await checkBackbone(createResNet38({ width: 1 / 32 }), { names: ['conv4', 'conv5', 'conv6', 'b3_2'] });
});

test('at width 1 has the 105.0 M convolution weights and the 4096 channels of the paper', () => {
  // Shapes only: 420 MB of weights need not be made to be counted.
  const countAt = (scale: number) => {
    const input = tfl.input({ shape: [null, null, 3] });
    const { features } = createResNet38({ width: scale })(input);
    const model = tfl.model({ inputs: input, outputs: features });
    const kernels = model.weights.filter((weight) => weight.originalName.endsWith('kernel'));
    const scaled = kernels.map((weight) => {
      const [kh, kw, cin, cout] = weight.shape as number[];
      return kh * kw * (cin === 3 ? 3 : cin / scale) * (cout / scale);
    });
    const channels = features.shape[3]! / scale;
    model.dispose();
    return { count: scaled.reduce((a, b) => a + b, 0), channels };
  };
  const { count, channels } = countAt(1 / 16);
  expect(channels).toBe(4096);
  expect(count / 1e6).toBeCloseTo(105.0, 0);
});

test('trains from the chosen block on, and starts the same for the same seed', () => {
  const layersOf = (trainableFrom: string) => {
    const model = build({ trainableFrom });
    const layers = new Set(model.trainableWeights.map((weight) => weight.originalName.split('/')[0]));
    model.dispose();
    return [...layers];
  };
  expect(layersOf('b2')).not.toContain('conv1a');
  expect(layersOf('b2')).toContain('b2.conv_branch2a');
  expect(layersOf('b6')[0]).toBe('b6.conv_branch2a');
  expect(layersOf('none')).toEqual([]);

  const [a, b, c] = [1, 1, 2].map((seed) => build({ seed }));
  const values = [a, b, c].map((model) =>
    Array.from(model.getLayer('b4.conv_branch1').getWeights()[0].dataSync()),
  );
  expect(values[1]).toEqual(values[0]);
  expect(values[2]).not.toEqual(values[0]);
  for (const model of [a, b, c]) model.dispose();
});

test('initial weights keep the features near unit size without batch statistics', async () => {
  await useBackend('wasm');
  const model = build();
  const spread = tf.tidy(() => {
    const features = (model.apply(tf.randomNormal([1, 64, 64, 3], 0, 1, 'float32', 7)) as tf.Tensor[])[2];
    return tf.moments(features).variance.dataSync()[0];
  });
  expect(spread).toBeGreaterThan(0.05);
  expect(spread).toBeLessThan(5);
  model.dispose();
});

test('refuses nonsense', () => {
  expect(() => createResNet38({ width: 0 })).toThrow(/Expected a width above 0.*got 0/);
  expect(() => createResNet38({ trainableFrom: 'b9' })).toThrow(/b2, b2_1.*got 'b9'/);
});
