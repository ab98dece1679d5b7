// Compares the network at full width, 321 x 321, with the PyTorch reference: npm run verify-full-width [-- --backend wasm]
// Needs python3 with torch and numpy, about 4 GB of memory, 250 MB of disk and a few minutes. Build first.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const backend = process.argv.includes('--backend')
  ? process.argv[process.argv.indexOf('--backend') + 1]
  : 'onnx';
const folder = mkdtempSync(join(tmpdir(), 'auxseg-full-width-'));
const run = (command, ...args) => {
  console.log(`$ ${command} ${args.join(' ')}`);
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' });
  if (error) console.error(`Expected to start ${command}, got ${error.message}.`);
  if (status !== 0) throw status ?? 1;
};
try {
  run(
    'python3',
    join('tools', 'reference', 'auxsegnet', 'make_fixtures.py'),
    ...['--width', '1', '--head-channels', '128', '--classes', '20', '--sizes', '1x321x321'],
    ...['--no-gradients', '--float32', '--affinity-limit', '2000', '--out', folder],
  );
  run(
    process.execPath,
    join('packages', 'cli', 'dist', 'bin.js'),
    ...['weights', 'verify', '--weights', join(folder, 'weights.pth')],
    ...['--reference', join(folder, 'reference.npz'), '--tolerance', '1e-3', '--backend', backend],
  );
} catch (status) {
  if (typeof status !== 'number') throw status;
  process.exitCode = status;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
