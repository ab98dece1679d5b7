import { readFileSync } from 'node:fs';
import { toPyTorch } from '@auxseg/backbone';
import { readNpz, readPyTorchCheckpoint, type TensorMap } from '@auxseg/formats';
import { useBackend } from '@auxseg/runtime';
import { beforeAll, describe, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { auxSegLosses, forwardForTraining } from './aux-seg-loss.js';
import { createNetworkFromConfig, outputNames, runNetwork } from './network.js';
import { loadOfficialStateDict, officialStateDict } from './official-state-dict.js';
import { resolveRecipe } from './recipe.js';
import { decodeModel, encodeModel, loadTensors, modelToTensors } from './weights.js';

const fixture = (name: string) => readFileSync(new URL(`../fixtures/official-w32/${name}`, import.meta.url));
const tinyConfig = resolveRecipe({
  preset: 'tiny',
  network: { backbone: { width: 0.25 }, head: { channels: 8 } },
}).network;

describe('tiny network', () => {
  beforeAll(async () => {
    await useBackend('cpu');
  });

  test('has the named outputs at ceil(size / stride), for any size', () => {
    const network = createNetworkFromConfig(tinyConfig, 3, 1);
    expect(network.outputs).toEqual(outputNames);
    for (const [height, width] of [
      [24, 32],
      [17, 29],
    ]) {
      const out = runNetwork(
        network,
        tf.randomNormal([2, height, width, 3], 0, 1, 'float32', 3),
        outputNames,
      );
      const [h, w] = [Math.ceil(height / 4), Math.ceil(width / 4)];
      expect(out.classification.shape).toEqual([2, 3]);
      expect(out.cam.shape).toEqual([2, h, w, 3]);
      expect(out.refinedSaliency.shape).toEqual([2, h, w, 1]);
      expect(out.refinedSegmentation.shape).toEqual([2, h, w, 4]);
      expect(out.affinity.shape).toEqual([2, h * w, h * w]);
      tf.dispose(out);
    }
  });

  test('without affinity, refined is initial and there is no affinity output', () => {
    const network = createNetworkFromConfig(
      { ...tinyConfig, affinity: { ...tinyConfig.affinity, name: 'identity' } },
      2,
      1,
    );
    expect(network.outputs).not.toContain('affinity');
    const out = runNetwork(network, tf.ones([1, 16, 16, 3]), ['initialSegmentation', 'refinedSegmentation']);
    expect(out.refinedSegmentation.dataSync()).toEqual(out.initialSegmentation.dataSync());
  });

  test('a backbone has the trainable part and the output stride of its recipe, or refuses', () => {
    const trained = (backbone: object) => {
      const { network } = resolveRecipe({ preset: 'official', network: { backbone, head: { channels: 1 } } });
      return createNetworkFromConfig(network, 1).model.trainableWeights.map((weight) => weight.originalName);
    };
    const width = 1 / 64;
    expect(trained({ width }).some((name) => name.startsWith('b4_5.'))).toBe(true);
    const late = trained({ width, trainableFrom: 'b5' });
    expect(late.some((name) => /^b[234]/.test(name))).toBe(false);
    expect(late.some((name) => name.startsWith('b5.'))).toBe(true);
    expect(() => trained({ width, outputStride: 16 })).toThrow(
      /outputStride of the resnet38 backbone to be 8, got 16/,
    );
    expect(() => trained({ name: 'tiny', outputStride: 8 })).toThrow(
      /outputStride of the tiny .* to be 4, got 8/,
    );
    expect(() => trained({ name: 'tiny', outputStride: 4, trainableFrom: 't3' })).toThrow(
      /trainableFrom .* got t3/,
    );
  });

  test('the seed decides the initial weights', () => {
    const [a, b, c] = [1, 1, 2].map((seed) =>
      modelToTensors(createNetworkFromConfig(tinyConfig, 2, seed).model),
    );
    expect(a.get('seg_conv1/kernel')!.data).toEqual(b.get('seg_conv1/kernel')!.data);
    expect(a.get('seg_conv1/kernel')!.data).not.toEqual(c.get('seg_conv1/kernel')!.data);
    expect([...a.keys()]).toEqual([...b.keys()]);
  });

  test('weights survive a file, and a file of another network is refused by name and shape', () => {
    const network = createNetworkFromConfig(tinyConfig, 3, 5);
    const bytes = encodeModel(network.model, {
      network: tinyConfig,
      classes: ['a', 'b', 'c'],
      kind: 'auxsegnet',
      longSidePx: 64,
    });
    const { tensors, metadata } = decodeModel(bytes);
    expect(metadata).toEqual({
      network: tinyConfig,
      classes: ['a', 'b', 'c'],
      kind: 'auxsegnet',
      longSidePx: 64,
    });
    const other = createNetworkFromConfig(metadata!.network, 3, 6);
    loadTensors(other.model, tensors);
    const x = tf.randomNormal([1, 20, 12, 3], 0, 1, 'float32', 1) as tf.Tensor4D;
    const [y1, y2] = [network, other].map((n) =>
      runNetwork(n, x, ['refinedSegmentation']).refinedSegmentation.dataSync(),
    );
    expect(y2).toEqual(y1);
    expect(() =>
      loadTensors(createNetworkFromConfig(tinyConfig, 4, 1).model, tensors, { source: 'x.safetensors' }),
    ).toThrow(/x\.safetensors.*another shape.*fc8\/kernel: expected \[1,1,\d+,4\], got \[1,1,\d+,3\]/s);
    tensors.delete('fc8/kernel');
    expect(() => loadTensors(other.model, tensors)).toThrow(/1 missing \(fc8\/kernel\)/);
  });

  test('every trainable weight receives a gradient, and padding counts in no loss', () => {
    const network = createNetworkFromConfig(
      { ...tinyConfig, affinity: { ...tinyConfig.affinity, zeroInit: false } },
      2,
      3,
    );
    const variables = network.model.trainableWeights.map((weight) => weight.read() as tf.Variable);
    const images = tf.randomNormal([1, 16, 16, 3], 0, 1, 'float32', 2) as tf.Tensor4D;
    const losses = (saliency: number[]) =>
      auxSegLosses(
        runNetwork(network, images, outputNames),
        {
          labels: tf.tensor2d([[1, 0]]),
          saliency: tf.tensor4d(saliency, [1, 16, 16, 1]),
          segmentation: tf.tensor3d(
            new Int32Array(256).map((_, i) => (i < 64 ? 255 : i % 3)),
            [1, 16, 16],
            'int32',
          ),
        },
        { classification: 1, saliency: 1, segmentation: 1 },
      );
    const all = Array.from({ length: 256 }, (_, i) => i % 2);
    const half = all.map((value, i) => (i < 128 ? value : -1));
    expect(Object.keys(losses(all).parts)).toHaveLength(5);
    const change = losses(half).parts['saliencyInitial'].dataSync()[0];
    expect(change).not.toBeCloseTo(losses(all).parts['saliencyInitial'].dataSync()[0], 6);
    const { grads } = tf.variableGrads(() => {
      const out = forwardForTraining(network, images);
      return auxSegLosses(
        out,
        {
          labels: tf.tensor2d([[1, 0]]),
          saliency: tf.ones([1, 16, 16, 1]),
          segmentation: tf.ones([1, 16, 16], 'int32'),
        },
        { classification: 1, saliency: 1, segmentation: 1 },
      ).total;
    }, variables);
    const silent = network.model.trainableWeights
      .map((weight) => weight.originalName)
      .filter((_, i) => (tf.max(tf.abs(grads[variables[i].name])).dataSync()[0] ?? 0) === 0);
    // Block a's first step: bias of a softmax's argument cancels in exact arithmetic, so theta's shift may be tiny but not the rest.
    expect(silent).toEqual([]);
  });
});

describe.each(['cpu', 'wasm', 'onnx'] as const)(
  'against PyTorch, ResNet-38 at width 1/32, backend %s',
  (backend) => {
    const weights: TensorMap = readPyTorchCheckpoint(fixture('weights.pth')).tensors;
    const reference = readNpz(fixture('reference.npz'));
    const gradients = readNpz(fixture('gradients.npz'));
    const floats = (map: TensorMap, name: string) =>
      Float32Array.from(map.get(name)!.data as ArrayLike<number | bigint>, Number);
    const build = () => {
      const official = resolveRecipe({ preset: 'official' }).network;
      const channels = weights.get('seg_conv1.weight')!.shape[0];
      const network = createNetworkFromConfig(
        {
          ...official,
          backbone: {
            ...official.backbone,
            width: weights.get('conv1a.weight')!.shape[0] / 64,
            dropout: false,
          },
          head: { ...official.head, channels, dropout: 0 },
        },
        weights.get('fc8.weight')!.shape[0],
      );
      const report = loadOfficialStateDict(network.model, weights);
      return { network, report };
    };

    beforeAll(async () => {
      await useBackend(backend);
    });

    test('outputs within 1e-4', () => {
      const { network } = build();
      for (const tag of ['a', 'b']) {
        tf.tidy(() => {
          const x = reference.get(`${tag}_x`)!;
          const image = tf.transpose(
            tf.tensor4d(floats(reference, `${tag}_x`), x.shape as [number, number, number, number]),
            [0, 2, 3, 1],
          );
          const out = runNetwork(network, image as tf.Tensor4D, outputNames);
          for (const name of outputNames) {
            const expected = reference.get(`${tag}_${name}`);
            if (!expected) continue;
            const ours = (
              out[name].rank === 4 ? tf.transpose(out[name], [0, 3, 1, 2]) : out[name]
            ).dataSync();
            const theirs = floats(reference, `${tag}_${name}`);
            expect(ours.length).toBe(theirs.length);
            let error = 0;
            let largest = 0;
            for (let i = 0; i < ours.length; i++) {
              error = Math.max(error, Math.abs(ours[i] - theirs[i]));
              largest = Math.max(largest, Math.abs(theirs[i]));
            }
            expect({ name, tag, close: error / largest < 1e-4, error: error / largest }).toMatchObject({
              close: true,
            });
          }
        });
      }
    });

    if (backend !== 'cpu') {
      test('losses within 1e-4 and every gradient within 1e-3', () => {
        const { network } = build();
        tf.tidy(() => {
          const shape = reference.get('a_x')!.shape as [number, number, number, number];
          const images = tf.transpose(
            tf.tensor4d(floats(reference, 'a_x'), shape),
            [0, 2, 3, 1],
          ) as tf.Tensor4D;
          const [n, , height, width] = shape;
          const targets = {
            labels: tf.tensor2d(floats(reference, 'labels'), [n, network.numClasses]),
            // Saliency targets are binarised at 0.5 (method facts, section 3).
            saliency: tf.tensor4d(
              floats(reference, 'salTarget').map((p) => (p >= 0.5 ? 1 : 0)),
              [n, height, width, 1],
            ),
            segmentation: tf.tensor3d(
              Int32Array.from(floats(reference, 'segTarget')),
              [n, height, width],
              'int32',
            ),
          };
          const variables = network.model.trainableWeights.map((weight) => weight.read() as tf.Variable);
          let parts: number[] = [];
          const { grads } = tf.variableGrads(() => {
            const losses = auxSegLosses(forwardForTraining(network, images), targets, {
              classification: 1,
              saliency: 1,
              segmentation: 1,
            });
            parts = [
              'classification',
              'saliencyInitial',
              'saliencyRefined',
              'segmentationInitial',
              'segmentationRefined',
            ].map((name) => losses.parts[name].dataSync()[0]);
            return losses.total;
          }, variables);
          expect(
            parts.map(
              (part, i) =>
                Math.abs(part / floats(reference, 'losses')[i] - 1) < 1e-4 ||
                `${part} is not ${floats(reference, 'losses')[i]}`,
            ),
          ).toEqual([true, true, true, true, true]);
          const worst: { name: string; error: number }[] = [];
          network.model.trainableWeights.forEach((weight, i) => {
            const ours = toPyTorch({
              name: weight.originalName,
              shape: variables[i].shape,
              data: grads[variables[i].name].dataSync() as Float32Array,
            })!;
            const theirs = floats(gradients, ours.name);
            let difference = 0;
            let norm = 0;
            theirs.forEach((value, j) => {
              difference += (value - ours.data[j]) ** 2;
              norm += value ** 2;
            });
            // phi's bias cancels in the row softmax: its gradient is rounding around zero, compared on the largest one's scale.
            worst.push({ name: ours.name, error: Math.sqrt(difference) / Math.max(Math.sqrt(norm), 3e-5) });
          });
          worst.sort((a, b) => b.error - a.error);
          expect(worst.length).toBeGreaterThan(40);
          expect(worst.filter(({ error }) => !(error < 1e-3))).toEqual([]);
        });
      });
    }

    if (backend === 'cpu') {
      test('the state dict goes both ways without loss, with `module.` prefixes and the unused parameters', () => {
        const { network, report } = build();
        const back = officialStateDict(network.model, report.unused);
        expect([...weights.keys()]).toContain('bn7.num_batches_tracked');
        expect([...back.keys()].sort()).toEqual([...weights.keys()].sort());
        for (const [name, tensor] of back) {
          expect(tensor.shape).toEqual(weights.get(name)!.shape);
          expect(tensor.data).toEqual(weights.get(name)!.data);
        }
        const prefixed: TensorMap = new Map([...weights].map(([name, tensor]) => [`module.${name}`, tensor]));
        expect(loadOfficialStateDict(network.model, prefixed).missing).toEqual([]);
        prefixed.delete('module.fc8.weight');
        prefixed.set('module.extra', weights.get('conv1a.weight')!);
        expect(() => loadOfficialStateDict(network.model, prefixed)).toThrow(
          /1 missing \(fc8\.weight\), 1 unexpected \(extra\)/,
        );
        expect(loadOfficialStateDict(network.model, prefixed, { strict: false }).unexpected).toEqual([
          'extra',
        ]);
      });
    }
  },
);
