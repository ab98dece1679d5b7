import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { useBackend } from '../backends/use-backend.js';
import { RuntimeError } from '../errors.js';
import { relativeError } from '../float64.test.support.js';
import { testedBackends } from '../tested-backends.test.support.js';
import { applyAffinity, fuseAffinities, pairwiseAffinity } from './affinity-layers.js';
import { channelDropout, setRandomKey } from './channel-dropout.js';
import {
  type Conv2DOptions,
  conv2d,
  type DepthwiseConv2DOptions,
  depthwiseConv2d,
} from './convolution-layers.js';
import { type FrozenBatchNormOptions, frozenBatchNorm } from './frozen-batch-norm.js';
import { resizeLayer, resizeLike } from './resize-layers.js';

interface Stored {
  shape: number[];
  data: number[];
}
type Case = Record<string, Stored> & { options?: Record<string, unknown> };
interface Fixtures {
  convolutions: Case[];
  depthwiseConvolutions: Case[];
  batchNorms: Case[];
  resizes: Case[];
  affinityBlock: Case;
}

/** Made by tools/reference/runtime/make-fixtures.py. */
const fixtures = JSON.parse(
  readFileSync(new URL('../fixtures/pytorch-layers.json', import.meta.url), 'utf8'),
) as Fixtures;

const tensor = ({ shape, data }: Stored) => tf.tensor(data, shape);
const tolerance = 2e-5;

function expectClose(actual: tf.Tensor, expected: Stored): void {
  expect(actual.shape).toEqual(expected.shape);
  expect(relativeError(actual.dataSync(), expected.data)).toBeLessThan(tolerance);
}

/** Builds the layer on x, fills its weights in their order, and returns gradients of sum(y * dy). */
function run(layer: tfl.layers.Layer, inputs: tf.Tensor[], weights: Stored[], dy: Stored) {
  const argument = inputs.length === 1 ? inputs[0] : inputs;
  layer.apply(argument, { training: true });
  layer.setWeights(weights.map(tensor));
  const upstream = tensor(dy);
  const variables = layer.trainableWeights.map((weight) => weight.read() as tf.Variable);
  const forward = (...args: tf.Tensor[]) => {
    const y = layer.apply(args.length === 1 ? args[0] : args, { training: true }) as tf.Tensor;
    return tf.sum(tf.mul(y, upstream));
  };
  const y = layer.apply(argument, { training: true }) as tf.Tensor;
  const inputGradients = tf.grads(forward)(inputs);
  const { grads } =
    variables.length > 0 ? tf.variableGrads(() => forward(...inputs) as tf.Scalar, variables) : { grads: {} };
  return {
    y,
    inputGradients,
    weightGradients: variables.map((variable) => grads[variable.name as keyof typeof grads] as tf.Tensor),
  };
}

describe.each(await testedBackends())('layers against PyTorch on %s', (backend) => {
  beforeAll(async () => {
    await useBackend(backend);
  });

  test.each(fixtures.convolutions.map((c) => [JSON.stringify(c.options), c] as const))(
    'conv2d %s',
    (_name, c) => {
      const layer = conv2d(c.options as unknown as Conv2DOptions);
      const { y, inputGradients, weightGradients } = run(
        layer,
        [tensor(c['x'])],
        [c['kernel'], c['bias']],
        c['dy'],
      );
      expectClose(y, c['y']);
      expectClose(inputGradients[0], c['dx']);
      expectClose(weightGradients[0], c['dKernel']);
      expectClose(weightGradients[1], c['dBias']);
      expect(layer.computeOutputShape(c['x'].shape)).toEqual(c['y'].shape);
      layer.dispose();
    },
  );

  test.each(fixtures.depthwiseConvolutions.map((c) => [JSON.stringify(c.options), c] as const))(
    'depthwiseConv2d %s',
    (_name, c) => {
      const layer = depthwiseConv2d(c.options as unknown as DepthwiseConv2DOptions);
      const { y, inputGradients, weightGradients } = run(layer, [tensor(c['x'])], [c['kernel']], c['dy']);
      expectClose(y, c['y']);
      expectClose(inputGradients[0], c['dx']);
      expectClose(weightGradients[0], c['dKernel']);
      expect(layer.computeOutputShape(c['x'].shape)).toEqual(c['y'].shape);
      layer.dispose();
    },
  );

  test.each(fixtures.batchNorms.map((c) => [JSON.stringify(c.options), c] as const))(
    'frozenBatchNorm %s',
    (_name, c) => {
      const layer = frozenBatchNorm(c.options as unknown as FrozenBatchNormOptions);
      const weights = [c['gamma'], c['beta'], c['mean'], c['variance']];
      const { y, inputGradients } = run(layer, [tensor(c['x'])], weights, c['dy']);
      expectClose(y, c['y']);
      expectClose(inputGradients[0], c['dx']);
      expect(layer.trainableWeights).toHaveLength(0);
      layer.dispose();
    },
  );

  test('resizeLayer and resizeLike', () => {
    for (const c of fixtures.resizes) {
      const [, height, width] = c['y'].shape;
      const fixed = run(resizeLayer({ height, width }), [tensor(c['x'])], [], c['dy']);
      expectClose(fixed.y, c['y']);
      expectClose(fixed.inputGradients[0], c['dx']);
      const like = resizeLike().apply([tensor(c['x']), tensor(c['y'])]) as tf.Tensor;
      expectClose(like, c['y']);
    }
  });

  test('the whole affinity block: pairwise, fused, applied', () => {
    const c = fixtures.affinityBlock;
    const pairSeg = pairwiseAffinity();
    const pairSal = pairwiseAffinity();
    const fuse = fuseAffinities();
    const apply = applyAffinity();
    const names = ['segTheta', 'segPhi', 'salTheta', 'salPhi', 'logits'];
    const inputs = names.map((name) => tensor(c[name]));
    const block = (
      theta: tf.Tensor,
      phi: tf.Tensor,
      theta2: tf.Tensor,
      phi2: tf.Tensor,
      logits: tf.Tensor,
    ) => {
      const seg = pairSeg.apply([theta, phi]) as tf.Tensor;
      const sal = pairSal.apply([theta2, phi2]) as tf.Tensor;
      const fused = fuse.apply([seg, sal]) as tf.Tensor;
      return { fused, refined: apply.apply([fused, logits]) as tf.Tensor };
    };
    const [a, b, d, e, f] = inputs;
    block(a, b, d, e, f);
    fuse.setWeights([c['conv1'], c['conv2'], c['bias']].map(tensor));
    const { fused, refined } = block(a, b, d, e, f);
    expectClose(fused, c['fused']);
    expectClose(refined, c['refined']);
    const loss = (...[p, q, r, s, t]: tf.Tensor[]) =>
      tf.sum(tf.mul(block(p, q, r, s, t).refined, tensor(c['dy'])));
    tf.grads(loss)(inputs).forEach((gradient, i) => {
      expectClose(gradient, c[`d${names[i][0].toUpperCase()}${names[i].slice(1)}`]);
    });
    const variables = fuse.trainableWeights.map((weight) => weight.read() as tf.Variable);
    const { grads } = tf.variableGrads(() => loss(...inputs) as tf.Scalar, variables);
    ['dConv1', 'dConv2', 'dBias'].forEach((name, i) => {
      expectClose(grads[variables[i].name], c[name]);
    });
    fuse.dispose();
  });

  test('channelDropout drops whole channels, scales the rest, and follows key and name', () => {
    const x = tf.ones([3, 2, 4, 50]);
    const layer = channelDropout({ name: `dropout-${backend}`, rate: 0.3 });
    const draw = (key: number, of = layer) => {
      setRandomKey(key);
      return of.apply(x, { training: true }) as tf.Tensor4D;
    };
    const first = draw(7);
    const values = first.dataSync();
    const kept = new Set<string>();
    for (let n = 0; n < 3; n++)
      for (let ch = 0; ch < 50; ch++) {
        const channel = Array.from({ length: 8 }, (_, p) => values[(n * 8 + p) * 50 + ch]);
        expect(new Set(channel).size).toBe(1);
        kept.add(channel[0].toFixed(5));
      }
    expect([...kept].sort()).toEqual(['0.00000', (1 / 0.7).toFixed(5)]);
    const mean = tf.mean(first).dataSync()[0];
    expect(Math.abs(mean - 1)).toBeLessThan(0.2);
    draw(8);
    expect([...draw(7).dataSync()]).toEqual([...values]);
    expect([...draw(8).dataSync()]).not.toEqual([...values]);
    expect([...draw(7, channelDropout({ name: 'another', rate: 0.3 })).dataSync()]).not.toEqual([...values]);
    expect([...(layer.apply(x) as tf.Tensor).dataSync()]).toEqual([...x.dataSync()]);
    const gradient = tf.grad((a) => {
      setRandomKey(7);
      return tf.sum(layer.apply(a, { training: true }) as tf.Tensor);
    })(x);
    expect([...gradient.dataSync()]).toEqual([...values]);
    setRandomKey(0);
  });

  test('a model of every layer saves, loads, summarises, takes any size, and leaks nothing', async () => {
    const image = tfl.input({ shape: [null, null, 3] });
    const of = (layer: tfl.layers.Layer, ...inputs: tfl.SymbolicTensor[]) =>
      layer.apply(inputs.length === 1 ? inputs[0] : inputs) as tfl.SymbolicTensor;
    const name = (label: string) => `${label}_${backend}`;
    let h = of(
      conv2d({ name: name('stem'), filters: 6, kernelSize: 3, strides: 2, trainable: false }),
      image,
    );
    h = of(depthwiseConv2d({ name: name('depthwise'), kernelSize: 3, dilation: 2, activation: 'relu6' }), h);
    h = of(frozenBatchNorm({ name: name('norm'), activation: 'relu', epsilon: 1e-3 }), h);
    h = of(channelDropout({ name: name('dropout'), rate: 0.5 }), h);
    const initializer = tfl.initializers.randomNormal({ stddev: 0.1, seed: 3 });
    const theta = of(
      conv2d({ name: name('theta'), filters: 4, kernelSize: 1, kernelInitializer: initializer }),
      h,
    );
    const phi = of(conv2d({ name: name('phi'), filters: 4, kernelSize: [1, 1], useBias: false }), h);
    const seg = of(pairwiseAffinity({ name: name('seg') }), theta, phi);
    const sal = of(pairwiseAffinity({ name: name('sal') }), phi, theta);
    const fused = of(fuseAffinities({ name: name('fuse'), conv1Initializer: 'glorotUniform' }), seg, sal);
    const refined = of(applyAffinity({ name: name('apply') }), fused, h);
    const up = of(resizeLike({ name: name('up') }), refined, image);
    const small = of(resizeLayer({ name: name('small'), height: 5, width: 6 }), up);
    const model = tfl.model({ inputs: image, outputs: [small, up, fused] });

    const lines: string[] = [];
    model.summary(undefined, undefined, (line) => lines.push(line));
    expect(lines.join('\n')).toContain('AuxFuseAffini');
    let artifacts: tf.io.ModelArtifacts | undefined;
    await model.save({
      save: async (saved) => {
        artifacts = saved;
        return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
      },
    });
    const loaded = await tfl.loadLayersModel({ load: async () => artifacts! });
    for (const [height, width] of [
      [13, 17],
      [21, 8],
    ]) {
      const x = tf.randomUniform([2, height, width, 3], -1, 1, 'float32', 5);
      const expected = model.predict(x) as tf.Tensor[];
      const actual = loaded.predict(x) as tf.Tensor[];
      expect(expected[1].shape).toEqual([2, height, width, 6]);
      expected.forEach((y, i) => {
        expect(relativeError(actual[i].dataSync(), y.dataSync())).toBeLessThan(1e-6);
      });
      tf.dispose([x, ...expected, ...actual]);
    }

    const x = tf.randomUniform([2, 13, 17, 3], -1, 1, 'float32', 6);
    const step = () => {
      setRandomKey(1);
      const { value, grads } = tf.variableGrads(
        () => tf.mean(tf.square((model.apply(x, { training: true }) as tf.Tensor[])[0])) as tf.Scalar,
      );
      const names = Object.keys(grads);
      tf.dispose([value, ...Object.values(grads)]);
      return names;
    };
    const names = step();
    expect(names.some((variable) => variable.startsWith('stem'))).toBe(false);
    expect(names).toHaveLength(2 + 2 + 1 + 3);
    const before = tf.memory();
    step();
    step();
    expect(tf.memory().numTensors).toBe(before.numTensors);
    expect(tf.memory().numBytes).toBe(before.numBytes);
    tf.dispose(x);
    model.dispose();
    loaded.dispose();
  });
});

describe('layer options', () => {
  test.each([
    ['filters', () => conv2d({ filters: 0, kernelSize: 3 })],
    ['kernelSize', () => conv2d({ filters: 1, kernelSize: 1.5 })],
    ['even', () => conv2d({ name: 'even', filters: 1, kernelSize: 2 })],
    ['activation', () => conv2d({ filters: 1, kernelSize: 3, activation: 'elu' as never })],
    ['padding', () => conv2d({ filters: 1, kernelSize: 3, padding: 'full' as never })],
    ['rate', () => channelDropout({ rate: 1 })],
    ['height', () => resizeLayer({ height: 0, width: 3 })],
    ['initialiser', () => conv2d({ filters: 1, kernelSize: 3, kernelInitializer: 'magic' as never })],
    ['random key', () => setRandomKey(-1)],
    ['\\[A_seg, A_sal\\]', () => fuseAffinities().apply(tfl.input({ shape: [4, 4] }))],
  ])('a bad %s is refused by name', (word, make) => {
    expect(make).toThrow(RuntimeError);
    expect(make).toThrow(new RegExp(word));
  });

  test('an even kernel is fine where its padding is even', () => {
    expect(conv2d({ filters: 1, kernelSize: 2, dilation: 2 }).computeOutputShape([1, 9, 7, 3])).toEqual([
      1, 9, 7, 1,
    ]);
  });
});
