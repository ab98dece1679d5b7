import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

const auxseg = join('packages', 'cli', 'dist', 'bin.js');
const folder = mkdtempSync(join(tmpdir(), 'auxseg-pipeline-'));

/** A whole run in seconds: every kind of step, sizes that only a test wants. */
const recipe = `
name: small
preset: tiny
seed: 3
data: { synthetic: { train: 12, val: 4, sizePx: 40, seed: 5 }, workers: 1 }
network: { backbone: { width: 0.25 }, head: { channels: 8 } }
classifier: { epochs: 2, batchSize: 4, cropPx: 40, checkpointEverySteps: 2 }
train: { epochs: 2, batchSize: 4, cropPx: 32, scale: [0.8, 1.2], colourJitter: 0.2, checkpointEverySteps: 2, replicas: 2 }
stages: 2
pictures: 2
branches: [{ name: plain, affinity: identity, compareWithStage: 1 }]
`;
const recipePath = join(folder, 'small.yaml');

const args = (out: string) => [auxseg, 'run', recipePath, '--out', join(folder, out)];

/** What must not depend on how often a run was killed: everything but times. */
function fingerprint(out: string): Record<string, string> {
  const root = join(folder, out);
  const files: Record<string, string> = {};
  const visit = (path: string) => {
    for (const name of readdirSync(path).sort()) {
      const child = join(path, name);
      if (statSync(child).isDirectory()) visit(child);
      else if (!/state\.json|log\.jsonl|summary\.json|report\.html|\.tmp/.test(name)) {
        files[relative(root, child)] = createHash('sha256').update(readFileSync(child)).digest('hex');
      }
    }
  };
  visit(root);
  const losses = readFileSync(join(root, 'log.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => {
      const { phase, step, losses: values } = JSON.parse(line);
      return `${phase} ${step} ${JSON.stringify(values)}`;
    });
  files['log.jsonl'] = losses.join('\n');
  const { timings: _, ...summary } = JSON.parse(readFileSync(join(root, 'summary.json'), 'utf8'));
  files['summary.json'] = JSON.stringify(summary);
  return files;
}

beforeAll(() => {
  writeFileSync(recipePath, recipe);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('auxseg run', () => {
  let undisturbed: Record<string, string>;

  test('runs every step and leaves the run directory of docs/formats.md', () => {
    const result = spawnSync(process.execPath, args('whole'), { encoding: 'utf8' });
    expect({ status: result.status, end: result.stderr.slice(-2000) }).toMatchObject({ status: 0 });
    expect(result.stdout).toMatch(/Pseudo labels.*\n.*precision.*recall.*mIoU/);
    expect(result.stdout).toContain('plain, round 1');
    undisturbed = fingerprint('whole');
    for (const file of [
      'config.yaml',
      'metrics.json',
      'stage-0/classifier.safetensors',
      'stage-0/metrics.json',
      'stage-2/model.safetensors',
      'stage-2/labels/seg/',
      'stage-2/labels/sal/',
      'stage-1/predictions/refined-crf/',
      'branches/plain/round-1.safetensors',
      'predictions/',
      'pictures/index.json',
    ]) {
      expect({ file, found: Object.keys(undisturbed).some((name) => name.startsWith(file)) }).toEqual({
        file,
        found: true,
      });
    }
    expect(existsSync(join(folder, 'whole', 'report.html'))).toBe(true);
    const summary = JSON.parse(readFileSync(join(folder, 'whole', 'summary.json'), 'utf8'));
    expect(summary.pseudoLabels.map((row: { stage: number }) => row.stage)).toEqual([0, 1, 2]);
    expect(summary.comparisons.length).toBeGreaterThan(3);
  }, 120_000);

  test('started again when all is done, it does nothing and says so', () => {
    const result = spawnSync(process.execPath, args('whole'), { encoding: 'utf8' });
    expect(result.status).toBe(0);
    expect(result.stderr).toContain('= classifier: done before');
    expect(fingerprint('whole')).toEqual(undisturbed);
  }, 60_000);

  test('killed again and again at different moments, it ends with the same bytes', async () => {
    // Moments that fall into classifier, labels, stages, predictions and the branch on any machine: after so many lines of log.
    const watch = async (child: ChildProcess, condition: () => boolean) => {
      while (child.exitCode === null && !condition()) await new Promise((resolve) => setTimeout(resolve, 5));
      const running = child.exitCode === null;
      child.kill('SIGKILL');
      if (running) await new Promise((resolve) => child.once('exit', resolve));
      return running;
    };
    const lines = () => {
      const path = join(folder, 'killed', 'log.jsonl');
      return existsSync(path) ? readFileSync(path, 'utf8').split('\n').length - 1 : 0;
    };
    const has = (path: string) => existsSync(join(folder, 'killed', path));
    const moments = [
      () => lines() >= 2,
      () => has('stage-0/cams') && readdirSync(join(folder, 'killed', 'stage-0/cams')).length >= 5,
      () => lines() >= 8,
      () =>
        has('stage-1/labels/seg') && readdirSync(join(folder, 'killed', 'stage-1/labels/seg')).length >= 4,
      () => has('stage-2/predictions'),
      () => has('branches/plain'),
    ];
    let kills = 0;
    for (const moment of moments) {
      const child = spawn(process.execPath, args('killed'), { stdio: 'ignore' });
      if (await watch(child, moment)) kills++;
    }
    expect(kills).toBeGreaterThanOrEqual(4);
    const result = spawnSync(process.execPath, args('killed'), { encoding: 'utf8' });
    expect({ status: result.status, end: result.stderr.slice(-2000) }).toMatchObject({ status: 0 });
    expect(fingerprint('killed')).toEqual(undisturbed);
  }, 240_000);

  test('a run directory of another recipe is refused, naming what differs; finished work stays', () => {
    const result = spawnSync(process.execPath, [...args('whole'), '--set', 'train.lr=0.5'], {
      encoding: 'utf8',
    });
    expect(result.status).toBe(1);
    expect(result.stderr).toMatch(/other values of train\.lr.*another --out/s);
    expect(fingerprint('whole')).toEqual(undisturbed);
  }, 60_000);

  test('a loss that is no number ends the run with the step and the remedy; the steps before stay done', () => {
    cpSync(join(folder, 'whole'), join(folder, 'nan'), { recursive: true });
    for (const name of ['stage-1', 'stage-2', 'branches', 'predictions', 'pictures'])
      rmSync(join(folder, 'nan', name), { recursive: true });
    const state = JSON.parse(readFileSync(join(folder, 'nan', 'state.json'), 'utf8'));
    state.steps = state.steps.slice(0, 4);
    state.recipe.train.lr = 1e30;
    state.recipe.train.warmupSteps = 0;
    writeFileSync(join(folder, 'nan', 'state.json'), JSON.stringify(state));
    const result = spawnSync(
      process.execPath,
      [...args('nan'), '--set', 'train.lr=1e30', '--set', 'train.warmupSteps=0'],
      {
        encoding: 'utf8',
      },
    );
    expect(result.status).toBe(1);
    expect(result.stderr).toMatch(/finite/);
    expect(result.stderr).toMatch(/step \d+/);
    expect(result.stderr).toMatch(/learning rate/i);
    expect(existsSync(join(folder, 'nan', 'stage-0/classifier.safetensors'))).toBe(true);
  }, 120_000);
});
