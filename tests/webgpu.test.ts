import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

// Training steps take minutes on a software adapter: node integrations/webgpu-browser/run.mjs runs them.
test.each([
  ['headless Chromium', []],
  ['Node', ['--node']],
])('webgpu in %s: gradients as on cpu, failures aloud', (_, flags) => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join('integrations', 'webgpu-browser', 'run.mjs'), '--steps', '0', ...flags],
    { encoding: 'utf8', timeout: 170_000 },
  );
  expect({ status, output: stdout.slice(-1500), error: stderr.slice(-1500) }).toMatchObject({ status: 0 });
  if (/^Skipped:/m.test(stdout)) {
    console.warn(stdout.trim());
    return;
  }
  expect(stdout).toMatch(/^ok {3}affinity fusion/m);
  expect(stdout).toMatch(/^all passed$/m);
});
