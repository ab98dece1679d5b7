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
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { writeFileAtomic } from './index.js';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'auxseg-atomic-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('makes folders, replaces files, leaves nothing else', async () => {
  const file = path.join(folder, 'deep', 'er', 'a.bin');
  await writeFileAtomic(file, Uint8Array.of(1, 2));
  writeFileSync(`${file}.tmp`, 'what a killed run left, longer than the next');
  await writeFileAtomic(file, 'text', { syncFolder: false });
  expect(readFileSync(file, 'utf8')).toBe('text');
  expect(readdirSync(path.dirname(file))).toEqual(['a.bin']);
});

test('many writers of one file with names of their own: one of them wins, whole', async () => {
  const file = path.join(folder, 'shared.bin');
  const write = (i: number) =>
    writeFileAtomic(file, new Uint8Array(50_000).fill(i), { temporary: `${file}.${i}` });
  await Promise.all(Array.from({ length: 12 }, (_, i) => write(i)));
  const bytes = readFileSync(file);
  expect(bytes.length).toBe(50_000);
  expect(new Set(bytes).size).toBe(1);
  expect(readdirSync(folder).filter((name) => name.startsWith('shared'))).toEqual(['shared.bin']);
});

test('a full disk keeps the old file', async () => {
  if (!existsSync('/dev/full')) {
    console.warn('Skipped: this system has no /dev/full.');
    return;
  }
  const file = path.join(folder, 'full.bin');
  await writeFileAtomic(file, 'old');
  symlinkSync('/dev/full', `${file}.tmp`);
  await expect(writeFileAtomic(file, new Uint8Array(2_000_000))).rejects.toMatchObject({ code: 'ENOSPC' });
  expect(readFileSync(file, 'utf8')).toBe('old');
  expect(existsSync(`${file}.tmp`)).toBe(false);
});

test('what is in the way is told as the system tells it', async () => {
  writeFileSync(path.join(folder, 'a-file'), '');
  await expect(writeFileAtomic(path.join(folder, 'a-file', 'x'), 'new')).rejects.toMatchObject({
    code: expect.stringMatching(/ENOTDIR|EEXIST/),
  });
  mkdirSync(path.join(folder, 'a-folder', 'inner'), { recursive: true });
  await expect(writeFileAtomic(path.join(folder, 'a-folder'), 'new')).rejects.toMatchObject({
    code: expect.stringMatching(/EISDIR|ENOTEMPTY|EPERM|EEXIST/),
  });
});
