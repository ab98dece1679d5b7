import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { writeGrayPng, writeIndexedPng } from '@auxseg/formats';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createLoader, type LoaderOptions } from './create-loader.js';
import { createSyntheticDataset } from './create-synthetic-dataset.js';
import { openVocDataset } from './open-voc-dataset.js';
import type { BatchItem, BatchJob } from './produce-batch.js';
import type { Batch, Dataset } from './types.js';
import { vocXml, writeVocFolder } from './voc-folder.test.helper.js';
import { createWorkerPool } from './worker-pool.js';

let root = '';
let dataset: Dataset;
const sizes = [
  [40, 30],
  [25, 50],
  [64, 20],
  [33, 33],
  [18, 70],
  [50, 41],
  [31, 29],
];
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'auxseg-loader-'));
  await writeVocFolder(
    root,
    sizes.map(([width, height], i) => ({ id: `im${i}`, width, height, values: [0, 1 + i, 255] })),
  );
  for (let i = 0; i < sizes.length; i++) {
    writeFileSync(join(root, `Annotations/im${i}.xml`), vocXml('cat'));
    const [width, height] = sizes[i];
    const data = Uint8Array.from({ length: width * height }, (_, p) => (p * 7) % 256);
    writeFileSync(join(root, `im${i}-saliency.png`), writeGrayPng({ width, height, data }));
  }
  dataset = await openVocDataset({ root, split: 'train' });
});
afterAll(() => rmSync(root, { recursive: true }));

const saliencyFile = (id: string): string => join(root, `${id}-saliency.png`);
const options = (more: Partial<LoaderOptions> = {}): LoaderOptions => ({
  dataset,
  targets: { segmentation: (id) => dataset.truth?.(id) as never, saliency: { file: saliencyFile } },
  transform: {
    flip: true,
    scale: { min: 0.7, max: 1.3, per: 'batch' },
    crop: 32,
    jitter: { brightness: 0.3, contrast: 0.3, saturation: 0.3 },
  },
  batchSize: 3,
  seed: 11,
  workers: 0,
  ...more,
});

function digest(b: Batch): string {
  const hash = createHash('sha256').update(b.ids.join());
  for (const a of [b.images, b.labels, b.segmentation, b.saliency])
    if (a) hash.update(new Uint8Array(a.buffer, a.byteOffset, a.byteLength));
  return `${b.count}x${b.height}x${b.width}:${hash.digest('hex')}`;
}

async function digests(more: Partial<LoaderOptions>, epoch = 0, startBatch = 0): Promise<string[]> {
  const loader = createLoader(options(more));
  const result: string[] = [];
  for await (const batch of loader.epoch(epoch, startBatch)) result.push(digest(batch));
  await loader.close();
  return result;
}

describe('createLoader', () => {
  test('shapes, order and the targets of a batch', async () => {
    const loader = createLoader(options());
    expect(loader.batchesPerEpoch).toBe(3);
    const seen: string[] = [];
    for await (const b of loader.epoch(2)) {
      expect([b.height, b.width, b.images.length, b.labels.length]).toEqual([
        32,
        32,
        b.count * 3072,
        b.count * 20,
      ]);
      expect([b.segmentation?.length, b.saliency?.length]).toEqual([b.count * 1024, b.count * 1024]);
      for (let i = 0; i < b.count; i++) {
        expect(b.labels[i * 20 + 7]).toBe(1);
        const own = 1 + Number(b.ids[i].slice(2));
        const values = new Set(b.segmentation?.subarray(i * 1024, (i + 1) * 1024));
        for (const v of values) expect([0, own, 255]).toContain(v);
      }
      seen.push(...b.ids);
    }
    expect(seen).toEqual(loader.epochIds(2));
    expect([...seen].sort()).toEqual([...dataset.ids]);
    expect(loader.epochIds(3)).not.toEqual(loader.epochIds(2));
    expect(loader.stats().batches).toBe(3);
    await loader.close();
  });

  test('the same bytes for 0, 1, 2 and 3 workers and any prefetch', async () => {
    const reference = await digests({});
    expect(new Set(reference).size).toBe(3);
    for (const [workers, prefetch] of [
      [1, 1],
      [2, 4],
      [3, 9],
    ])
      expect(await digests({ workers, prefetch })).toEqual(reference);
    expect(await digests({ seed: 12 })).not.toEqual(reference);
    expect(await digests({}, 1)).not.toEqual(reference);
  });

  test('an epoch entered in the middle goes on with the same batches', async () => {
    const whole = await digests({ batchSize: 2 }, 5);
    expect(whole).toHaveLength(4);
    expect(await digests({ batchSize: 2, workers: 1 }, 5, 2)).toEqual(whole.slice(2));
    expect(await digests({ batchSize: 2 }, 5, 4)).toEqual([]);
  });

  test("the next epoch's first batches are begun at the end of one, and dropped when another comes", async () => {
    const read: string[] = [];
    const functions: Dataset = {
      classes: dataset.classes,
      ids: dataset.ids,
      imageLabels: (id) => dataset.imageLabels(id),
      sample: (id) => {
        read.push(id);
        return dataset.sample(id);
      },
    };
    const loader = createLoader(
      options({ dataset: functions, targets: undefined, prefetch: 2, aheadOfEpoch: true }),
    );
    const withoutTargets = createLoader(options({ targets: undefined }));
    const take = async (epoch: number, startBatch = 0) => {
      const digests: string[] = [];
      const iterator = loader.epoch(epoch, startBatch);
      for (let batch = startBatch; batch < loader.batchesPerEpoch; batch++) {
        digests.push(digest((await iterator.next()).value));
      }
      await iterator.return?.(); // as the trainer does, without asking for a batch too many
      return digests;
    };
    const expected = async (epoch: number, startBatch = 0) => {
      const digests: string[] = [];
      for await (const batch of withoutTargets.epoch(epoch, startBatch)) digests.push(digest(batch));
      return digests;
    };
    expect(await take(0)).toEqual(await expected(0));
    expect(read.slice(7)).toEqual(loader.epochIds(1).slice(0, 6));
    expect(await take(1)).toEqual(await expected(1));
    expect(read.length).toBe(7 + 7 + 6);
    expect(await take(4, 1)).toEqual(await expected(4, 1));
    expect(await take(5)).toEqual(await expected(5));
    await Promise.all([loader, withoutTargets].map((one) => one.close()));
  });

  test('a sample does not depend on the batch it falls into, when scale is drawn per sample', async () => {
    const collect = async (batchSize: number, shuffle: boolean): Promise<Map<string, string>> => {
      const loader = createLoader(
        options({ batchSize, shuffle, transform: { flip: true, scale: { min: 0.5, max: 2 }, crop: 24 } }),
      );
      const result = new Map<string, string>();
      for await (const b of loader.epoch(1)) {
        b.ids.forEach((id, i) => {
          result.set(id, Buffer.from(b.images.buffer, i * 24 * 24 * 12, 24 * 24 * 12).toString('hex'));
        });
      }
      return result;
    };
    const a = await collect(3, true);
    const b = await collect(1, false);
    for (const id of dataset.ids) expect(a.get(id)).toBe(b.get(id));
  });

  test("dropLast, shuffle off, ids of one's own, whole images one by one", async () => {
    expect(createLoader(options({ dropLast: true })).batchesPerEpoch).toBe(2);
    const loader = createLoader(
      options({
        ids: ['im3', 'im1'],
        shuffle: false,
        batchSize: 1,
        transform: { normalization: 'mobilenet' },
      }),
    );
    const batches: Batch[] = [];
    for await (const b of loader.epoch(0)) batches.push(b);
    expect(batches.map((b) => [b.ids[0], b.width, b.height])).toEqual([
      ['im3', 33, 33],
      ['im1', 25, 50],
    ]);
    const image = (await dataset.sample('im1')).image.data;
    expect(batches[1].images[100]).toBe(Math.fround(image[100] / 127.5 - 1));
    expect(batches[1].saliency?.[9]).toBe(Math.fround((9 * 7) / 255));
  });

  test('padding: label 255 or the label chosen, saliency and image as given', async () => {
    for (const padLabel of [undefined, 0]) {
      const transform = { crop: 80, padLabel, padSaliency: 0.5, padImage: -3 };
      const loader = createLoader(options({ ids: ['im0'], batchSize: 1, transform }));
      for await (const b of loader.epoch(0)) {
        const padded = Array.from(b.images).flatMap((v, i) => (i % 3 === 0 && v === -3 ? [i / 3] : []));
        expect(padded).toHaveLength(6400 - 1200);
        expect(new Set(padded.map((p) => b.segmentation?.[p]))).toEqual(new Set([padLabel ?? 255]));
        expect(new Set(padded.map((p) => b.saliency?.[p]))).toEqual(new Set([0.5]));
      }
    }
  });

  test('a data set of functions alone works with workers too', async () => {
    const { imageSource: _, ...plain } = dataset;
    expect(await digests({ dataset: plain, workers: 2 })).toEqual(await digests({}));
  });

  test('the synthetic set is drawn in the workers', async () => {
    const synthetic = createSyntheticDataset({ count: 6, size: 48, seed: 3 });
    const own: Partial<LoaderOptions> = {
      dataset: synthetic,
      targets: { segmentation: synthetic.truth, saliency: synthetic.saliency },
      transform: { flip: true, crop: 40 },
      batchSize: 2,
    };
    expect(await digests({ ...own, workers: 2 })).toEqual(await digests(own));
  });

  test("a step of one's own runs in the workers, keyed like everything else", async () => {
    const file = join(root, 'blot.mjs');
    writeFileSync(
      file,
      `export default (s, random, { size }) => {
         const x = random.integer(s.width - size), y = random.integer(s.height - size);
         for (let j = y; j < y + size; j++) for (let i = x; i < x + size; i++) { s.image.fill(7, (j * s.width + i) * 3, (j * s.width + i) * 3 + 3); s.segmentation[j * s.width + i] = 255; }
       };`,
    );
    const own = (size: number): Partial<LoaderOptions> => ({
      transform: {
        flip: true,
        crop: 28,
        normalization: { mean: [0, 0, 0], std: [1 / 255, 1 / 255, 1 / 255] },
        custom: [{ module: pathToFileURL(file).href, options: { size } }],
      },
    });
    const reference = await digests({ ...own(9), workers: 1 });
    expect(await digests({ ...own(9), workers: 2 })).toEqual(reference);
    expect(await digests({ ...own(5), workers: 1 })).not.toEqual(reference);
    const loader = createLoader(options({ ...own(28 - 1), batchSize: 1, workers: 1, ids: ['im3'] }));
    for await (const b of loader.epoch(0))
      expect(Array.from(b.images).filter((v) => Math.round(v) === 7).length).toBeGreaterThanOrEqual(
        27 * 27 * 3,
      );
    await loader.close();
  });

  test('workers go on while the consumer blocks its thread, up to the prefetch and no further', async () => {
    const marks = join(root, 'marks');
    const file = join(root, 'mark.mjs');
    writeFileSync(marks, '');
    writeFileSync(
      file,
      "import { appendFileSync } from 'node:fs';\nexport default (s, random, { marks }) => appendFileSync(marks, '.');",
    );
    const transform = { crop: 16, custom: [{ module: pathToFileURL(file).href, options: { marks } }] };
    const loader = createLoader(options({ transform, workers: 1, batchSize: 1, prefetch: 4 }));
    const done = (): number => statSync(marks).size;
    const sleep = (ms: number): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    let first = true;
    for await (const _ of loader.epoch(0)) {
      if (first) {
        // Nothing but this loop runs here: the event loop stands still, as it does during synchronous compute.
        for (let i = 0; done() < 4 && i < 4000; i++) sleep(5);
        expect(done()).toBeGreaterThanOrEqual(4);
        sleep(50);
        expect(done()).toBeLessThanOrEqual(5);
      }
      first = false;
    }
    await loader.close();
  });
});

describe('what goes wrong', () => {
  const failing = async (more: Partial<LoaderOptions>): Promise<Error> => {
    const loader = createLoader(options({ shuffle: false, ...more }));
    const ids: string[] = [];
    try {
      for await (const b of loader.epoch(0)) ids.push(...b.ids);
    } catch (error) {
      return error as Error;
    } finally {
      await loader.close();
    }
    throw new Error(`no error, but ${ids.join()}`);
  };

  const targets = (seg: string): LoaderOptions['targets'] => ({
    segmentation: {
      file: (id) => (id === 'im5' ? join(root, seg) : join(root, 'SegmentationClass', `${id}.png`)),
    },
  });

  test('missing, resized and foreign targets and mixed sizes have code, file and remedy', async () => {
    const workers = 0;
    expect(await failing({ workers, targets: targets('none.png') })).toMatchObject({
      code: 'missing-file',
      message: expect.stringContaining('none.png'),
    });
    writeFileSync(join(root, 'small.png'), writeIndexedPng({ width: 3, height: 3, data: new Uint8Array(9) }));
    expect(await failing({ workers, targets: targets('small.png') })).toMatchObject({
      code: 'size-mismatch',
      details: { id: 'im5', mapSize: [3, 3], imageSize: [50, 41] },
    });
    writeFileSync(
      join(root, 'large.png'),
      writeIndexedPng({ width: 50, height: 41, data: new Uint8Array(2050).fill(99) }),
    );
    expect(await failing({ workers, targets: targets('large.png') })).toMatchObject({
      code: 'unreadable-mask',
      message: expect.stringMatching(/0\.\.20 and 255.*found 99/),
    });
    expect(await failing({ workers, batchSize: 2, transform: {} })).toMatchObject({
      message: expect.stringMatching(/im0 has 40x30 and im1 has 25x50.*transform\.crop/),
    });
  });

  test("an error comes at its batch's turn, out of the worker with its code, and the loader lives on", async () => {
    const loader = createLoader(
      options({ workers: 1, batchSize: 1, shuffle: false, targets: targets('none.png') }),
    );
    const done: string[] = [];
    await expect(
      (async () => {
        for await (const b of loader.epoch(0)) done.push(...b.ids);
      })(),
    ).rejects.toMatchObject({ code: 'missing-file', message: expect.stringContaining('none.png') });
    expect(done).toEqual(['im0', 'im1', 'im2', 'im3', 'im4']);
    for await (const b of loader.epoch(0)) {
      expect(b.ids).toEqual(['im0']);
      break;
    }
    await loader.close();
  });

  test('a truncated JPEG is named', async () => {
    const file = join(root, 'JPEGImages/im2.jpg');
    const whole = readFileSync(file);
    writeFileSync(file, whole.subarray(0, whole.length >> 1));
    try {
      expect(await failing({ workers: 1 })).toMatchObject({ code: 'unreadable-image', details: { file } });
    } finally {
      writeFileSync(file, whole);
    }
  });

  test('a pool serves one loader after the other, and outlives them', async () => {
    const pool = createWorkerPool(2);
    const own = await digests({ workers: 1 });
    for (let round = 0; round < 2; round++) expect(await digests({ workers: pool })).toEqual(own);
    await pool.close();
    await expect(digests({ workers: pool })).rejects.toThrow(/closed/);
  });

  test('a worker that dies is reported with the sample it was working on, and replaced', async () => {
    const file = join(root, 'dying-worker.mjs');
    writeFileSync(
      file,
      `import { parentPort, workerData } from 'node:worker_threads';
       const progress = new Int32Array(workerData.progress);
       parentPort.on('message', ({ task }) => { progress[0] = task; progress[1] = 1; process.exit(3); });`,
    );
    const item = (id: string): BatchItem => ({
      id,
      image: dataset.imageSource?.(id) as never,
      labels: new Uint8Array(20),
    });
    const job: BatchJob = {
      kind: 'batch',
      seed: 0,
      epoch: 0,
      batch: 0,
      transform: {},
      numClasses: 20,
      items: [item('im0'), item('im4')],
    };
    const pool = createWorkerPool(1, pathToFileURL(file));
    for (let round = 0; round < 2; round++) {
      const { result } = pool.submit(job);
      await expect(result).rejects.toMatchObject({
        code: 'worker-died',
        message: expect.stringMatching(/exit code 3.*sample im4 \(.*im4\.jpg\)/),
      });
    }
    await pool.close();
    expect(() => pool.submit(job)).toThrow(/closed/);
  });

  test('options are checked', () => {
    expect(() => createLoader(options({ batchSize: 0 }))).toThrow(/batchSize/);
    expect(() => createLoader(options({ ids: [] }))).toThrow(/at least one id/);
    expect(() => createLoader(options({ workers: -1 }))).toThrow(/workers/);
    expect(() => createLoader(options({ batchSize: 8, dropLast: true }))).toThrow(/at most the 7/);
  });
});
