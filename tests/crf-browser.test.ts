import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

test('the packed @auxseg/crf works in headless Chromium, as plain modules and bundled', () => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join('integrations', 'crf-browser', 'run.mjs')],
    { encoding: 'utf8', timeout: 170_000 },
  );
  expect({ status, error: stderr.slice(-1500) }).toMatchObject({ status: 0 });
  if (stdout.startsWith('Skipped:')) {
    console.warn(stdout.trim());
    return;
  }
  expect(stdout).toMatch(/^plain modules: passed/m);
  expect(stdout).toMatch(/^bundled by Vite: passed/m);
});
