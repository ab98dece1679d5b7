import { readFileSync } from 'node:fs';
import { extractCams } from '@auxseg/cam';
import { createDenseCrf } from '@auxseg/crf';
import { type RgbImage, readNpz, readPyTorchCheckpoint, type TensorMap } from '@auxseg/formats';
import { createConfusionMatrix } from '@auxseg/metrics';
import { useBackend } from '@auxseg/runtime';
import { beforeAll, describe, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { argmaxLabels, imageToTensor, predictSegmentation, workingSize } from './inference.js';
import { type AuxSegNet, createNetworkFromConfig, runNetwork } from './network.js';
import { loadOfficialStateDict } from './official-state-dict.js';
import { labelsFromOutputs } from './pipeline/stage.js';
import { resolveRecipe } from './recipe.js';

const file = (name: string) => readFileSync(new URL(`../fixtures/${name}`, import.meta.url));
const predictions = readNpz(file('inference/predict.npz'));
const updates = readNpz(file('inference/update.npz'));
const recipe = resolveRecipe({ preset: 'official' });

function imageOf(arrays: TensorMap, name: string): RgbImage {
  const { shape, data } = arrays.get(`${name}_image`)!;
  return { height: shape[0], width: shape[1], data: data as Uint8Array };
}
const bytes = (arrays: TensorMap, name: string) => arrays.get(name)!.data as Uint8Array;
const floats = (arrays: TensorMap, name: string) => arrays.get(name)!.data as Float32Array;

/** Share of equal values. */
function agreement(ours: ArrayLike<number>, theirs: ArrayLike<number>): number {
  expect(ours.length).toBe(theirs.length);
  let equal = 0;
  for (let i = 0; i < ours.length; i++) equal += ours[i] === theirs[i] ? 1 : 0;
  return equal / ours.length;
}
function largestDifference(ours: ArrayLike<number>, theirs: ArrayLike<number>): number {
  expect(ours.length).toBe(theirs.length);
  let largest = 0;
  for (let i = 0; i < ours.length; i++) largest = Math.max(largest, Math.abs(ours[i] - theirs[i]));
  return largest;
}

describe('prediction over scales and mirror images equals the PyTorch reference', () => {
  let network: AuxSegNet;

  beforeAll(async () => {
    await useBackend('onnx');
    const { tensors } = readPyTorchCheckpoint(file('official-w32/weights.pth'));
    // make_inference_fixtures.py says why a few weights are others.
    for (const [key, { shape, data }] of predictions) {
      const [kind, name] = key.split('/');
      if (kind === 'weight') tensors.set(name, { dtype: 'float32', shape, data });
      if (kind === 'scale') {
        const tensor = tensors.get(name)!;
        const factor = (data as Float32Array)[0];
        tensors.set(name, {
          dtype: 'float32',
          shape: tensor.shape,
          data: (tensor.data as Float32Array).map((v) => v * factor),
        });
      }
    }
    network = createNetworkFromConfig(
      {
        ...recipe.network,
        backbone: { ...recipe.network.backbone, width: 1 / 32 },
        head: { ...recipe.network.head, channels: 8 },
      },
      4,
    );
    loadOfficialStateDict(network.model, tensors);
  });

  const { normalization } = recipe.network;
  const scales = [0.5, 0.75, 1, 1.25, 1.5];

  test.each(['p0', 'p1'])('%s: scores within 1e-3, classes on 99.9 % of the pixels', (name) => {
    const image = imageOf(predictions, name);
    const single = predictSegmentation(network, image, { normalization });
    expect(agreement(argmaxLabels(single).data, bytes(predictions, `${name}_single`))).toBeGreaterThanOrEqual(
      0.999,
    );
    for (const [flip, scores, labels] of [
      [false, 'scores', 'multi'],
      [true, 'flipScores', 'flip'],
    ] as const) {
      const ours = predictSegmentation(network, image, { normalization, scales, flip });
      expect(largestDifference(ours.data, floats(predictions, `${name}_${scores}`))).toBeLessThan(1e-3);
      expect(
        agreement(argmaxLabels(ours).data, bytes(predictions, `${name}_${labels}`)),
      ).toBeGreaterThanOrEqual(0.999);
    }
  });

  test('the mean IoU over both pictures', () => {
    const runs = [{}, { scales }, { scales, flip: true }];
    runs.forEach((run, index) => {
      const matrix = createConfusionMatrix(5, { ignoreLabel: 255 });
      for (const name of ['p0', 'p1']) {
        const ours = predictSegmentation(network, imageOf(predictions, name), { normalization, ...run });
        matrix.update(argmaxLabels(ours).data, bytes(predictions, `${name}_truth`));
      }
      expect(matrix.meanIoU()).toBeCloseTo((predictions.get('miou')!.data as Float64Array)[index], 3);
    });
  });

  test.each(['p0', 'p1'])('%s: class activation maps within 1e-3', async (name) => {
    const image = imageOf(predictions, name);
    const cams = await extractCams({
      model: (x: tf.Tensor4D) => runNetwork(network, x, ['cam']).cam as tf.Tensor4D,
      image: (scale: number) => imageToTensor(image, workingSize(image, 0, scale), normalization),
      scales: [0.5, 1, 1.5, 2],
      flip: true,
      size: { width: Math.ceil(image.width / 4), height: Math.ceil(image.height / 4) },
    });
    expect([cams.classes, cams.height, cams.width]).toEqual(predictions.get(`${name}_cams`)!.shape);
    expect(largestDifference(cams.data, floats(predictions, `${name}_cams`))).toBeLessThan(1e-3);
  });
});

test.each(['u0', 'u1', 'u2'])(
  'label update of %s: from the same outputs of the network, NumPy with the C++ CRF makes the same labels on 99.9 % of the pixels',
  async (name) => {
    await useBackend('cpu');
    const crf = await createDenseCrf();
    const [classes, h, w] = updates.get(`${name}_cam`)!.shape;
    const outputs = {
      cam: tf.transpose(
        tf.tensor(floats(updates, `${name}_cam`), [1, classes, h, w]),
        [0, 2, 3, 1],
      ) as tf.Tensor4D,
      refinedSaliency: tf.tensor4d(floats(updates, `${name}_refinedSaliency`), [1, h, w, 1]),
      affinity: tf.tensor3d(floats(updates, `${name}_affinity`), [1, h * w, h * w]),
    };
    const update = await labelsFromOutputs(outputs, {
      recipe,
      image: imageOf(updates, name),
      labels: bytes(updates, `${name}_labels`),
      original: Float32Array.from(bytes(updates, `${name}_original`), (value) => value / 255),
      fusion: { camThreshold: 0.2, saliencyThreshold: 0.06, saliencyBackground: 0.06 },
      crf,
      id: name,
    });
    tf.dispose(outputs);
    crf.dispose();
    expect(largestDifference(update.saliency.data, floats(updates, `${name}_saliency`))).toBeLessThan(1e-3);
    const theirs = bytes(updates, `${name}_segmentation`);
    expect(new Set(theirs).size).toBeGreaterThan(2);
    expect(agreement(update.segmentation.data, theirs)).toBeGreaterThanOrEqual(0.999);
  },
);
