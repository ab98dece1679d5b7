import { readFileSync } from 'node:fs';
import { hashedValues } from '@auxseg/backbone/testing';
import { readNpz, type TensorMap } from '@auxseg/formats';
import { useBackend } from '@auxseg/runtime';
import { describe, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { createNetworkFromConfig, outputNames, runNetwork } from './network.js';
import { loadOfficialStateDict } from './official-state-dict.js';
import { resolveRecipe } from './recipe.js';

const fixture = (name: string) => readFileSync(new URL(`../fixtures/official-w16/${name}`, import.meta.url));
const reference = readNpz(fixture('reference.npz'));

/** The weights of make_w16_fixtures.py: hashed values in float32 steps, and recorded statistics. */
function stateDict(): TensorMap {
  const {
    hashed,
    statistics,
  }: { hashed: Record<string, [number[], number, number]>; statistics: [string, number][] } = JSON.parse(
    fixture('weights.json').toString(),
  );
  const tensors: TensorMap = new Map();
  for (const [name, [shape, scale, offset]] of Object.entries(hashed)) {
    const values = hashedValues(
      name,
      shape.reduce((a, b) => a * b, 1),
    );
    const data = values.map((value) => Math.fround(Math.fround(value * scale) + offset));
    tensors.set(name, { dtype: 'float32', shape, data });
  }
  const flat = readNpz(fixture('statistics.npz')).get('statistics')!.data as Float32Array;
  let at = 0;
  for (const [name, length] of statistics) {
    tensors.set(name, { dtype: 'float32', shape: [length], data: flat.slice(at, at + length) });
    at += length;
  }
  return tensors;
}

describe('all outputs at width 1/16, 20 classes, against PyTorch', () => {
  const weights = stateDict();

  test.each(['cpu', 'wasm', 'onnx'] as const)(
    'on %s: 2 x 97 x 129 and 64 x 64, relative error at most 1e-4',
    async (backend) => {
      await useBackend(backend);
      const { network: official } = resolveRecipe({ preset: 'official' });
      const network = createNetworkFromConfig(
        {
          ...official,
          backbone: { ...official.backbone, width: 1 / 16 },
          head: { ...official.head, channels: 8 },
        },
        20,
      );
      const report = loadOfficialStateDict(network.model, weights);
      expect([...report.unused.keys()].every((name) => /_att\.(g|W_z)/.test(name))).toBe(true);
      const errors: Record<string, number> = {};
      for (const tag of ['a', 'b']) {
        tf.tidy(() => {
          const { shape, data } = reference.get(`${tag}_x`)!;
          const images = tf.transpose(
            tf.tensor4d(data as Float32Array, shape as [number, number, number, number]),
            [0, 2, 3, 1],
          );
          const out = runNetwork(network, images, outputNames);
          for (const name of outputNames) {
            const ours = (
              out[name].rank === 4 ? tf.transpose(out[name], [0, 3, 1, 2]) : out[name]
            ).dataSync();
            const theirs = reference.get(`${tag}_${name}`)!.data as Float32Array;
            expect(ours.length).toBe(theirs.length);
            let error = 0;
            let largest = 0;
            for (let i = 0; i < ours.length; i++) {
              error = Math.max(error, Math.abs(ours[i] - theirs[i]));
              largest = Math.max(largest, Math.abs(theirs[i]));
            }
            errors[`${tag}_${name}`] = error / largest;
          }
        });
      }
      network.model.dispose();
      expect(Object.keys(errors)).toHaveLength(14);
      expect(Object.entries(errors).filter(([, error]) => !(error <= 1e-4))).toEqual([]);
    },
    60_000,
  );
});
