import { readFileSync } from 'node:fs';
import { conv2d, useBackend } from '@auxseg/runtime';
import { beforeAll, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { extractCams, fuseMultiScaleCams, normalizeCam, propagateCam } from './index.js';

// Made by tools/reference/auxsegnet/make_block_fixtures.py: NumPy, and PyTorch's bilinear resize.
const fixture: Record<string, { shape: number[]; data: number[] }> = JSON.parse(
  readFileSync(new URL('../fixtures/cam.json', import.meta.url), 'utf8'),
);
const tensor = (name: string) =>
  tf.tensor4d(fixture[name].data, fixture[name].shape as [number, number, number, number]);

beforeAll(async () => {
  await useBackend('cpu');
});

function expectClose(ours: ArrayLike<number>, theirs: ArrayLike<number>, digits = 6) {
  expect(ours.length).toBe(theirs.length);
  for (let i = 0; i < ours.length; i++) expect(ours[i]).toBeCloseTo(theirs[i], digits);
}

test('normalisation is that of NumPy, for tensors and for plain data', () => {
  const [classes, height, width] = fixture['maps'].shape;
  const plain = normalizeCam({ data: Float32Array.from(fixture['maps'].data), classes, height, width });
  expectClose(plain.data, fixture['normalized'].data);
  expect(plain).toMatchObject({ classes, height, width });

  const channelLast = tf.transpose(
    tf.tensor(fixture['maps'].data, [1, classes, height, width]),
    [0, 2, 3, 1],
  );
  const normalized = normalizeCam(channelLast as tf.Tensor4D);
  expectClose(tf.transpose(normalized, [0, 3, 1, 2]).dataSync(), fixture['normalized'].data);
  expect(() => normalizeCam({ data: new Float32Array(5), classes: 2, height: 2, width: 2 })).toThrow(
    /2 class maps of 2x2 \(8 values\); got 5/,
  );
});

test.each(['cpu', 'wasm'] as const)('views fuse as in the reference on %s', async (backend) => {
  await useBackend(backend);
  const views = [0, 1, 2].map((i) => ({ cam: tensor(`view${i}`), flipped: i === 1 }));
  const before = tf.memory().numTensors;
  const fused = fuseMultiScaleCams(views, { height: 11, width: 9 });
  expect(tf.memory().numTensors).toBe(before + 1);
  expect(fused.shape).toEqual([1, 11, 9, 3]);
  expectClose(await fused.data(), fixture['fused'].data, 5);
  await useBackend('cpu');
});

test('propagation is the affinity-weighted sum, by loops', async () => {
  const [n, h, w, k] = [2, 3, 4, 2];
  const affinity = tf.softmax(tf.randomNormal([n, h * w, h * w], 0, 2, 'float32', 1)) as tf.Tensor3D;
  const cam = tf.randomUniform([n, h, w, k], 0, 1, 'float32', 2) as tf.Tensor4D;
  const result = propagateCam(affinity, cam);
  expect(result.shape).toEqual([n, h, w, k]);
  const [a, x, y] = [await affinity.data(), await cam.data(), await result.data()];
  for (let image = 0; image < n; image++) {
    for (let i = 0; i < h * w; i++) {
      for (let c = 0; c < k; c++) {
        let sum = 0;
        for (let j = 0; j < h * w; j++)
          sum += a[(image * h * w + i) * h * w + j] * x[(image * h * w + j) * k + c];
        expect(y[(image * h * w + i) * k + c]).toBeCloseTo(sum, 5);
      }
    }
  }
  expect(() => propagateCam(affinity, tf.zeros([2, 4, 4, 1]) as tf.Tensor4D)).toThrow(
    /affinity \[2,16,16\] for class maps \[2,4,4,1\]; got \[2,12,12\]/,
  );
});

function network() {
  const input = tfl.input({ shape: [null, null, 3] });
  const features = conv2d({
    name: 'f',
    filters: 5,
    kernelSize: 3,
    strides: 2,
    kernelInitializer: tfl.initializers.randomNormal({ seed: 3, stddev: 0.5 }),
  }).apply(input);
  const cam = conv2d({
    name: 'c',
    filters: 4,
    kernelSize: 1,
    kernelInitializer: tfl.initializers.randomNormal({ seed: 4, stddev: 0.5 }),
  }).apply(features) as tfl.SymbolicTensor;
  return tfl.model({ inputs: input, outputs: cam });
}

test('extraction at one scale is the normalised map at the size of the image', async () => {
  const model = network();
  const image = tf.randomUniform([13, 10, 3], 0, 1, 'float32', 5) as tf.Tensor3D;
  const before = tf.memory().numTensors;
  const cams = await extractCams({ model, image });
  expect(tf.memory().numTensors).toBe(before);
  expect(cams).toMatchObject({ classes: 4, height: 13, width: 10 });
  const expected = fuseMultiScaleCams([{ cam: model.predict(tf.expandDims(image, 0)) as tf.Tensor4D }], {
    height: 13,
    width: 10,
  });
  expectClose(cams.data, tf.transpose(expected, [0, 3, 1, 2]).dataSync());
  for (let k = 0; k < 4; k++) {
    const peak = Math.max(...cams.data.subarray(k * 130, (k + 1) * 130));
    expect(peak === 0 || (peak > 0.999 && peak <= 1)).toBe(true);
  }
  model.dispose();
});

test('a mirrored image has mirrored maps when both views are fused', async () => {
  const model = network();
  const image = tf.randomUniform([1, 12, 9, 3], 0, 1, 'float32', 5) as tf.Tensor4D;
  const options = { model, scales: [0.5, 1, 1.5], flip: true };
  const straight = await extractCams({ ...options, image });
  const mirrored = await extractCams({ ...options, image: tf.reverse(image, 2) });
  const back = tf.reverse(tf.tensor(mirrored.data, [4, 12, 9]), 2).dataSync();
  expectClose(straight.data, back, 4);
  model.dispose();
});

test('labels silence absent classes, and a function may make the image of each scale', async () => {
  const model = network();
  const seen: number[] = [];
  const image = (scale: number) => {
    seen.push(scale);
    return tf.randomUniform(
      [Math.round(8 * scale), Math.round(6 * scale), 3],
      0,
      1,
      'float32',
      6,
    ) as tf.Tensor3D;
  };
  const before = tf.memory().numTensors;
  const cams = await extractCams({
    model,
    image,
    scales: [1, 2],
    labels: Uint8Array.of(1, 0, 0, 1),
    size: { height: 5, width: 7 },
  });
  expect(tf.memory().numTensors).toBe(before);
  expect(seen).toEqual([1, 2]);
  expect(cams).toMatchObject({ classes: 4, height: 5, width: 7 });
  expect(cams.data.subarray(35, 105).every((value) => value === 0)).toBe(true);
  expect(cams.data.some((value) => value > 0.9)).toBe(true);
  model.dispose();
});

test('refuses what does not fit, and leaves no tensor behind', async () => {
  const model = network();
  const image = tf.zeros([4, 4, 3]) as tf.Tensor3D;
  const before = tf.memory().numTensors;
  await expect(extractCams({ model, image, scales: [] })).rejects.toThrow(/scales above 0/);
  await expect(extractCams({ model, image, labels: [1, 0] })).rejects.toThrow(/4 image labels.*got 2/);
  await expect(extractCams({ model, image: tf.zeros([2, 4, 4, 3]) as tf.Tensor4D })).rejects.toThrow(
    /got \[2,4,4,3\]/,
  );
  const other = tfl.layers.reLU().apply(model.outputs[0]) as tfl.SymbolicTensor;
  const two = tfl.model({ inputs: model.inputs, outputs: [model.outputs[0], other] });
  await expect(extractCams({ model: two, image })).rejects.toThrow(/one named 'cam'/);
  expect(() => fuseMultiScaleCams([], { height: 1, width: 1 })).toThrow(/at least one view/);
  expect(tf.memory().numTensors).toBe(before + 1);
  model.dispose();
});
