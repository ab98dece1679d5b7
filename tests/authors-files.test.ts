import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { resolveRecipe } from '@auxseg/auxsegnet';
import {
  readIndexedPng,
  readNpz,
  readPyTorchCheckpoint,
  readSafetensors,
  readWeights,
  type TensorMap,
  writeIndexedPng,
  writeMxnetParams,
  writePyTorchCheckpoint,
  writeRgbPng,
} from '@auxseg/formats';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';

/**
 * docs/reproduce-the-paper.md on a miniature: the authors' formats, ResNet-38 at width 1/32, four classes. Every command of the
 * page runs, in its order, in a folder that has the files it names.
 */
const page = readFileSync(join('docs', 'reproduce-the-paper.md'), 'utf8');
const fixtures = resolve('packages', 'auxsegnet', 'fixtures');
const folder = mkdtempSync(join(tmpdir(), 'auxseg-authors-'));
const at = (...parts: string[]) => join(folder, ...parts);
const bin = resolve('packages', 'cli', 'dist', 'bin.js');
const auxseg = (...args: string[]) => {
  const result = spawnSync(process.execPath, [bin, ...args], {
    cwd: folder,
    encoding: 'utf8',
    timeout: 170_000,
  });
  return { ...result, json: () => JSON.parse(result.stdout) };
};
const succeeds = (...args: string[]) => {
  const result = auxseg(...args);
  expect({ args, status: result.status, error: result.stderr.slice(-1200) }).toMatchObject({ status: 0 });
  return result;
};
const read = (...parts: string[]) => readFileSync(join(fixtures, ...parts));
const weights = readPyTorchCheckpoint(read('official-w32', 'weights.pth')).tensors;

/** The names of the authors' ImageNet file, later units lettered b1, b2, ... in stage 4 as there. */
function mxnetName(name: string): string {
  const parameter = { weight: 'gamma', bias: 'beta', running_mean: 'moving_mean', running_var: 'moving_var' };
  const [module, ...rest] = name.split('.');
  if (module === 'conv1a') return 'conv1a_weight';
  if (module === 'bn7') return `bn7_${parameter[rest[0] as 'weight']}`;
  const [stage, index] = module.slice(1).split('_');
  const letter = stage === '4' ? `b${index}` : String.fromCharCode(97 + Number(index));
  const unit = `${stage}${index === undefined ? 'a' : letter}`;
  const [type, branch] = rest[0].split('_');
  return type === 'conv'
    ? `res${unit}_${branch}_weight`
    : `bn${unit}_${branch}_${parameter[rest[1] as 'weight']}`;
}
const isBackbone = (name: string) => /^(conv1a|b\d|bn7)/.test(name) && !name.endsWith('num_batches_tracked');
const asFloat32 = ({ shape, data }: { shape: number[]; data: unknown }) => ({
  dtype: 'float32' as const,
  shape,
  data: Float32Array.from(data as Float32Array),
});

beforeAll(() => {
  copyFileSync(join(fixtures, 'official-w32', 'weights.pth'), at('checkpoint.pth'));
  copyFileSync(join(fixtures, 'official-w32', 'reference.npz'), at('R.npz'));
  copyFileSync(join(fixtures, 'official-w32', 'gradients.npz'), at('G.npz'));
  const backbone = [...weights].filter(([name]) => isBackbone(name));
  const imagenet: TensorMap = new Map(backbone.map(([name, tensor]) => [mxnetName(name), asFloat32(tensor)]));
  imagenet.set('linear1000_weight', { dtype: 'float32', shape: [3, 128], data: new Float32Array(384) });
  imagenet.set('linear1000_bias', { dtype: 'float32', shape: [3], data: new Float32Array(3) });
  writeFileSync(at('ilsvrc-cls_rna-a1_cls1000_ep-0001.params'), writeMxnetParams(imagenet));
  // As SEAM's: DataParallel names, a background row, a layer of its own.
  const classifier: TensorMap = new Map(backbone.map(([name, tensor]) => [`module.${name}`, tensor]));
  const fc8 = Float32Array.from({ length: 5 * 128 }, (_, i) => (i < 128 ? 9 : Math.sin(i)));
  classifier.set('module.fc8.weight', { dtype: 'float32', shape: [5, 128, 1, 1], data: fc8 });
  classifier.set('module.f9.weight', { dtype: 'float32', shape: [2], data: new Float32Array(2) });
  writeFileSync(at('res38_cls.pth'), writePyTorchCheckpoint(classifier));
  cpSync('recipes', at('recipes'), { recursive: true });
  succeeds(
    'data',
    'synthesize',
    ...['--out', at('VOC2012'), '--train', '4', '--val', '2', '--size', '64', '--json'],
  );
  // The authors' list: paths in pairs, no final newline.
  const lists = at('VOC2012', 'ImageSets', 'Segmentation');
  const ids = readFileSync(join(lists, 'train.txt'), 'utf8').trim().split('\n');
  cpSync(at('VOC2012', 'SegmentationClass'), at('VOC2012', 'SegmentationClassAug'), { recursive: true });
  const extension = readdirSync(at('VOC2012', 'JPEGImages'))[0].split('.').pop();
  const lines = ids.map((id) => `/JPEGImages/${id}.${extension} /SegmentationClassAug/${id}.png`);
  writeFileSync(join(lists, 'train_aug.txt'), lines.join('\n'));
  mkdirSync(at('runs'));
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What makes a training small enough for a test; all else is the recipe's. */
const miniature = [
  ...['network.backbone.width=0.03125', 'network.head.channels=8', 'data.workers=0', 'pictures=1'],
  ...['classifier.epochs=1', 'classifier.batchSize=2', 'classifier.cropPx=64', 'cam.scales=[1]'],
  ...['train.epochs=1', 'train.batchSize=2', 'train.cropPx=64', 'evaluation.scales=[0.5,1]'],
].flatMap((value) => ['--set', value]);

const commands = [...page.matchAll(/```sh\n(.*?)```/gs)].flatMap(([, block]) =>
  block
    .replace(/\\\n\s*/g, '')
    .trim()
    .split('\n'),
);

describe('every command of the page', () => {
  test.each(commands)(
    '%s',
    (command) => {
      const [npx, program, ...args] = command.split(/\s+/);
      expect([npx, program]).toEqual(['npx', 'auxseg']);
      if (args[0] === 'run')
        args.push(...miniature, ...(args.includes('stages=1') ? [] : ['--set', 'stages=2']));
      succeeds(...args);
    },
    180_000,
  );

  test('what they left', () => {
    expect(commands.length).toBeGreaterThan(9);
    const predicted = readdirSync(at('predictions'));
    expect(predicted).toHaveLength(2);
    for (const file of predicted) {
      expect(readIndexedPng(readFileSync(at('predictions', file)))).toMatchObject({ width: 64, height: 64 });
    }
    expect(readdirSync(at('predictions-final'))).toEqual(predicted);
    const metrics = (...parts: string[]) => JSON.parse(readFileSync(at('runs', ...parts), 'utf8'));
    expect(metrics('voc12', 'metrics.json').perClassIoU).toHaveLength(5);
    for (const stage of ['stage-1', 'stage-2']) {
      const { validation, pseudoLabels } = metrics('voc12', stage, 'metrics.json');
      expect(validation.refined.perClassIoU).toHaveLength(5);
      expect(pseudoLabels).toHaveProperty('recall');
    }
  });

  test('the ImageNet file became the initial weights under the authors names, its classifier left out', () => {
    const converted = readSafetensors(readFileSync(at('VOC2012', 'resnet38.safetensors'))).tensors;
    expect([...converted.keys()].sort()).toEqual([...weights.keys()].filter(isBackbone).sort());
    for (const [name, { data }] of converted) expect(data).toEqual(weights.get(name)!.data);
  });

  test("others' classifier was taken as it is, without the background", () => {
    const { tensors } = readSafetensors(
      readFileSync(at('runs', 'voc12-psa', 'stage-0', 'classifier.safetensors')),
    );
    const kernel = tensors.get('fc8/kernel')!;
    expect(kernel.shape).toEqual([1, 1, 128, 4]);
    const expected = Float32Array.from({ length: 512 }, (_, i) =>
      Math.sin(128 * (1 + (i % 4)) + Math.floor(i / 4)),
    );
    expect(kernel.data).toEqual(expected);
  });

  test('our weights under their names are what their network has', () => {
    const ours = readPyTorchCheckpoint(readFileSync(at('ours.pth'))).tensors;
    const used = [...weights].filter(([name]) => !/num_batches_tracked$|_att\.(g|W_z)/.test(name));
    expect([...ours.keys()].sort()).toEqual(used.map(([name]) => name).sort());
    for (const [name, { shape }] of used) expect(ours.get(name)!.shape).toEqual(shape);
    const report = succeeds('weights', 'inspect', 'ours.pth', '--json').json();
    expect(report).toMatchObject({ format: 'pytorch', missing: [], unexpected: [] });
  });

  test('every row of the table of recipes is a recipe', () => {
    const rows = [...page.matchAll(/^\| `(recipes\/[\w.-]+)`([^|]*)\|/gm)];
    expect(rows.length).toBeGreaterThan(8);
    for (const [, file, rest] of rows) {
      const overrides = [...rest.matchAll(/`--set ([^`]+)`/g)].map(([, value]) => value);
      expect(() => resolveRecipe(parse(readFileSync(file, 'utf8')), { overrides })).not.toThrow();
    }
  });

  test('the COCO recipe scores its labels where it makes them: the splits have no image in common', () => {
    const { data } = resolveRecipe(parse(readFileSync('recipes/coco14.yaml', 'utf8')));
    expect(data.score).toBe(data.train);
  });
});

test('the Python of the page records what weights verify accepts', () => {
  const probe = spawnSync('python3', ['-c', 'import torch, numpy'], { encoding: 'utf8' });
  if (probe.status !== 0) {
    console.warn('Skipped: needs python3 with torch and numpy.');
    return;
  }
  const [, lines] = /```python\n(.*?)```/s.exec(page)!;
  expect(lines.trim().split('\n').length).toBeLessThanOrEqual(10);
  const before = `import sys, torch
sys.path.insert(0, ${JSON.stringify(resolve('tools', 'reference', 'auxsegnet'))})
sys.dont_write_bytecode = True
from auxsegnet import AuxSegNet, losses as compute_losses
torch.set_num_threads(1)
model = AuxSegNet(4, 1 / 32, 8)
state = torch.load("checkpoint.pth", weights_only=True)
model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
torch.manual_seed(1)
x = torch.randn(1, 3, 49, 57)
labels = torch.tensor([[1.0, 0.0, 1.0, 0.0]])
sal_target = (torch.rand(1, 1, 49, 57) > 0.5).float()
seg_target = torch.randint(0, 5, (1, 49, 57))
seg_target[:, :9] = 255
`;
  mkdirSync(at('recorded'));
  copyFileSync(at('checkpoint.pth'), at('recorded', 'checkpoint.pth'));
  const python = spawnSync('python3', ['-c', before + lines], { cwd: at('recorded'), encoding: 'utf8' });
  expect(python.stderr.slice(-800)).toBe('');
  const report = succeeds(
    ...['weights', 'verify', '--weights', 'checkpoint.pth', '--reference', 'recorded/R.npz'],
    // One such unit on the other side of its ReLU moves a gradient by more than rounding does.
    ...['--gradients', 'recorded/G.npz', '--gradient-tolerance', '1e-2', '--json'],
  ).json();
  expect(Object.keys(report.outputs)).toHaveLength(7);
  expect(report.losses).toBeLessThan(1e-4);
  expect(report.gradients.count).toBeGreaterThan(70);
}, 120_000);

describe('weights', () => {
  test('inspect says what each file is', () => {
    const report = succeeds('weights', 'inspect', 'checkpoint.pth', '--json').json();
    expect(report.fits).toContain('preset official (ResNet-38, width 0.03125, 4 classes)');
    expect(report).toMatchObject({ format: 'pytorch', missing: [], unexpected: [] });
    const row = report.tensors.find(({ name }: { name: string }) => name === 'fc8.weight');
    expect(row).toMatchObject({ shape: [4, 128, 1, 1], dtype: 'float16' });
    const imagenet = succeeds(
      'weights',
      'inspect',
      'ilsvrc-cls_rna-a1_cls1000_ep-0001.params',
      '--json',
    ).json();
    expect(imagenet.fits).toContain('MXNet ResNet-38, width 0.03125');
    expect(imagenet).toMatchObject({ format: 'mxnet', missing: [], unexpected: [] });
    const seam = succeeds('weights', 'inspect', 'res38_cls.pth', '--json').json();
    expect(seam.fits).toContain('ResNet-38 classifier (width 0.03125, 5 outputs)');
    expect(seam).toMatchObject({ missing: [], unexpected: ['f9.weight'] });
  });

  test('verify: outputs, losses and gradients as PyTorch recorded them; exit code 1 beyond the tolerance', () => {
    const args = ['weights', 'verify', '--weights', 'checkpoint.pth', '--reference', 'R.npz'];
    for (const backend of ['wasm', 'onnx']) {
      const { outputs, losses, gradients } = succeeds(
        ...[...args, '--gradients', 'G.npz', '--backend', backend, '--tolerance', '1e-4', '--json'],
      ).json();
      expect(Object.keys(outputs)).toEqual(
        expect.arrayContaining(['a_cam', 'a_refinedSegmentation', 'b_affinity']),
      );
      for (const error of Object.values(outputs)) expect(error).toBeLessThan(1e-4);
      expect(losses).toBeLessThan(1e-4);
      expect(gradients.count).toBeGreaterThan(70);
      expect(gradients.worst).toEqual({ name: expect.any(String), relNormError: expect.any(Number) });
      expect(gradients.worst.relNormError).toBeLessThan(1e-3);
    }
    expect(auxseg(...args, '--tolerance', '1e-12').status).toBe(1);
    expect(auxseg(...args, '--gradients', 'G.npz', '--gradient-tolerance', '1e-12').status).toBe(1);
    expect(auxseg(...args, '--tolerance', 'little').status).toBe(2);
  }, 120_000);

  test('strict and not: missing and unexpected parameters are listed', () => {
    const changed: TensorMap = new Map(weights);
    changed.delete('sal_conv2.bias');
    changed.set('something.else', { dtype: 'float32', shape: [1], data: new Float32Array(1) });
    writeFileSync(at('changed.pth'), writePyTorchCheckpoint(changed));
    const args = ['weights', 'verify', '--weights', 'changed.pth', '--reference', 'R.npz', '--json'];
    const { status, stderr } = auxseg(...args, '--strict');
    expect(status).toBe(1);
    expect(stderr).toMatch(/1 missing \(sal_conv2\.bias\), 1 unexpected \(something\.else\)/);
    const loose = auxseg(...args, '--no-strict');
    expect(loose.stderr).toMatch(/1 missing, .*sal_conv2\.bias; 1 unexpected: something\.else/);
    expect(loose.json().outputs.a_cam).toBeLessThan(1e-4);
    expect(loose.json().outputs.a_initialSaliency).toBeGreaterThan(1e-3);
    const report = succeeds('weights', 'inspect', 'changed.pth', '--json').json();
    expect(report).toMatchObject({ missing: ['sal_conv2.bias'], unexpected: ['something.else'] });
  });

  test('convert: every format to every other and back loses nothing, whatever the files are called', () => {
    const chain = ['w.safetensors', 'w.npz', 'w.pth', 'w.params'];
    let last = 'checkpoint.pth';
    for (const next of chain) {
      succeeds('weights', 'convert', last, next, '--keep-names');
      // Contents tell the format.
      copyFileSync(at(next), at(`misnamed-${next}.bin`));
      last = `misnamed-${next}.bin`;
    }
    const counters = [...weights.keys()].filter((name) => name.endsWith('num_batches_tracked'));
    for (const [file, left] of [
      ['w.pth', []],
      // MXNet's format has no scalars.
      ['w.params', counters],
    ] as const) {
      const { tensors } = readWeights(readFileSync(at(file)));
      expect([...tensors.keys(), ...left].sort()).toEqual([...weights.keys()].sort());
      for (const [name, tensor] of tensors) {
        expect(tensor.shape.join()).toBe(weights.get(name)!.shape.join());
        expect(Array.from(tensor.data as Float32Array, Number)).toEqual(
          Array.from(weights.get(name)!.data as Float32Array, Number),
        );
      }
    }
    expect(auxseg('weights', 'convert', 'w.pth', 'w.onnx').status).toBe(2);
    // A file of ours stays one.
    succeeds(
      'weights',
      'convert',
      'runs/voc12/stage-1/model.safetensors',
      'kept.safetensors',
      '--keep-names',
    );
    expect(readSafetensors(readFileSync(at('kept.safetensors'))).metadata).toEqual(
      readSafetensors(readFileSync(at('runs/voc12/stage-1/model.safetensors'))).metadata,
    );
  }, 60_000);
});

test('predict: a preset with another backbone would change the dilations in silence', () => {
  const { status, stderr } = auxseg(
    ...['predict', '--preset', 'tiny', '--weights', 'checkpoint.pth', '--images', 'VOC2012/JPEGImages'],
    ...['--out', 'wrong-preset'],
  );
  expect(status).toBe(2);
  expect(stderr).toMatch(/--preset official or paper for checkpoint\.pth.*got --preset tiny/);
});

test('predict and evaluate give the labels and the mean IoU that the PyTorch reference gives', () => {
  const arrays = readNpz(read('inference', 'predict.npz'));
  const changed: TensorMap = new Map(weights);
  for (const [key, { shape, data }] of arrays) {
    const [kind, name] = key.split('/');
    if (kind === 'weight') changed.set(name, { dtype: 'float32', shape, data });
    if (kind === 'scale') {
      const factor = (data as Float32Array)[0];
      const tensor = asFloat32(weights.get(name)!);
      changed.set(name, { ...tensor, data: tensor.data.map((value) => value * factor) });
    }
  }
  writeFileSync(at('two.pth'), writePyTorchCheckpoint(changed));
  mkdirSync(at('two', 'images'), { recursive: true });
  mkdirSync(at('two', 'truth'));
  for (const id of ['p0', 'p1']) {
    const { shape, data } = arrays.get(`${id}_image`)!;
    const size = { height: shape[0], width: shape[1] };
    writeFileSync(at('two', 'images', `${id}.png`), writeRgbPng({ ...size, data: data as Uint8Array }));
    const truth = arrays.get(`${id}_truth`)!.data as Uint8Array;
    writeFileSync(at('two', 'truth', `${id}.png`), writeIndexedPng({ ...size, data: truth }));
  }
  writeFileSync(at('two', 'list.txt'), '/images/p0.png /truth/p0.png\r\n/images/p1.png /truth/p1.png');
  const list = ['--list', 'two/list.txt'];
  const runs = [
    ['single'],
    ['multi', '--scales', '0.5,0.75,1,1.25,1.5'],
    ['flip', '--scales', '0.5,0.75,1,1.25,1.5', '--flip'],
  ];
  runs.forEach(([name, ...options], index) => {
    const args = [
      'predict',
      '--preset',
      'official',
      '--weights',
      'two.pth',
      '--images',
      'two/images',
      ...list,
    ];
    expect(succeeds(...args, '--out', `two/${name}`, '--json', ...options).json()).toMatchObject({
      predicted: 2,
    });
    for (const id of ['p0', 'p1']) {
      const ours = readIndexedPng(readFileSync(at('two', name, `${id}.png`))).data;
      const theirs = arrays.get(`${id}_${name}`)!.data as Uint8Array;
      const equal = ours.filter((value, i) => value === theirs[i]).length;
      expect(equal / theirs.length).toBeGreaterThanOrEqual(0.999);
    }
    const evaluate = ['evaluate', '--pred', `two/${name}`, '--truth', 'two/truth', '--classes', '5', ...list];
    const { meanIoU } = succeeds(...evaluate, '--json').json();
    expect(meanIoU).toBeCloseTo((arrays.get('miou')!.data as Float64Array)[index], 3);
  });
  const again = [
    'predict',
    '--weights',
    'two.pth',
    '--images',
    'two/images',
    '--out',
    'two/single',
    '--json',
  ];
  expect(succeeds(...again).json()).toMatchObject({ predicted: 0, skipped: 2 });
}, 120_000);
