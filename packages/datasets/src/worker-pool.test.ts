import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, expect, test } from '@jest/globals';

const folder = mkdtempSync(join(tmpdir(), 'auxseg-pool-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs a program of its own around a pool whose worker answers every job at once, cancelled or not. */
function runWithPool(program: string) {
  const worker = join(folder, 'worker.mjs');
  writeFileSync(
    worker,
    `import { parentPort } from 'node:worker_threads';
     parentPort.on('message', ({ type, task }) => type === 'job' && parentPort.postMessage({ task, result: 'done' }));`,
  );
  const main = join(folder, 'main.mjs');
  const pool = new URL('../dist/worker-pool.js', import.meta.url);
  writeFileSync(
    main,
    `import { createWorkerPool } from ${JSON.stringify(pool.href)};
     const pool = createWorkerPool(1, new URL(${JSON.stringify(pathToFileURL(worker).href)}));
     ${program}
     console.log('went on');`,
  );
  const { status, stdout, stderr } = spawnSync(process.execPath, [main], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

test('closing is waited for when the reply to a cancelled job arrives meanwhile', () => {
  const late = `
    await pool.submit({}).result;
    const { cancel } = pool.submit({});
    await new Promise((resolve) => setImmediate(resolve)); // the job goes out
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300); // and its reply comes while this thread is busy
    cancel();
    await pool.close();`;
  expect(runWithPool(late)).toEqual({ status: 0, stdout: 'went on\n', stderr: '' });
});

test('an idle pool keeps no process alive', () => {
  const idle = 'await pool.submit({}).result;';
  expect(runWithPool(idle)).toEqual({ status: 0, stdout: 'went on\n', stderr: '' });
});
