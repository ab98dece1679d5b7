import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { claimRunDirectory } from './claim-run-directory.js';

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'auxseg-claim-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

test('one at a time; another directory is free, and so is this one after the release', async () => {
  const release = await claimRunDirectory(join(root, 'a'));
  await expect(claimRunDirectory(join(root, '.', 'a'))).rejects.toThrow(
    /alone in .*a, but another auxseg.*--out/,
  );
  await (await claimRunDirectory(join(root, 'b')))();
  await release();
  await (await claimRunDirectory(join(root, 'a')))();
});

test('the claim of a busy process holds, and ends when it is killed', async () => {
  // A process of its own runs the built package (npm test builds first).
  const built = new URL('../../dist/pipeline/claim-run-directory.js', import.meta.url);
  const script = `const { claimRunDirectory } = await import(${JSON.stringify(built.href)});
    await claimRunDirectory(process.argv[1]);
    process.stdout.write('claimed', () => { for (;;); });`;
  const args = ['--input-type=module', '-e', script, join(root, 'c')];
  const holder = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(holder.stdout!, 'data');
  await expect(claimRunDirectory(join(root, 'c'))).rejects.toMatchObject({ code: 'BAD_RUN_DIRECTORY' });
  holder.kill('SIGKILL');
  await once(holder, 'close');
  await (await claimRunDirectory(join(root, 'c')))();
});
