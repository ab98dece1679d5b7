import type { NamedTensor, TensorMap } from '@auxseg/formats';
import { useBackend } from '@auxseg/runtime';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { createNetworkFromConfig } from './network.js';
import { loadClassifierStateDict, loadOfficialStateDict, officialStateDict } from './official-state-dict.js';
import { resolveRecipe } from './recipe.js';
import { loadTensors, modelToTensors, parseWeightsMetadata } from './weights.js';

const config = resolveRecipe({
  preset: 'tiny',
  network: { backbone: { width: 0.25 }, head: { channels: 8 } },
}).network;

beforeAll(async () => {
  await useBackend('cpu');
});

/** A network whose weights are another one's, of which `name` is replaced. */
function damaged(names: 'ours' | 'official', name: string, replace: (tensor: NamedTensor) => NamedTensor) {
  const { model } = createNetworkFromConfig(config, 3, 1);
  const other = createNetworkFromConfig(config, 3, 2).model;
  const tensors = names === 'ours' ? modelToTensors(other) : officialStateDict(other);
  tensors.set(name, replace(tensors.get(name)!));
  return { model, tensors, before: modelToTensors(model) };
}

const withNaN = (tensor: NamedTensor): NamedTensor => {
  const data = tensor.data.slice() as Float32Array;
  data[5] = Number.NaN;
  return { ...tensor, data };
};
const asInt64 = ({ shape, data }: NamedTensor): NamedTensor => ({
  dtype: 'int64',
  shape,
  data: new BigInt64Array(data.length),
});

describe('weights that no network can have', () => {
  test.each([
    ['NaN', withNaN, /other\.pth; 1 tensors .*\(seg_conv2\.weight: NaN at 5\)/],
    ['64-bit integers', asInt64, /other\.pth; 1 tensors .*\(seg_conv2\.weight: int64\)/],
  ])('%s in a state dict: named, and the model is as it was', (_, replace, message) => {
    const { model, tensors, before } = damaged('official', 'seg_conv2.weight', replace);
    expect(() => loadOfficialStateDict(model, tensors, { source: 'other.pth' })).toThrow(message);
    expect(() => loadClassifierStateDict(model, tensors, { source: 'other.pth' })).toThrow(message);
    expect(modelToTensors(model)).toEqual(before);
  });

  test('NaN in a file of ours: named, and the model is as it was', () => {
    const { model, tensors, before } = damaged('ours', 'seg_conv2/kernel', withNaN);
    expect(() => loadTensors(model, tensors, { source: 'model.safetensors' })).toThrow(
      /model\.safetensors; 1 tensors .*\(seg_conv2\/kernel: NaN at 5\)/,
    );
    expect(modelToTensors(model)).toEqual(before);
  });

  test('a parameter with and without module. is refused', () => {
    const { model, tensors } = damaged('official', 'fc8.weight', (tensor) => tensor);
    const twice: TensorMap = new Map([...tensors, ['module.fc8.weight', tensors.get('fc8.weight')!]]);
    expect(() => loadOfficialStateDict(model, twice)).toThrow(/one tensor for fc8\.weight/);
  });
});

describe('parseWeightsMetadata', () => {
  const text = {
    format: 'auxseg',
    kind: 'classifier',
    network: JSON.stringify(config),
    classes: '["a","b"]',
  };

  test('reads what encodeModel wrote; nothing else is ours', () => {
    expect(parseWeightsMetadata(text)).toEqual({ network: config, classes: ['a', 'b'], kind: 'classifier' });
    expect(parseWeightsMetadata({ format: 'pt' })).toBeNull();
  });

  test.each([
    ['JSON cut off', { network: '{"backbone"' }, /metadata of m\.safetensors.*JSON/],
    [
      'another network',
      { network: '{"backbone":{"name":"vgg"}}' },
      /m\.safetensors.*'network\.backbone\.name'/,
    ],
    ['no classes', { classes: '[]' }, /m\.safetensors.*'classes'/],
    ['another kind', { kind: 'detector' }, /m\.safetensors.*'kind'/],
  ])('%s: an error with the file', (_, change, message) => {
    expect(() => parseWeightsMetadata({ ...text, ...change }, 'm.safetensors')).toThrow(message);
  });
});
