import { useBackend } from '@auxseg/runtime';
import { beforeAll, describe, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import {
  type CheckpointStore,
  createMemoryCheckpointStore,
  createSgd,
  createTrainer,
  polySchedule,
  type StepEvent,
  TrainerError,
  type TrainerOptions,
} from './index.js';

interface NoiseBatch {
  ids: string[];
  values: Float32Array;
}

const BATCHES_PER_EPOCH = 5;

/**
 * A regression whose loss depends on everything a resumption must get right: the batch (epoch and position), the random key
 * (noise on the weight), the momentum, the schedule's step.
 */
function createRun(overrides: Partial<TrainerOptions<NoiseBatch>> = {}) {
  const weight = tf.variable(tf.tensor2d([0.5, -0.25, 1, 0.75, 0.1, -0.6], [3, 2]));
  const bias = tf.variable(tf.zeros([2]));
  const names = new Map([
    [weight.name, 'weight'],
    [bias.name, 'bias'],
  ]);
  const nameOf = (variable: tf.Variable) => names.get(variable.name)!;
  let key = 0;
  const keys: number[] = [];
  const closed: number[] = [];
  const options: TrainerOptions<NoiseBatch> = {
    model: {
      variables: () => [weight, bias],
      loss(batch) {
        const input = tf.tensor2d(batch.values, [2, 3]);
        const noise = tf.randomNormal([3, 2], 0, 0.1, 'float32', key);
        const output = tf.add(tf.matMul(input, tf.add(weight, noise) as tf.Tensor2D), bias);
        const fit = tf.mean(tf.square(tf.sub(output, 1))) as tf.Scalar;
        const size = tf.mul(tf.sum(tf.square(weight)), 0.01) as tf.Scalar;
        return { total: tf.add(fit, size) as tf.Scalar, parts: { fit, size } };
      },
    },
    data: {
      batchesPerEpoch: BATCHES_PER_EPOCH,
      async *epoch(epoch, start = 0) {
        try {
          for (let index = start; index < BATCHES_PER_EPOCH; index++) {
            const values = Float32Array.from({ length: 6 }, (_, i) => Math.sin(17 * epoch + 5 * index + i));
            yield { ids: [`${epoch}-${index}-a`, `${epoch}-${index}-b`], values };
          }
        } finally {
          closed.push(epoch);
        }
      },
    },
    optimizer: createSgd({ groups: [{ name: 'all', variables: [weight, bias] }], momentum: 0.9, nameOf }),
    schedule: polySchedule({ baseLr: 0.05, totalSteps: 13, warmupSteps: 3 }),
    totalSteps: 13,
    accumulate: 2,
    seed: 42,
    random: {
      setKey(value) {
        key = value % 100_000;
        keys.push(value);
      },
    },
    nameOf,
    checkpointEverySteps: 3,
    ...overrides,
  };
  return { weight, bias, keys, closed, run: () => createTrainer(options).run() };
}

/** Bytes of everything a checkpoint holds. */
async function bytesOf(store: CheckpointStore): Promise<string> {
  const { tensors, metadata } = (await store.load())!;
  const parts = [...tensors].map(([name, { shape, data }]) => {
    return `${name} [${shape}] ${Buffer.from(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength).toString('hex')}`;
  });
  return [JSON.stringify(metadata), ...parts].join('\n');
}

describe.each(['cpu', 'onnx'] as const)('resume on %s', (backend) => {
  beforeAll(() => useBackend(backend));

  test('killed after any step, the run ends with the same bytes', async () => {
    const reference = createMemoryCheckpointStore();
    const undisturbed = await createRun({ checkpoint: reference }).run();
    const expected = await bytesOf(reference);
    expect(expected).toMatch(/log\/size \[13\]/);
    for (let killAt = 1; killAt <= 13; killAt++) {
      const store = createMemoryCheckpointStore();
      const killed = createRun({
        checkpoint: store,
        onStep: ({ step }) => {
          if (step === killAt) throw new Error('killed');
        },
      });
      await expect(killed.run()).rejects.toThrow('killed');
      const resumed = await createRun({ checkpoint: store }).run();
      expect(resumed.resumedFrom).toBe(Math.floor((killAt - 1) / 3) * 3);
      expect(resumed.losses).toEqual(undisturbed.losses);
      expect(await bytesOf(store)).toBe(expected);
    }
  });

  test('interrupted again and again by a signal, it still ends with the same bytes', async () => {
    const reference = createMemoryCheckpointStore();
    await createRun({ checkpoint: reference }).run();
    const store = createMemoryCheckpointStore();
    let attempts = 0;
    for (let done = false; !done; attempts++) {
      const controller = new AbortController();
      const attempt = createRun({
        checkpoint: store,
        signal: controller.signal,
        onStep: () => controller.abort('enough'),
      });
      try {
        await attempt.run();
        done = true;
      } catch (error) {
        expect(error).toMatchObject({ code: 'ABORTED', details: { step: attempts + 1 }, cause: 'enough' });
      }
    }
    expect(attempts).toBe(13);
    expect(await bytesOf(store)).toBe(await bytesOf(reference));
  });

  test('a finished run is not trained again', async () => {
    const store = createMemoryCheckpointStore();
    const first = createRun({ checkpoint: store });
    await first.run();
    const second = createRun({ checkpoint: store });
    const result = await second.run();
    expect(second.keys).toEqual([]);
    expect(result).toMatchObject({ steps: 13, resumedFrom: 13 });
    expect(second.weight.dataSync()).toEqual(first.weight.dataSync());
  });

  test('the logger is rewound to the checkpoint', async () => {
    const store = createMemoryCheckpointStore();
    const rewound: number[] = [];
    let flushes = 0;
    const logger = {
      write: () => undefined,
      rewind: (step: number) => void rewound.push(step),
      flush: () => void flushes++,
    };
    const failing = createRun({
      checkpoint: store,
      logger,
      onStep: ({ step }) => {
        if (step === 8) throw new Error('killed');
      },
    });
    await expect(failing.run()).rejects.toThrow('killed');
    await createRun({ checkpoint: store, logger }).run();
    expect(rewound).toEqual([0, 6]);
    // After steps 3 and 6, then 9, 12 and 13.
    expect(flushes).toBe(5);
  });

  test('a checkpoint of another run or network is refused and changes nothing', async () => {
    const store = createMemoryCheckpointStore();
    await createRun({ checkpoint: store }).run();
    const other = createRun({ checkpoint: store, seed: 43, totalSteps: 20 });
    const before = other.weight.dataSync().slice();
    await expect(other.run()).rejects.toThrow(/totalSteps: 13 there, 20 here; seed: 42 there, 43 here/);
    const renamed = createRun({ checkpoint: store, nameOf: ({ rank }) => (rank === 2 ? 'kernel' : 'bias') });
    await expect(renamed.run()).rejects.toThrow(/1 missing \(kernel\), 1 unexpected \(weight\)/);
    expect(other.weight.dataSync()).toEqual(before);
    await store.save({ tensors: new Map(), metadata: {} });
    await expect(createRun({ checkpoint: store }).run()).rejects.toMatchObject({
      code: 'CHECKPOINT_CORRUPT',
    });
  });
});

describe('steps', () => {
  beforeAll(() => useBackend('cpu'));

  test('events: step, epoch, losses, rate, speed, time to go, wait for data', async () => {
    let now = 0;
    const events: StepEvent[] = [];
    const slow = createRun({
      clock: { now: () => (now += 10) },
      logger: { write: (event) => void events.push(event) },
    });
    const result = await slow.run();
    expect(events.map(({ step }) => step)).toEqual(Array.from({ length: 13 }, (_, i) => i + 1));
    // Two batches a step, five an epoch.
    expect(events.map(({ epoch }) => epoch)).toEqual([0, 0, 1, 1, 1, 2, 2, 3, 3, 3, 4, 4, 5]);
    expect(events[2].lr).toBeCloseTo(0.05 * (1 - 2 / 13) ** 0.9, 10);
    expect(events[12]).toMatchObject({ totalSteps: 13, etaSeconds: 0 });
    expect(events[0].etaSeconds).toBeCloseTo(events[0].secondsPerStep * 12, 9);
    expect(events[5].dataWaitFraction).toBeGreaterThan(0);
    expect(events[5].dataWaitFraction).toBeLessThan(1);
    for (const { losses } of events) expect(losses.total).toBeCloseTo(losses.fit + losses.size, 5);
    expect([...result.losses.total]).toEqual(events.map(({ losses }) => losses.total));
    expect(slow.closed).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test('every batch has a random key of its own, the same every time', async () => {
    const [first, second] = [createRun(), createRun()];
    await first.run();
    await second.run();
    expect(new Set(first.keys).size).toBe(26);
    expect(second.keys).toEqual(first.keys);
  });

  test('the number of tensors and their bytes are constant', async () => {
    const counts: string[] = [];
    const measured = createRun({
      checkpoint: createMemoryCheckpointStore(),
      onStep: () => counts.push(`${tf.memory().numTensors} ${tf.memory().numBytes}`),
    });
    await measured.run();
    // From the second step on, the first one having made the momentum buffers.
    expect(new Set(counts.slice(1)).size).toBe(1);
  });

  test('checkpoints by seconds on the clock, and one at the end', async () => {
    let now = 0;
    const store = createMemoryCheckpointStore();
    const saved: string[] = [];
    const spy: CheckpointStore = {
      load: store.load,
      save: async (checkpoint) => {
        saved.push(checkpoint.metadata.step);
        await store.save(checkpoint);
      },
    };
    const timed = createRun({
      checkpoint: spy,
      checkpointEverySteps: undefined,
      checkpointEverySeconds: 5,
      clock: { now: () => now },
      onStep: () => (now += 1000),
    });
    await timed.run();
    expect(saved).toEqual(['5', '10', '13']);
    // 13 steps of 2 batches, 5 batches an epoch.
    expect((await store.load())!.metadata).toMatchObject({ epoch: '5', batch: '1' });
  });
});

describe('failures', () => {
  beforeAll(() => useBackend('cpu'));

  /** Data whose batch 1-3 (the 9th, so step 5) holds something that makes the loss not finite. */
  const poisoned = (value: number) => ({
    batchesPerEpoch: BATCHES_PER_EPOCH,
    async *epoch(epoch: number, start = 0) {
      for (let index = start; index < BATCHES_PER_EPOCH; index++) {
        const values = new Float32Array(6).fill(epoch === 1 && index === 3 ? value : 0.5);
        yield { ids: [`${epoch}-${index}`], values };
      }
    },
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, 1e30])(
    'a loss from %p stops, the last checkpoint stays',
    async (value) => {
      const store = createMemoryCheckpointStore();
      const sick = createRun({ checkpoint: store, data: poisoned(value) });
      const before = tf.memory().numTensors;
      const error = await sick.run().then(
        () => null,
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(TrainerError);
      expect(error).toMatchObject({
        code: 'NON_FINITE_LOSS',
        details: { step: 5, batchIds: ['1-3'], lastCheckpoint: 3, losses: { size: expect.any(Number) } },
      });
      expect((error as Error).message).toMatch(
        /at step 5 of 13, came total .*\[1-3\].* checkpoint of step 3 is kept/,
      );
      expect((await store.load())!.metadata.step).toBe('3');
      // Two momentum buffers, nothing of the failed step.
      expect(tf.memory().numTensors).toBe(before + 2);
      // With the data repaired the run goes on.
      expect((await createRun({ checkpoint: store, data: poisoned(0.5) }).run()).resumedFrom).toBe(3);
    },
  );

  test('weights that are no longer finite do not replace a good checkpoint', async () => {
    const store = createMemoryCheckpointStore();
    const sick = createRun({
      checkpoint: store,
      onStep: ({ step }) => {
        if (step === 6) sick.bias.assign(tf.tensor1d([1, Number.NaN]));
      },
    });
    await expect(sick.run()).rejects.toMatchObject({
      code: 'NON_FINITE_VARIABLE',
      details: { step: 6, variable: 'bias', index: 1 },
    });
    expect((await store.load())!.metadata.step).toBe('3');
  });

  test('an epoch shorter than promised, and options that make no run', async () => {
    const short = createRun({
      data: {
        batchesPerEpoch: 4,
        async *epoch() {
          yield { ids: ['a'], values: new Float32Array(6) };
        },
      },
    });
    await expect(short.run()).rejects.toThrow(/4 batches in epoch 0, came 1/);
    expect(() => createRun({ totalSteps: 0 }).run()).toThrow(/totalSteps .* came 0/);
    const empty = { batchesPerEpoch: 0, epoch: poisoned(0).epoch };
    expect(() => createRun({ data: empty }).run()).toThrow(/list of images empty/);
  });

  test('errors of the data source come through as they are', async () => {
    const broken = createRun({
      data: {
        batchesPerEpoch: 5,
        // biome-ignore lint/correctness/useYield: it fails before its first batch.
        async *epoch() {
          throw new Error('Expected image x.jpg');
        },
      },
    });
    await expect(broken.run()).rejects.toThrow('Expected image x.jpg');
  });
});
