import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

// In Node with the package "webgpu", as AUXSEG_WEBGPU names it. One step, as its shaders take the longest to compile: node
// integrations/webgpu-browser/run.mjs runs more of them.
test.each([
  ['headless Chromium', []],
  ['Node', ['--node']],
])(
  'webgpu in %s: gradients and a training step as on cpu, failures aloud',
  (_, flags) => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join('integrations', 'webgpu-browser', 'run.mjs'), '--steps', '1', '--limit', '300', ...flags],
      { encoding: 'utf8', timeout: 310_000 },
    );
    expect({ status, output: stdout.slice(-1500), error: stderr.slice(-1500) }).toMatchObject({ status: 0 });
    if (/^Skipped:/m.test(stdout)) {
      console.warn(stdout.trim());
      return;
    }
    expect(stdout).toMatch(/^ok {3}affinity fusion/m);
    expect(stdout).toMatch(/^ok {3}1 training steps, losses \d/m);
    expect(stdout).toMatch(/^all passed$/m);
  },
  320_000,
);
