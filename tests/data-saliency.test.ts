import { spawn, spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readGrayPng, readIndexedPng, writeRgbPng } from '@auxseg/formats';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

const bin = join('packages', 'cli', 'dist', 'bin.js');
const folder = mkdtempSync(join(tmpdir(), 'auxseg-data-'));
const at = (...parts: string[]) => join(folder, ...parts);
const auxseg = (...args: string[]) =>
  spawnSync(process.execPath, [bin, ...args], { encoding: 'utf8', timeout: 100_000 });
const maps = (out: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(at(out, 'sal'))
      .filter((name) => !name.startsWith('.'))
      .sort()
      .map((name) => [name, readFileSync(at(out, 'sal', name)).toString('base64')]),
  );
const IMAGES = 24;

beforeAll(() => {
  const size = ['--train', String(IMAGES), '--val', '2', '--size', '96'];
  expect(auxseg('data', 'synthesize', '--out', at('voc'), ...size).status).toBe(0);
  expect(auxseg('data', 'saliency', at('voc'), '--out', at('whole')).status).toBe(0);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('killed in the middle and started again, it goes on and ends with the same maps', async () => {
  const args = [bin, 'data', 'saliency', at('voc'), '--out', at('killed'), '--json'];
  const child = spawn(process.execPath, args, { stdio: 'ignore' });
  const ended = new Promise((done) => child.on('exit', done));
  const there = () => {
    try {
      return Object.keys(maps('killed')).length;
    } catch {
      return 0;
    }
  };
  while (there() < 4 && child.exitCode === null) await sleep(5);
  child.kill('SIGKILL');
  await ended;
  const before = there();
  const again = spawnSync(process.execPath, args, { encoding: 'utf8' });
  const { made, skipped } = JSON.parse(again.stdout);
  expect(made + skipped).toBe(IMAGES);
  expect(skipped).toBe(before);
  expect(skipped).toBeGreaterThanOrEqual(4);
  expect(maps('killed')).toEqual(maps('whole'));
});

test('two shards are one run, for any number of workers', () => {
  for (const [shard, workers] of [
    ['1/2', '1'],
    ['2/2', '0'],
  ]) {
    const { status, stdout } = auxseg(
      ...['data', 'saliency', at('voc'), '--out', at('sharded'), '--shard', shard],
      ...['--workers', workers, '--json'],
    );
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ images: IMAGES / 2, made: IMAGES / 2 });
  }
  expect(maps('sharded')).toEqual(maps('whole'));
  for (const shard of ['0/2', '3/2', 'half'])
    expect(auxseg('data', 'saliency', at('voc'), '--out', at('x'), '--shard', shard).status).toBe(2);
});

test('every source: files, constant, oracle, combine; a plain folder of images', () => {
  const run = (out: string, ...more: string[]) => {
    const { status, stdout, stderr } = auxseg(
      ...['data', 'saliency', at('voc'), '--split', 'val', '--json', '--out', at(out), ...more],
    );
    expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
    return JSON.parse(stdout);
  };
  const values = (out: string) => {
    const [name] = readdirSync(at(out, 'sal'));
    return readGrayPng(readFileSync(at(out, 'sal', name))).data;
  };
  const [name] = readdirSync(at('voc', 'JPEGImages')).filter((file) => file.includes('_val_'));
  const id = name.replace('.png', '');

  expect(run('copied', '--source', 'files', '--maps', at('voc', 'saliency')).notices).toEqual({});
  const drawn = readGrayPng(readFileSync(at('voc', 'saliency', `${id}.png`))).data;
  expect(Array.from(values('copied'))).toEqual(Array.from(drawn));
  expect(run('level', '--source', 'constant', '--value', '0.2').source).toBe('constant(0.2)');
  expect(new Set(values('level'))).toEqual(new Set([51]));
  expect(run('truth', '--source', 'oracle').source).toBe('oracle');
  const mask = readIndexedPng(readFileSync(at('voc', 'SegmentationClass', `${id}.png`))).data;
  expect(Array.from(values('truth'))).toEqual(Array.from(mask, (v) => (v > 0 ? 255 : 0)));
  const of = ['--source', 'combine', '--of', 'files,constant', '--maps', at('voc', 'saliency')];
  expect(run('product', ...of, '--value', '0.5', '--rule', 'product').source).toBe(
    'product(files, constant(0.5))',
  );
  values('product').forEach((v, i) => {
    expect(Math.abs(v - drawn[i] / 2)).toBeLessThanOrEqual(0.5);
  });

  // Files of another size, and a folder without lists or labels.
  mkdirSync(at('photos', 'sub'), { recursive: true });
  writeFileSync(
    at('photos', 'sub', `${id}.png`),
    writeRgbPng({ width: 40, height: 30, data: new Uint8Array(3600).fill(90) }),
  );
  mkdirSync(at('small'));
  writeFileSync(at('small', `sub__${id}.png`), readFileSync(at('voc', 'saliency', `${id}.png`)));
  const { status, stdout } = auxseg(
    ...['data', 'saliency', at('photos'), '--source', 'files', '--maps', at('small'), '--out', at('resized')],
  );
  expect(status).toBe(0);
  expect(stdout).toMatch(/is 96x96, its image 40x30: resized bilinearly/);
  expect(readGrayPng(readFileSync(at('resized', 'sal', `sub__${id}.png`)))).toMatchObject({
    width: 40,
    height: 30,
  });

  for (const [args, words] of [
    [['--source', 'files'], /--maps/],
    [['--source', 'prediction'], /--weights/],
    [['--source', 'combine'], /--of/],
    [['--source', 'combine', '--of', 'mbplus,dss'], /--of.*mbplus, rbd, combined, files.*'dss'/],
    [['--source', 'combine', '--of', 'mbplus,'], /--of.*single commas/],
    [['--source', 'constant', '--value', '3'], /--value.*0\.\.1/],
    [['--source', 'constant', '--value', 'abc'], /--value.*'abc'/],
    [['--workers', 'abc'], /--workers.*'abc'/],
    [['--source', 'prediction', '--weights', 'x', '--long-side', 'abc'], /--long-side.*'abc'/],
    [['--source', 'prediction', '--weights', at('nope')], /--weights.*nope, found nothing/],
    [['--source', 'files', '--maps', at('nope')], /--maps.*nope, found nothing/],
    [['--maps', at('voc')], /Expected --maps only with the source files, got unsupervised/],
    [['--source', 'combine', '--of', 'mbplus,rbd', '--long-side', '9'], /--long-side only.*prediction/],
  ] as const) {
    const { status, stderr } = auxseg('data', 'saliency', at('voc'), '--out', at('x'), ...args);
    expect(status).toBe(2);
    expect(stderr).toMatch(words);
  }
});

/** A small picture at each path below a folder. */
const photosAt = (root: string, ...paths: string[]) => {
  for (const [i, path] of paths.entries()) {
    mkdirSync(join(at(root), path, '..'), { recursive: true });
    const data = Uint8Array.from({ length: 48 }, (_, p) => 40 * (i % 5) + p);
    writeFileSync(join(at(root), path), writeRgbPng({ width: 4, height: 4, data }));
  }
};
const level = (dir: string, out: string, ...more: string[]) =>
  auxseg('data', 'saliency', at(dir), '--out', at(out), '--source', 'constant', ...more);
const idsOf = (out: string) => Object.keys(maps(out)).map((name) => name.slice(0, -4));

test('a folder of images: all of them, and nothing else', () => {
  photosAt('mixed', 'a.png', 'b.PNG', 'more/c.png', 'masks/a.png', '._a.png', '.hidden/d.png');
  mkdirSync(at('mixed', 'folder.png'));
  for (const made of ['4 maps', '0 maps']) {
    if (made === '4 maps') photosAt('mixed', 'folder.png/e.png');
    const { status, stdout, stderr } = level('mixed', join('mixed', 'out'));
    expect({ status, stderr }).toMatchObject({ status: 0, stderr: '' });
    expect(stdout).toContain(made);
  }
  expect(idsOf(join('mixed', 'out'))).toEqual(['a', 'b', 'folder.png__e', 'more__c']);
  // As it is: its masks too.
  expect(level('mixed', 'as-it-is', '--from', 'images').status).toBe(0);
  expect(idsOf('as-it-is')).toContain('masks__a');

  // An own folder, whether its labels name all images or not, or are missing.
  photosAt('own', 'images/a.png', 'images/b.png', 'masks/a.png');
  expect(level('own', 'bare').status).toBe(0);
  writeFileSync(at('own', 'labels.csv'), 'file,labels\na.png,x\n');
  expect(level('own', 'labelled').status).toBe(0);
  expect([idsOf('bare'), idsOf('labelled')]).toEqual([
    ['a', 'b'],
    ['a', 'b'],
  ]);

  photosAt('twice', 'a.png', 'a.jpg');
  expect(level('twice', 'x').stderr).toMatch(/a\.jpg.*a\.png.*Rename one/s);
  expect(level('mixed', 'x', '--from', 'images', '--split', 'train').stderr).toMatch(/no --split/);
});

test('maps of another source are refused; an empty file is no map', () => {
  photosAt('two', 'a.png', 'b.png');
  expect(level('two', 'first', '--value', '0.2').status).toBe(0);
  const other = level('two', 'first', '--value', '0.4');
  expect(other.status).toBe(2);
  expect(other.stderr).toMatch(/other values of saliency\.value.*another --out/s);
  writeFileSync(at('first', 'sal', 'a.png'), '');
  expect(level('two', 'first', '--value', '0.2').stdout).toMatch(/^1 maps .*1 more were there/);
  rmSync(at('first', 'saliency.json'));
  expect(level('two', 'first', '--value', '0.2').stderr).toMatch(/without saliency\.json/);
});

test('a photograph that cannot be read does not stop the others', () => {
  photosAt('broken', 'a.png', 'b.png', 'c.png');
  truncateSync(at('broken', 'a.png'), 40);
  for (const made of ['2 maps', '0 maps']) {
    const { status, stdout } = level('broken', 'rest');
    expect(status).toBe(1);
    expect(stdout).toMatch(new RegExp(`^${made}[^]*1 images without a map[^]*broken/a\\.png`));
  }
  expect(idsOf('rest')).toEqual(['b', 'c']);
});

test('data convert --repair-masks', () => {
  const [first, second] = readdirSync(at('voc', 'SegmentationClass'));
  const file = at('voc', 'SegmentationClass', first);
  const { width, height, data, palette } = readIndexedPng(readFileSync(file));
  const rgb = new Uint8Array(3 * data.length);
  data.forEach((v, i) => {
    rgb.set(palette!.subarray(3 * v, 3 * v + 3), 3 * i);
  });
  writeFileSync(file, writeRgbPng({ width, height, data: rgb }));
  const checked = auxseg('data', 'check', at('voc'));
  expect(checked.status).toBe(1);
  expect(checked.stdout).toContain(`auxseg data convert ${at('voc')} --repair-masks --out`);
  const out = at('repaired');
  const fixed = auxseg('data', 'convert', at('voc'), '--repair-masks', '--out', out, '--json');
  expect(fixed.status).toBe(0);
  expect(JSON.parse(fixed.stdout)).toMatchObject({ masks: IMAGES + 2, repaired: 1, failed: [] });
  const repaired = readIndexedPng(readFileSync(join(out, 'SegmentationClass', first)));
  expect(Array.from(repaired.data)).toEqual(Array.from(data));
  expect(readFileSync(join(out, 'SegmentationClass', second))).toEqual(
    readFileSync(at('voc', 'SegmentationClass', second)),
  );
  // In place, as the finding says: afterwards nothing is left to report.
  expect(auxseg('data', 'convert', at('voc'), '--repair-masks', '--out', at('voc')).status).toBe(0);
  const clean = auxseg('data', 'check', at('voc'), '--json');
  expect(clean.status).toBe(0);
  expect(JSON.parse(clean.stdout).ok).toBe(true);
  writeFileSync(file, writeRgbPng({ width, height, data: rgb.fill(7) }).subarray(0, 50));
  expect(auxseg('data', 'convert', at('voc'), '--repair-masks', '--out', at('bad')).status).toBe(1);
  expect(auxseg('data', 'convert', at('voc'), '--out', at('y'), '--palette', 'p').status).toBe(2);
});

describe('data convert loses nothing silently', () => {
  const convert = (dir: string, out: string, ...more: string[]) =>
    auxseg('data', 'convert', at(dir), '--out', at(out), ...more);
  const listOf = (out: string, split: string) =>
    readFileSync(at(out, 'ImageSets', 'Segmentation', `${split}.txt`), 'utf8')
      .trim()
      .split('\n');

  test('masks for some images: those, and all labels; COCO says what it cannot hold', () => {
    const size = ['--layout', 'folder', '--train', '2', '--val', '2', '--size', '32'];
    expect(auxseg('data', 'synthesize', '--out', at('some'), ...size).status).toBe(0);
    rmSync(at('some', 'masks', 'syn_train_00000.png'));
    expect(convert('some', 'some-voc').stdout).toMatch(/^4 images and 3 masks .*voc layout, train, val/);
    const { status, stdout } = convert('some', 'some-coco', '--to', 'coco');
    expect(status).toBe(0);
    expect(stdout).toMatch(/1 images have no region.*[1-4] labels of classes.* are lost/s);
    rmSync(at('some', 'masks'), { recursive: true });
    expect(convert('some', 'x', '--to', 'coco')).toMatchObject({ status: 1 });
    expect(convert('some-voc', 'back', '--to', 'folder', '--splits', 'train, val').status).toBe(0);
    expect(convert('some-voc', 'x', '--splits', 'train,').stderr).toMatch(/--splits.*single commas/);
    const there = readFileSync(at('some', 'labels.csv'));
    expect(convert('some', 'some', '--to', 'folder').stderr).toMatch(/--out to be another folder/);
    expect(readFileSync(at('some', 'labels.csv'))).toEqual(there);
  });

  test('data without splits is converted once; images in no split are counted', () => {
    photosAt('plain', 'images/a.png', 'images/b.png');
    writeFileSync(at('plain', 'labels.csv'), 'file,labels\na.png,x\nb.png,y\n');
    const { stdout, stderr } = convert('plain', 'plain-voc');
    expect(stdout).toMatch(/^2 images .*\(voc layout, train\)/);
    expect(stderr).toMatch(/no splits.*'train'/);
    expect(listOf('plain-voc', 'train')).toEqual(['a', 'b']);
    writeFileSync(at('plain', 'labels.csv'), 'file,labels,split\na.png,x,test\nb.png,y,\n');
    expect(convert('plain', 'plain-test').stderr).toMatch(/1 images are in no split/);
    expect(listOf('plain-test', 'test')).toEqual(['a']);
    expect(level('plain', 'x', '--split', 'nope')).toMatchObject({ status: 1 });
  });

  test('COCO images without a region: left out and said, or taken on request; images/<split> is found', () => {
    photosAt('coco', 'images/train/a.png', 'images/train/b.png');
    const segmentation = [[0, 0, 3, 0, 3, 3]];
    const images = ['a', 'b'].map((id, i) => ({ id: i, file_name: `${id}.png`, width: 4, height: 4 }));
    const crowd = { segmentation: { size: [4, 4], counts: [0, 16] }, iscrowd: 1 };
    const annotations = [
      { id: 1, image_id: 0, category_id: 1, segmentation, iscrowd: 0 },
      { id: 2, image_id: 1, category_id: 1, ...crowd },
    ];
    mkdirSync(at('coco', 'annotations'));
    writeFileSync(
      at('coco', 'annotations', 'instances_train.json'),
      JSON.stringify({ images, annotations, categories: [{ id: 1, name: 'x' }] }),
    );
    const labelled = convert('coco', 'coco-voc');
    expect(labelled.stderr).toMatch(/1 images have no region, or crowds alone.*--include all/);
    expect(listOf('coco-voc', 'train')).toEqual(['a']);
    expect(convert('coco', 'coco-all', '--include', 'all').stdout).toMatch(/^2 images/);
    expect(listOf('coco-all', 'train')).toEqual(['a', 'b']);
    expect(convert('plain', 'x', '--include', 'all')).toMatchObject({ status: 2 });
    expect(level('coco', 'coco-maps', '--split', 'train').stdout).toMatch(/^2 maps/);
  });
});

test('synthesize: numbers that are none are wrong use', () => {
  for (const [option, value] of [
    ['--seed', 'abc'],
    ['--train', '0'],
    ['--size', '3'],
    ['--classes', '9'],
  ]) {
    const { status, stderr } = auxseg('data', 'synthesize', '--out', at('x'), option, value);
    expect(status).toBe(2);
    expect(stderr).toMatch(new RegExp(`${option}.*'${value}'`));
  }
});
