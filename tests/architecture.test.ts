import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { describe, expect, test } from '@jest/globals';

/** Packages from left to right; a package may depend on those before it only (docs/concepts.md). */
const order = [
  'formats',
  'metrics',
  'crf',
  'tfjs-backend-onnx',
  'runtime',
  'backbone',
  'heads',
  'affinity',
  'cam',
  'datasets',
  'saliency',
  'pseudo-label',
  'trainer',
  'report',
  'auxsegnet',
  'cli',
];
const withoutTensorFlow = ['formats', 'metrics', 'crf', 'datasets', 'saliency', 'pseudo-label', 'report'];

const manifest = (name: string) => JSON.parse(readFileSync(join('packages', name, 'package.json'), 'utf8'));
const sources = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? sources(path) : entry.name.endsWith('.ts') ? [path] : [];
  });
const imported = (file: string) =>
  [...readFileSync(file, 'utf8').matchAll(/(?:from|import)\s*\(?\s*'(@[^'/]+\/[^'/]+)/g)].map(
    (match) => match[1],
  );

test('every folder under packages is in the order and the other way round', () => {
  const folders = readdirSync('packages').filter((name) =>
    existsSync(join('packages', name, 'package.json')),
  );
  expect(folders.sort()).toEqual([...order].sort());
});

test('commands are files of the repository: npm links none that only a build makes', () => {
  const commands = order.flatMap((name) =>
    Object.values((manifest(name).bin ?? {}) as Record<string, string>).map((file) =>
      join('packages', name, file),
    ),
  );
  expect(commands).toEqual([join('packages', 'cli', 'bin', 'auxseg.js')]);
  for (const file of commands) {
    expect(file).not.toContain(`${sep}dist${sep}`);
    expect(readFileSync(file, 'utf8')).toMatch(/^#!/);
  }
});

describe.each(order)('%s', (name) => {
  const allowed = new Set(order.slice(0, order.indexOf(name)).map((left) => `@auxseg/${left}`));
  const { dependencies = {}, peerDependencies = {}, version } = manifest(name);

  test('depends on packages to its left only, at the same version', () => {
    const siblings = Object.entries(dependencies as Record<string, string>).filter(([key]) =>
      key.startsWith('@auxseg/'),
    );
    for (const [key, range] of siblings) {
      expect([...allowed]).toContain(key);
      expect(range).toBe(version);
    }
  });

  test('imports only what its package.json names', () => {
    const declared = new Set([
      ...Object.keys(dependencies),
      ...Object.keys(peerDependencies),
      `@auxseg/${name}`,
    ]);
    for (const file of sources(join('packages', name, 'src'))) {
      if (/\.test\.ts$|testing/.test(file)) continue;
      const foreign = imported(file).filter(
        (key) => /^@(auxseg|tensorflow)\//.test(key) && !declared.has(key),
      );
      // tfjs-node and tfjs-node-gpu are optional: loaded by dynamic import, never installed by us.
      expect({ file, foreign: foreign.filter((key) => !/tfjs-node(-gpu)?$/.test(key)) }).toEqual({
        file,
        foreign: [],
      });
    }
  });

  if (withoutTensorFlow.includes(name)) {
    test('does not import TensorFlow.js', () => {
      for (const file of sources(join('packages', name, 'src'))) {
        expect({ file, tensorflow: imported(file).filter((key) => key.startsWith('@tensorflow/')) }).toEqual({
          file,
          tensorflow: [],
        });
      }
    });
  }
});
