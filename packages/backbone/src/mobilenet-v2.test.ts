import { existsSync, readFileSync } from 'node:fs';
import { readSafetensors, type TensorMap } from '@auxseg/formats';
import { useBackend } from '@auxseg/runtime';
import { describe, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { hashedValues } from './hashed-values.js';
import { loadMobileNetV2Weights } from './load-mobilenet-v2-weights.js';
import { createMobileNetV2, type MobileNetV2Options } from './mobilenet-v2.js';
import { mobileNetV2Layers } from './mobilenet-v2-layers.js';
import { checkBackbone } from './testing.js';

const reference = readSafetensors(
  readFileSync(new URL('../fixtures/mobilenetv2-w025.safetensors', import.meta.url)),
).tensors;
const imageNetWeights = new URL(
  '../../../../shared/weights/mobilenet_v2_1.0_224_imagenet.safetensors',
  import.meta.url,
);
const names = ['block_13_expand', 'block_16_project', 'Conv_1'];

function build(options: MobileNetV2Options) {
  const input = tfl.input({ shape: [null, null, 3] });
  const { named } = createMobileNetV2(options)(input);
  return tfl.model({ inputs: input, outputs: names.map((name) => named[name]) });
}

/** The weights of tools/reference/auxsegnet/make_backbone_fixtures.py. */
function referenceWeights(model: tfl.LayersModel): TensorMap {
  return new Map(
    model.weights.map((weight) => {
      const shape = weight.shape as number[];
      const noise = hashedValues(
        weight.originalName,
        shape.reduce((a, b) => a * b, 1),
      );
      const fanIn = weight.originalName.includes('depthwise/') ? 9 : shape[0] * shape[1] * shape[2];
      const gain = shape.length === 1 ? 0.2 : Math.sqrt(6 / fanIn);
      return [weight.originalName, { dtype: 'float32' as const, shape, data: noise.map((v) => v * gain) }];
    }),
  );
}

function worstRelative(ours: ArrayLike<number>, theirs: ArrayLike<number>): number {
  let worst = 0;
  let peak = 0;
  for (let i = 0; i < theirs.length; i++) {
    worst = Math.max(worst, Math.abs(ours[i] - theirs[i]));
    peak = Math.max(peak, Math.abs(theirs[i]));
  }
  return worst / peak;
}

describe.each(['cpu', 'wasm'] as const)('on %s', (backend) => {
  test.each([8, 16, 32] as const)(
    'computes what PyTorch computes at output stride %i',
    async (outputStride) => {
      await useBackend(backend);
      const model = build({ width: 0.25, outputStride });
      loadMobileNetV2Weights(model, referenceWeights(model));
      const outputs = tf.tidy(() => {
        const image = tf.tensor4d(hashedValues('image', 33 * 41 * 3), [1, 33, 41, 3]);
        return model.apply(image, { training: false }) as tf.Tensor4D[];
      });
      for (const [i, name] of names.entries()) {
        const theirs = reference.get(`os${outputStride}/${name}`)!;
        const ours = name === 'Conv_1' ? everyEighthChannel(outputs[i]) : outputs[i];
        expect(ours.shape).toEqual(theirs.shape);
        expect(worstRelative(await ours.data(), theirs.data as Float32Array)).toBeLessThan(2e-5);
      }
      model.dispose();
    },
  );
});

function everyEighthChannel(x: tf.Tensor4D): tf.Tensor4D {
  const indices = Array.from({ length: x.shape[3] / 8 }, (_, i) => 8 * i);
  return tf.gather(x, tf.tensor1d(indices, 'int32'), 3);
}

test.each([8, 16, 32] as const)(
  'keeps the promises of a backbone at output stride %i',
  async (outputStride) => {
    await useBackend('wasm');
    await checkBackbone(createMobileNetV2({ width: 0.1, outputStride }), {
      names: ['block_3', 'block_13_expand'],
    });
  },
);

test('finer output strides compute the coarse map, and the cells between', async () => {
  await useBackend('wasm');
  const image = tf.randomUniform([1, 640, 640, 3], -1, 1, 'float32', 3) as tf.Tensor4D;
  // 'Same' padding centres cell i of a stride-2 map on cell 2i+1 of the finer one. Cells 8..11 of 20 see no border.
  const cells = { 32: [8, 9, 10, 11], 16: [17, 19, 21, 23], 8: [35, 39, 43, 47] };
  const values = ([32, 16, 8] as const).map((outputStride) => {
    const model = build({ width: 0.1, outputStride });
    loadMobileNetV2Weights(model, referenceWeights(model));
    const picked = tf.tidy(() => {
      const map = (model.apply(image, { training: false }) as tf.Tensor4D[])[1];
      const at = tf.tensor1d(cells[outputStride], 'int32');
      return Array.from(tf.gather(tf.gather(map, at, 1), at, 2).dataSync());
    });
    model.dispose();
    return picked;
  });
  image.dispose();
  expect(worstRelative(values[1], values[0])).toBeLessThan(1e-5);
  expect(worstRelative(values[2], values[0])).toBeLessThan(1e-5);
});

test('trains from the chosen block on', () => {
  const model = build({ width: 0.1, trainableFrom: 'block_11' });
  const layers = [...new Set(model.trainableWeights.map((weight) => weight.originalName.split('/')[0]))];
  expect(layers[0]).toBe('block_11_expand');
  expect(layers.at(-1)).toBe('Conv_1');
  expect(() => createMobileNetV2({ trainableFrom: 'block_17' })).toThrow(
    /expanded_conv, block_1,.*got 'block_17'/,
  );
  expect(() => createMobileNetV2({ outputStride: 4 as never })).toThrow(/8, 16 or 32; got 4/);
  model.dispose();
});

test('the published widths have the published channels', () => {
  const channels = (width: number) =>
    mobileNetV2Layers(width, 32)
      .filter((layer) => layer.name.endsWith('_project'))
      .map((layer) => layer.channelsOut);
  expect(channels(1)).toEqual([16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320]);
  expect(new Set(channels(0.35))).toEqual(new Set([8, 16, 24, 32, 56, 112]));
});

test('names what is missing or misshapen', async () => {
  await useBackend('cpu');
  const model = build({ width: 0.1 });
  const weights = referenceWeights(model);
  weights.delete('Conv_1/bias');
  weights.set('block_3_depthwise/depthwise_kernel', {
    dtype: 'float32',
    shape: [3, 3, 7, 1],
    data: new Float32Array(63),
  });
  expect(() => loadMobileNetV2Weights(model, weights)).toThrow(
    /1 missing: Conv_1\/bias; 1 of the wrong shape: block_3_depthwise\/depthwise_kernel \[3,3,7,1\] \(expected \[3,3,48,1\]\)/,
  );
  model.dispose();
});

// Printed by tools/reference/auxsegnet/check_imagenet_mobilenetv2.py: map, output stride, norm, projection.
const imageNetSums: [string, 8 | 16 | 32, number, number][] = [
  ['block_13_expand', 8, 201.418403, 144.472277],
  ['Conv_1', 8, 784.119255, 176.623457],
  ['block_13_expand', 16, 107.745024, 105.714281],
  ['Conv_1', 16, 422.329138, -258.248773],
  ['block_13_expand', 32, 107.745024, 105.714281],
  ['Conv_1', 32, 212.849417, 11.935736],
];

test('with the ImageNet weights computes what PyTorch computes', async () => {
  if (!existsSync(imageNetWeights)) {
    console.warn('skipped: the ImageNet weights of MobileNetV2 are not beside this repository');
    return;
  }
  await useBackend('wasm');
  const { tensors } = readSafetensors(readFileSync(imageNetWeights));
  const image = tf.tidy(() => {
    const blocks = tf.tensor(hashedValues('blocks', 13 * 17 * 3), [1, 13, 1, 17, 1, 3]);
    return tf.slice(tf.reshape(tf.tile(blocks, [1, 1, 8, 1, 8, 1]), [1, 104, 136, 3]), 0, [1, 97, 130, 3]);
  });
  for (const outputStride of [8, 16, 32] as const) {
    const model = build({ outputStride });
    expect(loadMobileNetV2Weights(model, tensors)).toEqual({ loaded: tensors.size, unused: [] });
    const outputs = tf.tidy(() => model.apply(image, { training: false }) as tf.Tensor4D[]);
    for (const [name, stride, norm, projection] of imageNetSums) {
      if (stride !== outputStride) continue;
      const values = (await outputs[names.indexOf(name)].data()) as Float32Array;
      const along = hashedValues(name, values.length);
      const ourNorm = Math.sqrt(values.reduce((sum, v) => sum + v * v, 0));
      expect(Math.abs(ourNorm - norm) / norm).toBeLessThan(1e-4);
      expect(Math.abs(values.reduce((sum, v, i) => sum + v * along[i], 0) - projection) / norm).toBeLessThan(
        1e-4,
      );
    }
    tf.dispose(outputs);
    model.dispose();
  }
  image.dispose();
});
