import { existsSync } from 'node:fs';
import { afterAll, describe, expect, test } from '@jest/globals';
import type * as crf from './index.js';
import { presets } from './presets.js';
import type { DenseCrfOptions } from './types.js';

// Workers run the built package, so that is what these tests load (npm test builds first).
const built = new URL('../dist/index.js', import.meta.url);
const { createDenseCrf, createDenseCrfPool } = (await import(built.href)) as typeof crf;

function problem(width: number, height: number, labels: number, seed: number): DenseCrfOptions {
  let state = seed;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296;
  };
  return {
    width,
    height,
    labels,
    unary: new Float32Array(labels * width * height).map(() => 4 * random()),
    image: new Uint8Array(width * height * 3).map((_, i) => (i % (3 * width)) + 40 * random()),
    ...presets.psa,
    iterations: 3,
  };
}

/** A stand-in for the worker script, which misbehaves on demand: width 1 crashes, width 2 hangs, width 3 ends. */
const unruly = `data:text/javascript,${encodeURIComponent(`
  const { parentPort, threadId } = process.getBuiltinModule('node:worker_threads');
  parentPort.on('message', ({ kind, options }) => {
    if (kind === 'setup') return parentPort.postMessage({ kind: 'ready' });
    if (options.width === 1) throw new Error('boom');
    if (options.width === 2) for (;;);
    if (options.width === 3) process.exit(7);
    const answer = () => parentPort.postMessage({ kind: 'result', values: Float32Array.of(options.width, threadId) });
    setTimeout(answer, options.width === 4 ? 300 : 1);
  });
`)}`;
const small = (width: number): DenseCrfOptions => ({
  width,
  height: 1,
  labels: 2,
  unary: new Float32Array(2 * width),
  iterations: 0,
});

const pools: crf.DenseCrfPool[] = [];
function open(options: crf.CreateDenseCrfPoolOptions): crf.DenseCrfPool {
  const pool = createDenseCrfPool(options);
  pools.push(pool);
  return pool;
}
afterAll(() => Promise.all(pools.map((pool) => pool.dispose())));

test('the package is built', () => {
  expect(existsSync(built)).toBe(true);
});

describe('results', () => {
  test('have the bits of the calling thread, whatever the number of workers', async () => {
    const problems = [
      problem(30, 20, 2, 1),
      problem(41, 13, 5, 2),
      problem(17, 23, 21, 3),
      problem(64, 9, 3, 4),
    ];
    const single = await createDenseCrf();
    for (const workers of [1, 3]) {
      const pool = open({ workers });
      expect(pool.workers).toBe(workers);
      const results = await Promise.all(problems.map((one) => pool.infer(one)));
      results.forEach((q, i) => {
        expect(Buffer.compare(Buffer.from(q.buffer), Buffer.from(single.infer(problems[i]).buffer))).toBe(0);
      });
      const map = await pool.inferMap(problems[1]);
      expect(Buffer.compare(map, single.inferMap(problems[1]))).toBe(0);
      const foreground = await pool.inferForeground(problems[0]);
      expect(Array.from(foreground)).toEqual(Array.from(single.inferForeground(problems[0])));
    }
  });

  test('the inputs stay usable', async () => {
    const pool = open({ workers: 1 });
    const one = problem(20, 10, 3, 5);
    await pool.infer(one);
    expect((one.unary as Float32Array).length).toBe(600);
    expect((one.image as Uint8Array).length).toBe(600);
    // A Buffer, as image decoders in Node give it, is a Uint8Array whose slice() shares memory.
    const image = Buffer.alloc(600, 9);
    await pool.infer({ ...one, image });
    expect(image.equals(Buffer.alloc(600, 9))).toBe(true);
  });

  test('inferAll keeps the order and takes problems only as needed', async () => {
    const pool = open({ workers: 2, workerUrl: unruly });
    let taken = 0;
    async function* problems() {
      for (const width of [4, 6, 7, 4, 8, 9, 10, 11, 12, 13]) {
        taken++;
        yield small(width);
      }
    }
    const widths: number[] = [];
    for await (const [width] of pool.inferAll(problems())) {
      widths.push(width);
      expect(taken - widths.length).toBeLessThanOrEqual(2 * pool.workers);
    }
    expect(widths).toEqual([4, 6, 7, 4, 8, 9, 10, 11, 12, 13]);
    expect(pool.waiting + pool.running).toBe(0);
  });

  test('leaving inferAll early takes back the rest', async () => {
    const pool = open({ workers: 1, workerUrl: unruly });
    for await (const _ of pool.inferAll([6, 7, 8, 9, 10].map(small))) break;
    expect(pool.waiting + pool.running).toBe(0);
    expect((await pool.infer(small(5)))[0]).toBe(5);
  });
});

describe('failures', () => {
  test('a crash, an exit and a hang fail their image only, and the worker is replaced', async () => {
    const pool = open({ workers: 1, timeoutMs: 2000, workerUrl: unruly });
    const [, thread] = await pool.infer(small(5));
    const calls = [5, 1, 6, 3, 7, 2, 8].map((width) => pool.infer(small(width)));
    const results = await Promise.allSettled(calls);
    const codes = results.map((one) => (one.status === 'fulfilled' ? one.value[0] : one.reason.code));
    expect(codes).toEqual([5, 'worker-failed', 6, 'worker-failed', 7, 'worker-timeout', 8]);
    expect((results[1] as PromiseRejectedResult).reason.message).toMatch(/boom/);
    expect((results[3] as PromiseRejectedResult).reason.message).toMatch(/exit code 7/);
    const [, last] = await pool.infer(small(5));
    expect(last).not.toBe(thread);
  });

  test('a worker script that does not exist', async () => {
    const pool = open({ workers: 1, workerUrl: new URL('./no-such-worker.js', import.meta.url) });
    await expect(pool.infer(small(5))).rejects.toMatchObject({ code: 'worker-failed' });
  });

  test('bad values are reported by the worker like by the calling thread', async () => {
    const pool = open({ workers: 1 });
    const one = problem(6, 4, 3, 6);
    (one.unary as Float32Array)[50] = Number.NaN;
    await expect(pool.infer(one)).rejects.toMatchObject({
      name: 'DenseCrfError',
      code: 'bad-option',
      message: expect.stringMatching(/NaN at label 2, row 0, column 2/),
    });
    await expect(pool.infer({ ...one, width: 0 })).rejects.toMatchObject({ code: 'bad-option' });
    expect(await pool.infer(problem(6, 4, 3, 7))).toHaveLength(72);
  });

  test('a full queue', async () => {
    const pool = open({ workers: 1, maxQueue: 2, workerUrl: unruly });
    const calls = [4, 5, 6].map((width) => pool.infer(small(width)));
    await expect(pool.infer(small(7))).rejects.toMatchObject({ code: 'queue-full' });
    expect((await Promise.all(calls)).map((q) => q[0])).toEqual([4, 5, 6]);
    expect((await pool.infer(small(8)))[0]).toBe(8);
  });

  test('a limit longer than timers count, such as Infinity, does not fire at once', async () => {
    const pool = open({ workers: 1, timeoutMs: Number.POSITIVE_INFINITY, workerUrl: unruly });
    expect((await pool.infer(small(4)))[0]).toBe(4);
  });

  test('bad options of the pool itself', () => {
    expect(() => createDenseCrfPool({ workers: 0 })).toThrow(/workers.*>= 1, got 0/);
    expect(() => createDenseCrfPool({ maxQueue: 0 })).toThrow(/maxQueue/);
    expect(() => createDenseCrfPool({ timeoutMs: 0 })).toThrow(/timeoutMs/);
  });
});

describe('cancellation', () => {
  test('waiting, running and done calls', async () => {
    const pool = open({ workers: 1, workerUrl: unruly });
    const controller = new AbortController();
    const done = pool.infer(small(5), { signal: controller.signal });
    await done;
    const running = pool.infer(small(2), { signal: controller.signal });
    const waiting = pool.infer(small(6), { signal: controller.signal });
    const other = pool.infer(small(7));
    expect([pool.running, pool.waiting]).toEqual([1, 2]);
    controller.abort();
    await expect(running).rejects.toMatchObject({ name: 'AbortError' });
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
    expect((await other)[0]).toBe(7);
    await expect(pool.infer(small(5), { signal: controller.signal })).rejects.toMatchObject({
      name: 'AbortError',
    });
  });

  test('dispose rejects what is not done', async () => {
    const pool = open({ workers: 1, workerUrl: unruly });
    const calls = [pool.infer(small(2)), pool.infer(small(5))];
    const settled = Promise.allSettled(calls);
    await pool.dispose();
    for (const one of await settled)
      expect(one).toMatchObject({ status: 'rejected', reason: { code: 'disposed' } });
    await expect(pool.infer(small(5))).rejects.toMatchObject({ code: 'disposed' });
    await pool.dispose();
  });
});
