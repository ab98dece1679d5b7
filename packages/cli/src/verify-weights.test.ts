import { readFileSync } from 'node:fs';
import { resolveRecipe } from '@auxseg/auxsegnet';
import { type NamedTensor, readNpz, readPyTorchCheckpoint, type TensorMap } from '@auxseg/formats';
import { useBackend } from '@auxseg/runtime';
import { beforeAll, expect, test } from '@jest/globals';
import { verifyWeights } from './verify-weights.js';

const fixture = (name: string) =>
  readFileSync(new URL(`../../auxsegnet/fixtures/official-w32/${name}`, import.meta.url));
const weights = readPyTorchCheckpoint(fixture('weights.pth')).tensors;
const all = readNpz(fixture('reference.npz'));
// The smaller input is enough, and its losses were not recorded.
const reference: TensorMap = new Map([...all].filter(([name]) => name.startsWith('b_')));
const gradients = readNpz(fixture('gradients.npz'));

beforeAll(async () => {
  await useBackend('wasm');
});

const verify = (over: { reference?: TensorMap; gradients?: TensorMap }) =>
  verifyWeights({
    weights,
    reference,
    gradients: null,
    base: resolveRecipe({ preset: 'official' }).network,
    source: 'weights.pth',
    strict: true,
    ...over,
  });
const withNaN = (tensor: NamedTensor): NamedTensor => {
  const data = Float32Array.from(tensor.data as Float32Array);
  data[1] = Number.NaN;
  return { ...tensor, data };
};

test('a recorded NaN is refused: it would agree with everything', () => {
  expect(() =>
    verify({ reference: new Map([...reference, ['b_cam', withNaN(reference.get('b_cam')!)]]) }),
  ).toThrow(/recorded 'b_cam', got NaN at 1/);
  const diverged = new Map([...gradients, ['fc8.weight', withNaN(gradients.get('fc8.weight')!)]]);
  expect(() => verify({ reference: all, gradients: diverged })).toThrow(
    /recorded 'fc8\.weight', got NaN at 1/,
  );
});

test('a recorded array of another shape is refused, with both shapes', () => {
  const cam = reference.get('b_cam')!;
  const lastAxis = { ...cam, shape: [1, 8, 8, 4] };
  expect(() => verify({ reference: new Map([...reference, ['b_cam', lastAxis]]) })).toThrow(
    /'b_cam' to be \[1, 4, 8, 8\].*got \[1, 8, 8, 4\]/,
  );
  const labels = { ...all.get('labels')!, shape: [2, 3], data: new Float32Array(6) };
  expect(() => verify({ reference: new Map([...all, ['labels', labels]]) })).toThrow(
    /'labels' to be \[2, 4\].*got \[2, 3\]/,
  );
});

test('what has no counterpart is listed', () => {
  const kam = reference.get('b_cam')!;
  const { outputs, notCompared } = verify({ reference: new Map([...reference, ['b_kam', kam]]) });
  expect(Object.keys(outputs)).toHaveLength(7);
  expect(notCompared).toEqual(['b_kam']);
});
