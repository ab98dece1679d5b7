import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeRgbPng } from '@auxseg/formats';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createProgram } from '../packages/cli/src/program.js';

const bin = join('packages', 'cli', 'dist', 'bin.js');
const folder = mkdtempSync(join(tmpdir(), 'auxseg-check-'));
const check = (...args: string[]) =>
  spawnSync(process.execPath, [bin, 'data', 'check', folder, ...args], { encoding: 'utf8' });
const CLASSES = 13;

// More classes than a matrix shows.
beforeAll(() => {
  mkdirSync(join(folder, 'images'));
  const rows = Array.from({ length: 2 * CLASSES }, (_, i) => `p${i}.png,c${i % CLASSES}`);
  for (let i = 0; i < rows.length; i++) {
    const data = new Uint8Array(64 * 64 * 3).fill(i).fill(i >> 8, 0, 9);
    writeFileSync(join(folder, `images/p${i}.png`), writeRgbPng({ width: 64, height: 64, data }));
  }
  writeFileSync(join(folder, 'labels.csv'), `file,labels\n${rows.join('\n')}\n`);
});
afterAll(() => rmSync(folder, { recursive: true }));

test('options that are no numbers or names are wrong use', () => {
  for (const workers of ['abc', '-1', '1.5'])
    expect(check(`--workers=${workers}`)).toMatchObject({ status: 2, stdout: '' });
});

test('a split that is not there fails; without pairs of classes there is no table of them', () => {
  const missing = check('--splits', 'nope', '--workers', '0');
  expect([missing.status, missing.stdout]).toEqual([
    1,
    expect.stringMatching(/split "nope"[\s\S]*Errors found/),
  ]);
  const whole = check('--workers', '0');
  expect(whole).toMatchObject({ status: 0 });
  expect(whole.stdout).toMatch(/c12 +2[\s\S]*Nothing found/);
  expect(whole.stdout).not.toMatch(/pairs/);
});

test('an interrupt ends the check', async () => {
  const stopped = AbortSignal.abort(new Error('Stopped'));
  const command = createProgram(stopped).parseAsync(['data', 'check', folder], { from: 'user' });
  await expect(command).rejects.toThrow('Stopped');
});
