import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readIndexedPng, readPyTorchCheckpoint, readSafetensors } from '@auxseg/formats';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

/** docs/reproduce-the-paper.md on a miniature: the authors' formats, ResNet-38 at width 1/32, four classes. */
const fixtures = join('packages', 'auxsegnet', 'fixtures', 'official-w32');
const folder = mkdtempSync(join(tmpdir(), 'auxseg-authors-'));
const at = (...parts: string[]) => join(folder, ...parts);
const auxseg = (...args: string[]) => {
  const result = spawnSync(process.execPath, [join('packages', 'cli', 'dist', 'bin.js'), ...args], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { ...result, json: () => JSON.parse(result.stdout) };
};
const weights = at('checkpoint.pth');

beforeAll(() => {
  copyFileSync(join(fixtures, 'weights.pth'), weights);
  const made = auxseg(
    'data',
    'synthesize',
    '--out',
    at('VOC2012'),
    '--train',
    '4',
    '--val',
    '3',
    '--size',
    '64',
    '--json',
  );
  expect({ status: made.status, error: made.stderr.slice(-800) }).toMatchObject({ status: 0 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('weights inspect says what the checkpoint is', () => {
  const report = auxseg('weights', 'inspect', weights, '--json').json();
  expect(report.fits).toContain('preset official (ResNet-38, width 0.03125, 4 classes)');
  expect(report.tensors.find((row: { name: string }) => row.name === 'fc8.weight').shape).toEqual([
    4, 128, 1, 1,
  ]);
});

test('weights verify: outputs, losses and gradients as PyTorch recorded them; exit code 1 beyond the tolerance', () => {
  const args = ['weights', 'verify', '--weights', weights, '--reference', join(fixtures, 'reference.npz')];
  const whole = auxseg(...args, '--gradients', join(fixtures, 'gradients.npz'), '--json');
  expect(whole.status).toBe(0);
  const { outputs, losses, gradients } = whole.json();
  expect(Object.keys(outputs)).toEqual(
    expect.arrayContaining(['a_cam', 'a_refinedSegmentation', 'b_affinity']),
  );
  for (const error of Object.values(outputs)) expect(error).toBeLessThan(1e-4);
  expect(losses).toBeLessThan(1e-4);
  expect(gradients.count).toBeGreaterThan(70);
  expect(gradients.worst.relNormError).toBeLessThan(1e-3);
  expect(auxseg(...args, '--tolerance', '1e-12').status).toBe(1);
});

test('weights convert: .pth to safetensors and back loses nothing', () => {
  expect(auxseg('weights', 'convert', weights, at('w.safetensors')).status).toBe(0);
  expect(auxseg('weights', 'convert', at('w.safetensors'), at('back.pth')).status).toBe(0);
  const first = readPyTorchCheckpoint(readFileSync(weights)).tensors;
  const last = readPyTorchCheckpoint(readFileSync(at('back.pth'))).tensors;
  expect([...readSafetensors(readFileSync(at('w.safetensors'))).tensors.keys()].sort()).toEqual(
    [...first.keys()].sort(),
  );
  for (const [name, tensor] of first) {
    expect(last.get(name)!.shape).toEqual(tensor.shape);
    expect(Array.from(last.get(name)!.data as Float32Array)).toEqual(Array.from(tensor.data as Float32Array));
  }
});

describe('predict and evaluate', () => {
  const images = at('VOC2012', 'JPEGImages');
  const list = at('VOC2012', 'ImageSets', 'Segmentation', 'val.txt');

  test('the checkpoint predicts every image of the list at its own size; a second start finds them done', () => {
    const args = [
      'predict',
      '--preset',
      'official',
      '--weights',
      weights,
      '--images',
      images,
      '--list',
      list,
      '--out',
      at('p'),
      '--json',
    ];
    const result = auxseg(...args);
    expect({ status: result.status, error: result.stderr.slice(-800) }).toMatchObject({ status: 0 });
    expect(result.json()).toMatchObject({ images: 3, predicted: 3, skipped: 0 });
    const files = readdirSync(at('p'));
    expect(files).toHaveLength(3);
    for (const file of files)
      expect(readIndexedPng(readFileSync(at('p', file)))).toMatchObject({ width: 64, height: 64 });
    expect(auxseg(...args).json()).toMatchObject({ predicted: 0, skipped: 3 });
  });

  test('several scales, flip and CRF', () => {
    const result = auxseg(
      ...[
        'predict',
        '--weights',
        weights,
        '--images',
        images,
        '--list',
        list,
        '--out',
        at('ms'),
        '--scales',
        '0.5,1,1.5',
        '--flip',
      ],
      '--crf',
    );
    expect({ status: result.status, error: result.stderr.slice(-800) }).toMatchObject({ status: 0 });
    expect(readdirSync(at('ms'))).toHaveLength(3);
  });

  test('evaluate scores them against the masks', () => {
    const truth = at('VOC2012', 'SegmentationClass');
    const { images: count, perClassIoU } = auxseg(
      ...['evaluate', '--pred', at('p'), '--truth', truth, '--list', list, '--classes', '5', '--json'],
    ).json();
    expect(count).toBe(3);
    expect(perClassIoU).toHaveLength(5);
  });
});

test('training starts from ImageNet-style weights under PyTorch names', () => {
  const recipe = at('recipe.yaml');
  writeFileSync(
    recipe,
    `preset: official
data: { kind: voc, train: train, score: train, val: val, workers: 0 }
saliency: { directory: saliency }
network: { backbone: { width: 0.03125, weights: checkpoint.pth }, head: { channels: 8 } }
classifier: { epochs: 1, batchSize: 2, cropPx: 64 }
cam: { scales: [1] }
train: { epochs: 1, batchSize: 2, cropPx: 64 }
evaluation: { scales: [1], crf: false }
stages: 1
pictures: 1
`,
  );
  mkdirSync(at('runs'));
  const result = auxseg('run', recipe, '--data', at('VOC2012'), '--out', at('runs', 'voc12'), '--json');
  expect({ status: result.status, error: result.stderr.slice(-800) }).toMatchObject({ status: 0 });
  expect(result.json().validation).toHaveLength(1);
}, 120_000);
