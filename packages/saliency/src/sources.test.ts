import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeGrayPng, writeIndexedPng, writeRgbPng } from '@auxseg/formats';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { combineSaliency } from './combine-saliency.js';
import { createConstantSaliency } from './create-constant-saliency.js';
import { createFileSaliency, type FileSaliencyNotice } from './create-file-saliency.js';
import { createOracleSaliency } from './create-oracle-saliency.js';
import { createPredictionSaliency } from './create-prediction-saliency.js';
import { createUnsupervisedSaliency } from './create-unsupervised-saliency.js';
import { refineSaliency } from './refine-saliency.js';
import { conformanceSamples, saliencySourceConformance } from './testing.js';
import type { SaliencySource } from './types.js';

/** RGBA, 3x1: black, a half-transparent 51, white. */
const RGBA_PNG =
  'iVBORw0KGgoAAAANSUhEUgAAAAMAAAABCAYAAAAb4BS0AAAAFUlEQVR4nGNgYGD4b2xs3PD/////ABmpBhUtWO8aAAAAAElFTkSuQmCC';
/** Grey JPEG, 16x16, every pixel 153. */
const GREY_JPEG =
  '/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAIBAQEBAQIBAQECAgICAgQDAgICAgUEBAMEBgUGBgYFBgYGBwkIBgcJBwYGCAsICQoKCgoKBggLDAsKDAkKCgr/wAALCAAQABABAREA/8QAFQABAQAAAAAAAAAAAAAAAAAAAAf/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/9oACAEBAAA/ALIA/9k=';

const samples = conformanceSamples();
const plainSample = (id: string, width: number, height: number) => ({
  id,
  image: { width, height, data: new Uint8Array(3 * width * height) },
});

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'auxseg-saliency-'));
  for (const { id, image } of samples) {
    const data = Uint8Array.from({ length: image.width * image.height }, (_, i) => (i * 37) % 256);
    await writeFile(join(dir, `${id}.png`), writeGrayPng({ width: image.width, height: image.height, data }));
  }
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const truth = async (id: string) => {
  const { image } = samples.find((sample) => sample.id === id)!;
  const data = Uint8Array.from({ length: image.width * image.height }, (_, i) => [0, 0, 1, 255, 7][i % 5]);
  return { width: image.width, height: image.height, data };
};
/** Stands for a dense CRF: softmax of the unary. */
const crf = {
  infer: ({ unary }: { unary: Float32Array }) => {
    const pixels = unary.length / 2;
    return unary.map((_, i) => {
      const difference = unary[i % pixels] - unary[pixels + (i % pixels)];
      return 1 / (1 + Math.exp(i < pixels ? difference : -difference));
    });
  },
};
const halfSize = (image: { width: number; height: number }) => {
  const width = Math.ceil(image.width / 2);
  const height = Math.ceil(image.height / 2);
  return { width, height, data: Float32Array.from({ length: width * height }, (_, i) => (i % 9) / 8) };
};

const sources: Record<string, () => SaliencySource> = {
  mbplus: () => createUnsupervisedSaliency({ method: 'mbplus' }),
  rbd: () => createUnsupervisedSaliency({ method: 'rbd' }),
  combined: () => createUnsupervisedSaliency(),
  constant: () => createConstantSaliency(0.7),
  files: () => createFileSaliency({ dir }),
  oracle: () => createOracleSaliency({ truth }),
  prediction: () => createPredictionSaliency({ predict: halfSize }),
  mean: () => combineSaliency([createFileSaliency({ dir }), createConstantSaliency(0.5)], 'mean'),
  max: () => combineSaliency([createFileSaliency({ dir }), createConstantSaliency(0.5)], 'max'),
  product: () =>
    combineSaliency(
      [createUnsupervisedSaliency({ method: 'mbplus' }), createFileSaliency({ dir })],
      'product',
    ),
  refined: () => refineSaliency(createFileSaliency({ dir }), { crf }),
};
for (const [name, create] of Object.entries(sources)) {
  describe(`${name} passes the conformance suite`, () => {
    for (const check of saliencySourceConformance({ create })) test(check.name, check.run);
  });
}

describe('the conformance suite', () => {
  test('catches a source that breaks the contract', async () => {
    let calls = 0;
    const bad: SaliencySource = {
      name: '',
      thresholds: { foreground: 0.1, background: 0.5 },
      map: async () => ({ width: 64, height: 48, data: new Float32Array(64 * 48).fill(calls++ / 1000) }),
    };
    for (const check of saliencySourceConformance({ create: () => bad })) {
      await expect(check.run()).rejects.toMatchObject({ code: 'CONTRACT' });
    }
  });
});

describe('createFileSaliency', () => {
  const read = async (name: string, bytes: Uint8Array, width: number, height: number, options = {}) => {
    await writeFile(join(dir, `${name}.png`), bytes);
    const notices: FileSaliencyNotice[] = [];
    const source = createFileSaliency({ dir, onNotice: (notice) => notices.push(notice), ...options });
    return { map: await source.map(plainSample(name, width, height)), notices };
  };

  test('reads grey, RGB and RGBA files by their brightness', async () => {
    const gray = { width: 3, height: 1, data: Uint8Array.of(0, 51, 255) };
    const expected = [0, 0.2, 1].map(Math.fround);
    expect(Array.from((await read('gray', writeGrayPng(gray), 3, 1)).map.data)).toEqual(expected);
    const rgb = { width: 3, height: 1, data: Uint8Array.of(0, 0, 0, 51, 51, 51, 255, 255, 255) };
    expect(Array.from((await read('rgb', writeRgbPng(rgb), 3, 1)).map.data)).toEqual(expected);
    const png = Buffer.from(RGBA_PNG, 'base64');
    expect(Array.from((await read('rgba', png, 3, 1)).map.data)).toEqual(expected);
  });

  test('reads JPEG when there is no PNG', async () => {
    await writeFile(join(dir, 'photo_sal.jpg'), Buffer.from(GREY_JPEG, 'base64'));
    const map = await createFileSaliency({ dir, suffix: '_sal' }).map(plainSample('photo', 16, 16));
    for (const value of map.data) expect(value).toBeCloseTo(0.6, 2);
  });

  test('the content says what a file is; capitals in the extension are found', async () => {
    const { map } = await read('misnamed', Buffer.from(GREY_JPEG, 'base64'), 16, 16);
    for (const value of map.data) expect(value).toBeCloseTo(0.6, 2);
    const gray = { width: 2, height: 1, data: Uint8Array.of(0, 51) };
    await writeFile(join(dir, 'capitals.PNG'), writeGrayPng(gray));
    const capitals = await createFileSaliency({ dir }).map(plainSample('capitals', 2, 1));
    expect(Array.from(capitals.data)).toEqual([0, Math.fround(0.2)]);
    await expect(read('empty', new Uint8Array(0), 1, 1)).rejects.toThrow(/empty\.png.*the file is empty/);
  });

  test('stretches maps of unknown scale on request, and a flat one to 0', async () => {
    const gray = { width: 4, height: 1, data: Uint8Array.of(10, 20, 30, 20) };
    const { map } = await read('narrow', writeGrayPng(gray), 4, 1, { scale: 'min-max' });
    expect(Array.from(map.data)).toEqual([0, 0.5, 1, 0.5]);
    const flat = await read('flat', writeGrayPng({ width: 2, height: 1, data: Uint8Array.of(9, 9) }), 2, 1, {
      scale: 'min-max',
    });
    expect(Array.from(flat.map.data)).toEqual([0, 0]);
  });

  test('resizes bilinearly and says so', async () => {
    const { map, notices } = await read(
      'small',
      writeGrayPng({ width: 2, height: 1, data: Uint8Array.of(0, 255) }),
      4,
      1,
    );
    expect(Array.from(map.data)).toEqual([0, 0.25, 0.75, 1]);
    expect(notices).toHaveLength(1);
    expect(notices[0].message).toContain('is 2x1, its image 4x1: resized bilinearly');
  });

  test('says when a file looks like a 0/1 mask or a palette image without its palette', async () => {
    const mask = { width: 2, height: 1, data: Uint8Array.of(0, 1) };
    const { notices } = await read('mask', writeGrayPng(mask), 2, 1);
    expect(notices.map((notice) => notice.kind)).toEqual(['almost-black']);
    const stretched = await read('mask', writeGrayPng(mask), 2, 1, { scale: 'min-max' });
    expect(Array.from(stretched.map.data)).toEqual([0, 1]);
    // A palette that is a grey ramp is brightness like any other.
    const ramp = Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3));
    const palette = await read(
      'ramp',
      writeIndexedPng({ width: 2, height: 1, data: Uint8Array.of(0, 102) }, ramp),
      2,
      1,
    );
    expect(Array.from(palette.map.data)).toEqual([0, Math.fround(0.4)]);
  });

  test('says when a map is white all over, as one whose values lie in the alpha channel', async () => {
    const white = { width: 2, height: 1, data: Uint8Array.of(255, 255) };
    const { notices } = await read('white', writeGrayPng(white), 2, 1);
    expect(notices.map((notice) => notice.kind)).toEqual(['all-white']);
    expect(notices[0].message).toMatch(/white\.png is white all over.*alpha channel/);
  });

  test('names the file that is missing or damaged', async () => {
    const source = createFileSaliency({ dir });
    await expect(source.map(plainSample('nowhere', 1, 1))).rejects.toMatchObject({ code: 'MAP_NOT_FOUND' });
    await expect(source.map(plainSample('nowhere', 1, 1))).rejects.toThrow(join(dir, 'nowhere.png'));
    await truncate(join(dir, 'noise-30x20.png'), 60);
    await expect(source.map(samples[8])).rejects.toThrow(join(dir, 'noise-30x20.png'));
    await expect(source.map(samples[8])).rejects.toMatchObject({ code: 'MAP_UNREADABLE' });
  });
});

describe('combineSaliency', () => {
  const two = [createConstantSaliency(0.25), createConstantSaliency(0.75)];
  test.each([
    ['mean', 0.5],
    ['max', 0.75],
    ['product', 0.1875],
  ] as const)('%s', async (rule, value) => {
    const source = combineSaliency(two, rule);
    expect(Array.from((await source.map(plainSample('a', 2, 1))).data)).toEqual([value, value]);
    expect(source.name).toBe(`${rule}(constant(0.25), constant(0.75))`);
    expect(source.thresholds).toEqual(
      rule === 'product' ? { foreground: 0.25, background: 0.25 } : { foreground: 0.5, background: 0.5 },
    );
  });

  test('the single threshold is merged too, where a source has none its foreground counts', () => {
    const mbplus = createUnsupervisedSaliency({ method: 'mbplus' });
    expect(combineSaliency([mbplus, createConstantSaliency(1)], 'mean').thresholds.single).toBeCloseTo(0.4);
  });

  test('refuses nothing to combine, unknown rules and maps of other sizes', async () => {
    expect(() => combineSaliency([], 'mean')).toThrow('at least one');
    expect(() => combineSaliency(two, 'median' as never)).toThrow('"median"');
    const odd: SaliencySource = {
      ...two[0],
      name: 'odd',
      map: async () => ({ width: 1, height: 1, data: new Float32Array(1) }),
    };
    await expect(combineSaliency([two[0], odd], 'max').map(plainSample('a', 2, 1))).rejects.toThrow(
      'Expected source odd to return 2x1 for image a, got 1x1',
    );
  });
});

describe('the other sources', () => {
  test('oracle: named so, foreground 1, ignored pixels between its thresholds', async () => {
    const source = createOracleSaliency({ truth });
    expect(source.name).toBe('oracle');
    expect(Array.from((await source.map(samples[0])).data.subarray(0, 5))).toEqual([0, 0, 1, 0.5, 1]);
    expect(() => createOracleSaliency({})).toThrow('without');
    await expect(source.map({ id: samples[0].id, image: samples[1].image })).rejects.toMatchObject({
      code: 'BAD_SHAPE',
    });
  });

  test('prediction: refuses logits', async () => {
    const source = createPredictionSaliency({
      predict: () => ({ width: 1, height: 1, data: Float32Array.of(3) }),
    });
    await expect(source.map(plainSample('a', 2, 2))).rejects.toThrow('apply a sigmoid to logits');
  });

  test('constant, thresholds and methods are checked at once', () => {
    expect(() => createConstantSaliency(2)).toThrow('0..1');
    expect(() => createUnsupervisedSaliency({ method: 'deep' as never })).toThrow('"deep"');
    expect(() => createUnsupervisedSaliency({ workers: -1 })).toThrow('workers');
    expect(() => createUnsupervisedSaliency({ thresholds: { foreground: 0.1, background: 0.2 } })).toThrow(
      'not above',
    );
  });

  test('refined: a map without contrast comes back as it is', async () => {
    const source = refineSaliency(createConstantSaliency(0), { crf });
    expect(Array.from((await source.map(plainSample('a', 2, 1))).data)).toEqual([0, 0]);
    expect(source.name).toBe('constant(0)+crf');
  });

  test('unsupervised: closed means closed', async () => {
    const source = createUnsupervisedSaliency();
    await source.close!();
    await expect(source.map(samples[0])).rejects.toMatchObject({ code: 'CLOSED' });
  });
});

describe('worker threads, on the built package', () => {
  const run = (body: string) =>
    execFileSync(process.execPath, ['--input-type=module', '--eval', body], {
      cwd: fileURLToPath(new URL('..', import.meta.url)),
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 50_000,
    });

  test('give the same maps as the calling thread, and let the process end without close', () => {
    const output = run(`
      import { createUnsupervisedSaliency } from '@auxseg/saliency';
      import { conformanceSamples } from '@auxseg/saliency/testing';
      const alone = createUnsupervisedSaliency({ method: 'mbplus' });
      const pool = createUnsupervisedSaliency({ method: 'mbplus', workers: 2 });
      const samples = conformanceSamples();
      const maps = await Promise.all(samples.map((sample) => pool.map(sample)));
      for (let i = 0; i < samples.length; i++) {
        const expected = await alone.map(samples[i]);
        if (Buffer.compare(Buffer.from(maps[i].data.buffer), Buffer.from(expected.data.buffer)) !== 0) throw new Error(samples[i].id);
      }
      const bad = await pool.map({ id: 'x', image: { width: 2, height: 2, data: new Uint8Array(5) } }).catch((error) => error);
      console.log(bad.name, bad.code, bad.message.slice(0, 30));
      const late = pool.map(samples[0]).catch((error) => error.code);
      const later = [1, 2, 3, 4].map((i) => pool.map(samples[i]).catch((error) => error.code));
      await pool.close();
      const codes = new Set(await Promise.all([late, ...later]));
      console.log([...codes].every((code) => code === 'CLOSED' || code === 'WORKER_FAILED'));
      const open = createUnsupervisedSaliency({ method: 'mbplus', workers: 1 });
      await open.map(samples[0]);
    `);
    expect(output).toBe('SaliencyError BAD_SHAPE Expected RGB bytes [2,2,3] (12\ntrue\n');
  });
});
