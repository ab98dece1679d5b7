import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readIndexedPng, readNpy, writeIndexedPng, writeNpy, writeRgbPng } from '@auxseg/formats';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

const [width, height, labels] = [24, 17, 3];
const folder = mkdtempSync(join(tmpdir(), 'crf-cli-'));
const at = (...names: string[]) => join(folder, ...names);
const crf = (...args: string[]) =>
  spawnSync(process.execPath, ['packages/cli/dist/bin.js', 'crf', ...args], {
    encoding: 'utf8',
    timeout: 60_000,
  });

beforeAll(() => {
  for (const name of ['images', 'probabilities', 'bad']) mkdirSync(at(name));
  const image = Uint8Array.from({ length: 3 * width * height }, (_, i) => (i * 37) % 256);
  const q = new Float32Array(labels * width * height).fill(1 / labels);
  for (const id of ['a', 'b']) {
    writeFileSync(at('images', `${id}.png`), writeRgbPng({ width, height, data: image }));
    const shape = [labels, height, width];
    writeFileSync(at('probabilities', `${id}.npy`), writeNpy({ dtype: 'float32', shape, data: q }));
    const bad = q.slice();
    bad[5] = Number.NaN;
    writeFileSync(at('bad', `${id}.npy`), writeNpy({ dtype: 'float32', shape, data: bad }));
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('one image: Q sums to one', () => {
  const input = ['--image', at('images', 'a.png'), '--probabilities', at('probabilities', 'a.npy')];
  expect(crf(...input, '--out', at('q.npy')).status).toBe(0);
  const { shape, data } = readNpy(readFileSync(at('q.npy')));
  expect(shape).toEqual([labels, height, width]);
  const q = data as Float32Array;
  const pixels = width * height;
  for (let i = 0; i < pixels; i++) expect(q[i] + q[i + pixels] + q[i + 2 * pixels]).toBeCloseTo(1, 5);
});

test('a folder, with preset and workers', () => {
  const input = ['--images', at('images'), '--probabilities', at('probabilities')];
  const { status, stdout } = crf(
    ...input,
    '--out',
    at('maps'),
    '--preset',
    'psa',
    '--workers',
    '2',
    '--json',
  );
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ images: 2 });
  expect(readdirSync(at('maps')).sort()).toEqual(['a.png', 'b.png']);
});

test('a label map becomes a label map, also with one class in it', () => {
  const data = Uint8Array.from({ length: width * height }, (_, i) => (i % width < 12 ? 0 : 1));
  writeFileSync(at('map.png'), writeIndexedPng({ width, height, data }));
  const maps = ['--image', at('images', 'a.png'), '--maps', at('map.png')];
  expect(crf(...maps, '--out', at('out.png'), '--iterations', '0').status).toBe(0);
  expect([...readIndexedPng(readFileSync(at('out.png'))).data]).toEqual([...data]);

  expect(crf(...maps, '--out', at('out.png'), '--gt-prob', 'abc')).toMatchObject({ status: 2 });
  // As energies it would be read as probabilities.
  const energies = crf('--image', at('images', 'a.png'), '--unary', at('map.png'), '--out', at('q.npy'));
  expect(energies).toMatchObject({ status: 2 });
  expect(energies.stderr).toMatch(/energies in \.npy.*map\.png.*--probabilities.*--maps/);
});

test('64-bit integers are numbers; a PNG has room for 256 labels; an output that cannot be', () => {
  const input = (n: number) => {
    const [shape, array] = [[n, height, width], new BigInt64Array(n * width * height)];
    writeFileSync(at('integers.npy'), writeNpy({ dtype: 'int64', shape, data: array }));
    return ['--image', at('images', 'a.png'), '--unary', at('integers.npy'), '--out'];
  };
  expect(crf(...input(3), at('q.npy')).status).toBe(0);
  const under = crf(...input(3), at('q.npy', 'q.npy'));
  expect(under).toMatchObject({ status: 1 });
  expect(under.stderr).toMatch(/Expected to write .*q\.npy.*choose another --out/);
  const many = crf(...input(300), at('labels.png'));
  expect(many).toMatchObject({ status: 2 });
  expect(many.stderr).toMatch(/at most 256 labels.*got 300/);
});

test('a bad value names its file and place; wrong use is exit code 2', () => {
  const images = ['--images', at('images')];
  const bad = crf(...images, '--probabilities', at('bad'), '--out', at('x'));
  expect(bad.status).toBe(1);
  expect(bad.stderr).toMatch(/[ab]\.npy: .*got NaN at label 0, row 0, column 5/);
  const good = [...images, '--probabilities', at('probabilities')];
  expect(crf(...good, '--out', at('x'), '--workers', '0').status).toBe(2);
  expect(crf(...good, '--out', at('x'), '--preset', 'nonsense').status).toBe(2);
  expect(crf(...images, '--probabilities', at('nowhere'), '--out', at('x')).status).toBe(2);
});
