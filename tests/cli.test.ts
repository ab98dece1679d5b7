import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  constants,
  cpSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { claimRunDirectory } from '@auxseg/auxsegnet/pipeline';
import { writeIndexedPng } from '@auxseg/formats';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

const bin = join('packages', 'cli', 'dist', 'bin.js');
const folder = mkdtempSync(join(tmpdir(), 'auxseg-cli-'));
const at = (...parts: string[]) => join(folder, ...parts);
const auxseg = (...args: string[]) =>
  spawnSync(process.execPath, [bin, ...args], { encoding: 'utf8', timeout: 60_000 });

const commands = [
  'demo',
  'run',
  'train-classifier',
  'cam',
  'pseudo-label',
  'train',
  'update-labels',
  'predict',
  'evaluate',
  'data check',
  'data synthesize',
  'data convert',
  'data saliency',
  'weights inspect',
  'weights convert',
  'weights verify',
  'crf',
  'report',
  'doctor',
];

describe('help', () => {
  test.each(commands)('auxseg %s --help has an example, --json and --seed', (command) => {
    const { status, stdout } = auxseg(...command.split(' '), '--help');
    expect(status).toBe(0);
    expect(stdout).toMatch(/Examples?:\n {2}\$ auxseg /);
    expect(stdout).toContain('--json');
    expect(stdout).toContain('--seed');
  });

  test('wrong use is exit code 2 and says so', () => {
    expect(auxseg('run')).toMatchObject({ status: 2 });
    expect(auxseg('nonsense').status).toBe(2);
    const { status, stderr } = auxseg('predict', '--weights', 'x');
    expect(status).toBe(2);
    expect(stderr).toContain('--images');
  });
});

test.each([
  ...['0', 'abc', '7.5'].map((value) => ['--size', value]),
  ...['0', '-2'].map((value) => ['--batch', value]),
  ...['0', 'a', '1.5'].map((value) => ['--threads', value]),
  ['--width', '0'],
])('doctor --profile %s %s is wrong use', (option, value) => {
  const { status, stdout, stderr } = auxseg('doctor', '--profile', '--preset', 'tiny', `${option}=${value}`);
  expect([status, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(new RegExp(`option '${option} .*'${value}' is invalid`));
});

test('a second interrupt ends the process by the signal, and tells what the command does next time', async () => {
  // A list that nobody writes: the command waits for it.
  const list = at('pipe');
  spawnSync('mkfifo', [list]);
  const args = ['evaluate', '--pred', folder, '--truth', folder, '--list', list, '--classes', '3'];
  const command = spawn(process.execPath, [bin, ...args], { timeout: 60_000, killSignal: 'SIGKILL' });
  let stderr = '';
  let writer = -1;
  command.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    if (/once more/.test(text)) command.kill('SIGINT');
  });
  const started = setInterval(() => {
    try {
      // Fails until the command has opened it for reading.
      writer = openSync(list, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch {
      return;
    }
    clearInterval(started);
    command.kill('SIGINT');
  }, 50);
  const ended = await new Promise((resolve) => command.on('close', (...how) => resolve(how)));
  clearInterval(started);
  closeSync(writer);
  expect(ended).toEqual([null, 'SIGINT']);
  expect(stderr).toMatch(/SIGINT: stopped at once. The same command starts over/);
});

describe('evaluate', () => {
  // 2 x 2 images: counts small enough to check by hand.
  const png = (...values: number[]) =>
    writeIndexedPng({ width: 2, height: 2, data: Uint8Array.from(values) });
  beforeAll(() => {
    for (const name of ['pred', 'other', 'truth']) mkdirSync(at(name));
    writeFileSync(at('truth', 'a.png'), png(0, 0, 1, 255));
    writeFileSync(at('truth', 'b.png'), png(1, 1, 1, 0));
    writeFileSync(at('pred', 'a.png'), png(0, 1, 1, 1));
    writeFileSync(at('pred', 'b.png'), png(1, 1, 0, 0));
    writeFileSync(at('other', 'a.png'), png(0, 0, 1, 1));
    writeFileSync(at('other', 'b.png'), png(1, 1, 1, 0));
    writeFileSync(at('list.txt'), 'a\nb');
  });
  const evaluate = (...more: string[]) =>
    auxseg(
      'evaluate',
      '--pred',
      at('pred'),
      '--truth',
      at('truth'),
      '--list',
      at('list.txt'),
      '--classes',
      '3',
      '--json',
      ...more,
    );

  test('one confusion matrix over the list; absent classes are null', () => {
    const { status, stdout } = evaluate();
    expect(status).toBe(0);
    // Background: right 2 of (3 true + 3 predicted - 2) = 4; class 1: right 3 of (4 + 4 - 3) = 5.
    expect(JSON.parse(stdout)).toEqual({
      meanIoU: (2 / 4 + 3 / 5) / 2,
      perClassIoU: [2 / 4, 3 / 5, null],
      pixelAccuracy: 5 / 7,
      images: 2,
    });
  });

  test('a mask that cannot be read, and a prediction beyond the classes, are named', () => {
    writeFileSync(at('list-damaged.txt'), 'damaged\n');
    writeFileSync(at('truth', 'damaged.png'), png(0, 0, 1, 1).subarray(0, 60));
    writeFileSync(at('pred', 'damaged.png'), png(0, 0, 1, 1));
    expect(evaluate('--list', at('list-damaged.txt')).stderr).toMatch(/truth.damaged\.png.*cut off/);
    writeFileSync(at('list-beyond.txt'), 'beyond\n');
    writeFileSync(at('truth', 'beyond.png'), png(0, 0, 1, 1));
    writeFileSync(at('pred', 'beyond.png'), png(0, 0, 1, 9));
    expect(evaluate('--list', at('list-beyond.txt')).stderr).toMatch(
      /image beyond, prediction .*beyond\.png: .*labels of 0\.\.2, got 9 at pixel 3/i,
    );
  });

  test('--map names each id once', () => {
    expect(evaluate('--map', '0,8,8')).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/each once/),
    });
  });

  test('--compare gives the paired difference with an interval', () => {
    const { compare } = JSON.parse(evaluate('--compare', at('other')).stdout);
    expect(compare.meanIoU).toBe(1);
    expect(compare.difference).toBeCloseTo((2 / 4 + 3 / 5) / 2 - 1, 12);
    expect(compare.low).toBeLessThanOrEqual(compare.difference);
    expect(compare.high).toBeGreaterThanOrEqual(compare.difference);
  });

  test.each([
    ['--map', ''],
    ['--map', '0,,1'],
    ['--map', '0,1,1'],
    ['--seed', 'x'],
    ['--samples', '0'],
  ])('%s %s is wrong use', (option, value) => {
    const { status, stdout, stderr } = evaluate('--compare', at('other'), `${option}=${value}`);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toContain(option);
  });

  test('a missing prediction, a mask of another size, a value beyond the classes', () => {
    writeFileSync(at('list2.txt'), 'a\nzebra\n');
    expect(evaluate('--list', at('list2.txt')).stderr).toMatch(/image zebra.*predict the whole list/s);
    writeFileSync(
      at('truth', 'c.png'),
      writeIndexedPng({ width: 3, height: 1, data: Uint8Array.of(0, 0, 0) }),
    );
    writeFileSync(at('pred', 'c.png'), png(0, 0, 0, 0));
    writeFileSync(at('list3.txt'), 'c\n');
    expect(evaluate('--list', at('list3.txt')).stderr).toMatch(/image c to be 3x1.*got 2x2/s);
    writeFileSync(at('truth', 'd.png'), png(0, 7, 0, 0));
    writeFileSync(at('pred', 'd.png'), png(0, 0, 0, 0));
    writeFileSync(at('list4.txt'), 'd\n');
    expect(evaluate('--list', at('list4.txt')).stderr).toMatch(/got 7 at x=1, y=0.*--map/s);
    writeFileSync(at('empty.txt'), '\n');
    expect(evaluate('--list', at('empty.txt')).stderr).toMatch(/empty/);
  });
});

describe('bad input to run: what was expected, what came, where, what to do; exit code not 0', () => {
  const data = at('data');
  const recipe = at('recipe.yaml');
  const run = (root: string, ...more: string[]) =>
    auxseg('run', recipe, '--data', root, '--out', at('runs', `${Math.random()}`), ...more);
  beforeAll(() => {
    const made = auxseg(
      'data',
      'synthesize',
      '--out',
      data,
      '--train',
      '6',
      '--val',
      '2',
      '--size',
      '40',
      '--json',
    );
    expect({ status: made.status, stderr: made.stderr }).toMatchObject({ status: 0 });
    expect(JSON.parse(made.stdout)).toMatchObject({ images: 8, masks: 8 });
    writeFileSync(
      recipe,
      `preset: tiny
data: { kind: voc, train: train, score: train, val: val, workers: 0 }
saliency: { source: files, directory: saliency }
pseudoLabel: { saliencyThreshold: 0.5 }
network: { backbone: { width: 0.25 }, head: { channels: 8 } }
classifier: { epochs: 1, batchSize: 2, cropPx: 40 }
train: { epochs: 1, batchSize: 2, cropPx: 40 }
stages: 1
`,
    );
  });
  const spoilt = (name: string, change: (root: string) => void) => {
    const root = at(name);
    cpSync(data, root, { recursive: true });
    change(root);
    return root;
  };
  const firstId = () =>
    readFileSync(join(data, 'ImageSets', 'Segmentation', 'train.txt'), 'utf8')
      .split('\n')[0]
      .trim();
  const imageOf = (root: string) => join(root, 'JPEGImages', `${firstId()}.png`);

  test.each([
    ['a missing image', (root: string) => rmSync(imageOf(root)), () => new RegExp(firstId())],
    ['a truncated image', (root: string) => truncateSync(imageOf(root), 200), () => new RegExp(firstId())],
    [
      'a mask of another size',
      (root: string) =>
        writeFileSync(
          join(root, 'SegmentationClass', `${firstId()}.png`),
          writeIndexedPng({ width: 5, height: 4, data: new Uint8Array(20) }),
        ),
      () => new RegExp(`${firstId()}[^]*(5x4|40x40)`),
    ],
    [
      'an id without labels',
      (root: string) => {
        const path = join(root, 'image-labels.json');
        const json = JSON.parse(readFileSync(path, 'utf8'));
        delete json.labels[firstId()];
        writeFileSync(path, JSON.stringify(json));
      },
      () => new RegExp(firstId()),
    ],
    [
      'an unknown class',
      (root: string) => {
        const path = join(root, 'image-labels.json');
        const json = JSON.parse(readFileSync(path, 'utf8'));
        json.labels[firstId()] = ['unicorn'];
        writeFileSync(path, JSON.stringify(json));
      },
      () => /unicorn/,
    ],
    [
      'an empty list',
      (root: string) => writeFileSync(join(root, 'ImageSets', 'Segmentation', 'train.txt'), ''),
      () => /train\.txt/,
    ],
    ['no data at all', (root: string) => rmSync(root, { recursive: true }), () => /Expected/],
  ])('%s', (name, change, pattern) => {
    const root = spoilt(name.replaceAll(' ', '-'), change);
    const { status, stderr } = run(root);
    expect({ status: status === 0 ? 'ok' : 'failed', stderr: stderr.slice(-1500) }).toMatchObject({
      status: 'failed',
    });
    expect(stderr).toMatch(/error: .*Expected/s);
    expect(stderr).toMatch(pattern());
    expect(stderr).not.toMatch(/\n\s+at /); // No stack trace: this is for users.
  });

  test('a misspelt key of the recipe', () => {
    writeFileSync(at('bad.yaml'), 'preset: tiny\nstags: 3\n');
    const { status, stderr } = auxseg('run', at('bad.yaml'));
    expect(status).toBe(2);
    expect(stderr).toContain("unknown key 'stags' (did you mean 'stages'?)");
  });

  test('no recipe, and a recipe that is no YAML', () => {
    expect(auxseg('run', at('nowhere.yaml'))).toMatchObject({ status: 2 });
    writeFileSync(at('broken.yaml'), 'preset: [tiny\n');
    expect(auxseg('run', at('broken.yaml')).stderr).toMatch(/YAML.*broken\.yaml/s);
  });

  test('an output folder that cannot be written', () => {
    writeFileSync(at('a-file'), '');
    const { status, stderr } = auxseg('run', recipe, '--data', data, '--out', at('a-file', 'run'));
    expect(status).toBe(1);
    expect(stderr).toMatch(/Expected to write .*a-file.*another --out/s);
    if (process.getuid?.() === 0) return; // Root may write anywhere.
    mkdirSync(at('locked'));
    chmodSync(at('locked'), 0o500);
    expect(auxseg('run', recipe, '--data', data, '--out', at('locked', 'run')).stderr).toMatch(/EACCES/);
  });

  test('a run directory in which another process is at work', async () => {
    const release = await claimRunDirectory(at('runs', 'claimed'));
    const { status, stderr } = run(data, '--out', at('runs', 'claimed'));
    await release();
    expect(status).toBe(1);
    expect(stderr).toMatch(/alone in .*claimed, but another auxseg is at work there; .*another --out/);
  });

  test('masks are optional: without any a run trains and says that it is not scored', () => {
    const root = spoilt('no-masks', (copy) => rmSync(join(copy, 'SegmentationClass'), { recursive: true }));
    const { status, stderr } = run(root);
    expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
    expect(stderr).toMatch(/6 training images, 0 of them with masks.*2 for validation, 0 with masks/);
    expect(stderr).toMatch(/labels-0: .*not scored: no masks.*predict: .*not scored: no masks/s);
  });

  test('a batch of more images than there are, before any work', () => {
    const { status, stderr } = run(data, '--set', 'train.batchSize=7');
    expect(status).toBe(2);
    expect(stderr).toMatch(/got 6 images for train\.batchSize 7; .*--set train\.batchSize=6/);
    expect(stderr).not.toMatch(/> saliency/);
  });

  test('initial weights that are missing, and of another network', () => {
    // Looked for before any work, so that the remedy, another path, is not another recipe than that of the work done.
    for (const name of ['nowhere', 'elsewhere']) {
      const weights = `network.backbone.weights=${name}.safetensors`;
      const { stderr } = run(data, '--out', at('runs', 'no-weights'), '--set', weights);
      expect(stderr).toMatch(
        new RegExp(`'${name}\\.safetensors' in one of.*--set network.backbone.weights=PATH`),
      );
      expect(stderr).not.toMatch(/> saliency/);
    }
  });
});

test('predict: two images of one name would be one file; numbers are numbers', () => {
  mkdirSync(at('photos'));
  for (const name of ['a.jpg', 'a.png', '._a.jpg']) writeFileSync(at('photos', name), '');
  const predict = (...more: string[]) =>
    auxseg('predict', '--weights', 'x', '--images', at('photos'), '--out', at('p'), ...more);
  expect(predict()).toMatchObject({ status: 2 });
  expect(predict().stderr).toMatch(/got a\.jpg and a\.png: both predictions would be a\.png/);
  expect(predict('--long-side', 'abc').stderr).toMatch(/--long-side.*'abc'.*whole number from 0/s);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));
