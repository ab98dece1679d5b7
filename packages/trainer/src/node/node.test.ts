import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createFileCheckpointStore, createFileStepLogger, writeFileAtomic } from './index.js';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'auxseg-trainer-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('createFileCheckpointStore', () => {
  const checkpoint = {
    tensors: new Map([
      ['variable/w', { dtype: 'float32' as const, shape: [2, 1], data: new Float32Array([1.5, -2]) }],
      ['log/total', { dtype: 'float64' as const, shape: [1], data: new Float64Array([1 / 3]) }],
    ]),
    metadata: { format: 'x', step: '7' },
  };

  test('gives back what it was given', async () => {
    const store = createFileCheckpointStore(path.join(folder, 'deep', 'state.safetensors'));
    expect(await store.load()).toBeNull();
    await store.save(checkpoint);
    await store.save({ ...checkpoint, metadata: { format: 'x', step: '8' } });
    const loaded = (await store.load())!;
    expect(loaded.metadata).toMatchObject({ step: '8' });
    expect([...loaded.tensors.get('variable/w')!.data]).toEqual([1.5, -2]);
    expect([...loaded.tensors.get('log/total')!.data]).toEqual([1 / 3]);
    expect(readdirSync(path.join(folder, 'deep'))).toEqual(['state.safetensors']);
  });

  test('a damaged file is named', async () => {
    const file = path.join(folder, 'damaged.safetensors');
    writeFileSync(file, 'not a checkpoint');
    await expect(createFileCheckpointStore(file).load()).rejects.toMatchObject({
      code: 'CHECKPOINT_CORRUPT',
      details: { path: file, bytes: 16 },
    });
  });
});

describe('writeFileAtomic', () => {
  test('a full disk is named and the old file stays', async () => {
    if (!existsSync('/dev/full')) {
      console.warn('Skipped: this system has no /dev/full.');
      return;
    }
    const file = path.join(folder, 'full.bin');
    await writeFileAtomic(file, 'old');
    symlinkSync('/dev/full', `${file}.tmp`);
    await expect(writeFileAtomic(file, new Uint8Array(2_000_000))).rejects.toMatchObject({
      code: 'DISK_FULL',
      message: expect.stringContaining('2.0 MB'),
      details: { file, bytes: 2_000_000, cause: 'ENOSPC' },
    });
    expect(readFileSync(file, 'utf8')).toBe('old');
    expect(existsSync(`${file}.tmp`)).toBe(false);
  });

  test('a folder that is none is named', async () => {
    const file = path.join(folder, 'a-file');
    writeFileSync(file, '');
    await expect(writeFileAtomic(path.join(file, 'x.bin'), 'new')).rejects.toMatchObject({
      code: 'UNWRITABLE',
    });
    mkdirSync(path.join(folder, 'a-folder', 'inner'), { recursive: true });
    await expect(writeFileAtomic(path.join(folder, 'a-folder'), 'new')).rejects.toMatchObject({
      code: 'UNWRITABLE',
    });
  });
});

describe('createFileStepLogger', () => {
  const event = (step: number) => ({
    step,
    totalSteps: 9,
    epoch: 0,
    losses: { total: 1 / step },
    lr: 0.1,
    secondsPerStep: 2,
    etaSeconds: 3,
    dataWaitFraction: 0,
  });
  const steps = (file: string) =>
    readFileSync(file, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
      .map(({ phase, step }) => `${phase} ${step}`);

  test('appends lines and drops what a resumed run will do again', async () => {
    const file = path.join(folder, 'logs', 'log.jsonl');
    const first = createFileStepLogger({ path: file, phase: 'classifier', now: () => 0 });
    await first.rewind!(0);
    for (const step of [1, 2, 3]) await first.write(event(step));
    const second = createFileStepLogger({ path: file, phase: 'stage-1', now: () => 0 });
    for (const step of [1, 2, 3]) await second.write(event(step));
    expect(JSON.parse(readFileSync(file, 'utf8').split('\n')[1])).toEqual({
      time: '1970-01-01T00:00:00.000Z',
      phase: 'classifier',
      step: 2,
      totalSteps: 9,
      epoch: 0,
      lr: 0.1,
      losses: { total: 0.5 },
      secondsPerStep: 2,
    });
    writeFileSync(file, '{"phase":"stage-1","st', { flag: 'a' });
    await second.rewind!(1);
    expect(steps(file)).toEqual(['classifier 1', 'classifier 2', 'classifier 3', 'stage-1 1']);
    await second.write(event(2));
    expect(steps(file).at(-1)).toBe('stage-1 2');
  });
});

/** A whole process on the built package: 40 steps, each a little slow, into the checkpoint file of its argument. */
const CHILD = `
import { useBackend } from '@auxseg/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { createSgd, createTrainer, polySchedule } from '@auxseg/trainer';
import { createFileCheckpointStore } from '@auxseg/trainer/node';
console.warn = () => undefined;
await useBackend('cpu');
const weight = tf.variable(tf.tensor1d([1, 2, 3]), true, 'weight');
let key = 0;
await createTrainer({
  model: {
    variables: () => [weight],
    loss: (batch) => {
      const noisy = tf.add(weight, tf.randomNormal([3], 0, 0.1, 'float32', key));
      return { total: tf.mean(tf.square(tf.sub(noisy, batch.index))), parts: {} };
    },
  },
  data: {
    batchesPerEpoch: 7,
    async *epoch(epoch, start) {
      for (let index = start; index < 7; index++) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        yield { index };
      }
    },
  },
  optimizer: createSgd({ groups: [{ name: 'all', variables: [weight] }], momentum: 0.9 }),
  schedule: polySchedule({ baseLr: 0.1, totalSteps: 40 }),
  totalSteps: 40,
  seed: 3,
  random: { setKey: (value) => (key = value % 1000) },
  checkpoint: createFileCheckpointStore(process.argv[1]),
  checkpointEverySteps: 1,
  onStep: ({ step }) => process.stdout.write(step + ' '),
}).run();
`;

test('a process killed twice with SIGKILL ends with the bytes of an undisturbed one', async () => {
  const run = (file: string, killAfter?: number) =>
    new Promise<{ steps: number[]; signal: string | null; stderr: string }>((resolve, reject) => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', CHILD, file], {
        cwd: path.resolve(import.meta.dirname, '../..'),
      });
      let [stdout, stderr] = ['', ''];
      const steps = () => stdout.split(' ').filter(Boolean).map(Number);
      child.stdout.on('data', (chunk) => {
        stdout += chunk;
        if (killAfter !== undefined && steps().length >= killAfter) child.kill('SIGKILL');
      });
      child.stderr.on('data', (chunk) => {
        stderr += chunk;
      });
      child.on('error', reject);
      child.on('close', (_code, signal) => resolve({ steps: steps(), signal, stderr }));
    });
  const [disturbed, undisturbed] = [path.join(folder, 'a.safetensors'), path.join(folder, 'b.safetensors')];
  const first = await run(disturbed, 9);
  const second = await run(disturbed, 12);
  const third = await run(disturbed);
  const whole = await run(undisturbed);
  expect([first.signal, second.signal, third.signal, whole.signal]).toEqual([
    'SIGKILL',
    'SIGKILL',
    null,
    null,
  ]);
  expect([third.stderr, whole.stderr]).toEqual(['', '']);
  expect(second.steps[0]).toBeGreaterThan(1);
  expect(third.steps[0]).toBeGreaterThan(second.steps[0]);
  expect(third.steps.at(-1)).toBe(40);
  expect(readFileSync(disturbed).equals(readFileSync(undisturbed))).toBe(true);
});
