import type { TensorMap } from '@auxseg/formats';
import { useBackend } from '@auxseg/runtime';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as tfl from '@tensorflow/tfjs-layers';
import { BackboneError } from './backbone-error.js';
import { hashedValues } from './hashed-values.js';
import { loadResNet38Weights } from './load-resnet38-weights.js';
import { pyTorchNameOfMxnet } from './mxnet-names.js';
import { pyTorchPlace, toPyTorch } from './pytorch-layout.js';
import { createResNet38 } from './resnet38.js';

let model: tfl.LayersModel;

beforeAll(async () => {
  await useBackend('cpu');
  const input = tfl.input({ shape: [null, null, 3] });
  model = tfl.model({ inputs: input, outputs: createResNet38({ width: 1 / 64 })(input).features });
});

afterAll(() => {
  model.dispose();
});

function stateDict(): TensorMap {
  const tensors: TensorMap = new Map();
  for (const weight of model.weights) {
    const { name, shape } = pyTorchPlace(weight.originalName, weight.shape as number[])!;
    tensors.set(name, {
      dtype: 'float32',
      shape,
      data: hashedValues(
        name,
        shape.reduce((a, b) => a * b, 1),
      ),
    });
  }
  return tensors;
}

function expectLoaded(tensors: TensorMap) {
  for (const weight of model.weights) {
    const value = weight.read();
    const back = toPyTorch({
      name: weight.originalName,
      shape: value.shape,
      data: value.dataSync() as Float32Array,
    })!;
    expect(Array.from(back.data)).toEqual(Array.from(tensors.get(back.name)!.data as Float32Array));
  }
}

/** The MXNet name of a PyTorch name, in the file's own lettering (b1, b2, ... for later units). */
function toMxnet(name: string): string {
  const bn: Record<string, string> = {
    weight: 'gamma',
    bias: 'beta',
    running_mean: 'moving_mean',
    running_var: 'moving_var',
  };
  const [module, ...rest] = name.split('.');
  if (module === 'conv1a') return 'arg:conv1a_weight';
  if (module === 'bn7') return `aux:bn7_${bn[rest[0]]}`;
  const [stage, index] = module.slice(1).split('_');
  const [type, branch] = rest[0].split('_');
  const unit = index === undefined ? 'a' : `b${index}`;
  return type === 'conv'
    ? `arg:res${stage}${unit}_${branch}_weight`
    : `bn${stage}${unit}_${branch}_${bn[rest[1]]}`;
}

describe('loads', () => {
  test('a PyTorch state dict, with heads and counters left over', () => {
    const tensors = stateDict();
    tensors.set('fc8.weight', { dtype: 'float32', shape: [1], data: new Float32Array(1) });
    tensors.set('bn7.num_batches_tracked', { dtype: 'int64', shape: [], data: new BigInt64Array(1) });
    const report = loadResNet38Weights(model, tensors);
    expect(report).toEqual({
      loaded: model.weights.length,
      unused: ['fc8.weight', 'bn7.num_batches_tracked'],
    });
    expectLoaded(tensors);
  });

  test('with module. prefixes', () => {
    const tensors = stateDict();
    loadResNet38Weights(model, new Map([...tensors].map(([name, tensor]) => [`module.${name}`, tensor])));
    expectLoaded(tensors);
  });

  test('the MXNet ImageNet file, its classifier left over', () => {
    const tensors = stateDict();
    const mxnet = new Map([...tensors].map(([name, tensor]) => [toMxnet(name), tensor]));
    mxnet.set('arg:linear1000_weight', { dtype: 'float32', shape: [1], data: new Float32Array(1) });
    expect(loadResNet38Weights(model, mxnet).unused).toEqual(['arg:linear1000_weight']);
    expectLoaded(tensors);
  });
});

test('MXNet names translate as method.md says', () => {
  expect(pyTorchNameOfMxnet('res2a_branch2a_weight')).toBe('b2.conv_branch2a.weight');
  expect(pyTorchNameOfMxnet('bn5b_branch2b1_moving_var')).toBe('b5_1.bn_branch2b1.running_var');
  expect(pyTorchNameOfMxnet('res4b3_branch2b1_weight')).toBe('b4_3.conv_branch2b1.weight');
  expect(pyTorchNameOfMxnet('bn5c_branch2a_beta')).toBe('b5_2.bn_branch2a.bias');
  expect(pyTorchNameOfMxnet('arg:res7a_branch2b2_weight')).toBe('b7.conv_branch2b2.weight');
  expect(pyTorchNameOfMxnet('bn7_gamma')).toBe('bn7.weight');
  expect(pyTorchNameOfMxnet('linear1000_bias')).toBeUndefined();
  expect(pyTorchNameOfMxnet('b2.conv_branch2a.weight')).toBeUndefined();
});

describe('refuses, and leaves the model as it was', () => {
  const failure = (change: (tensors: TensorMap) => void): BackboneError => {
    const tensors = new Map(
      [...stateDict()].map(([name, t]) => [name, { ...t, data: new Float32Array(t.data.length) }]),
    );
    change(tensors as TensorMap);
    const before = model.getLayer('conv1a').getWeights()[0].dataSync().slice();
    try {
      loadResNet38Weights(model, tensors as TensorMap);
    } catch (error) {
      expect(model.getLayer('conv1a').getWeights()[0].dataSync()).toEqual(before);
      return error as BackboneError;
    }
    throw new Error('expected a failure');
  };

  test('missing tensors and wrong shapes, all named', () => {
    const error = failure((tensors) => {
      tensors.delete('b4_2.conv_branch2a.weight');
      tensors.delete('bn7.running_var');
      tensors.set('conv1a.weight', { dtype: 'float32', shape: [64, 3, 3, 3], data: new Float32Array(1728) });
    });
    expect(error).toBeInstanceOf(BackboneError);
    expect(error.code).toBe('bad-weights');
    expect(error.message).toContain('2 missing: b4_2.conv_branch2a.weight, bn7.running_var');
    expect(error.message).toContain('conv1a.weight [64,3,3,3] (expected [1,3,3,3])');
    expect(error.details['missing']).toHaveLength(2);
  });

  test('NaN, as a damaged file or a diverged training leaves it', () => {
    const error = failure((tensors) => {
      (tensors.get('b3.conv_branch1.weight')!.data as Float32Array)[1] = Number.NaN;
    });
    expect(error.message).toContain('1 with NaN or infinity: b3.conv_branch1.weight');
  });

  test('the same weight under two names', () => {
    const error = failure((tensors) => tensors.set('module.conv1a.weight', tensors.get('conv1a.weight')!));
    expect(error.message).toContain("'conv1a.weight' and 'module.conv1a.weight'");
  });

  test('another network', () => {
    const error = failure((tensors) => tensors.clear());
    expect(error.message).toMatch(/missing: conv1a\.weight, .* more\)/);
  });
});
