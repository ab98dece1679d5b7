/** Compiles assembly/resample.ts to WebAssembly and embeds it, base64, as src/generated/resample-wasm.ts (committed, so that a bare tsc works). */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const asc = join(
  dirname(createRequire(import.meta.url).resolve('assemblyscript/package.json')),
  'bin',
  'asc.js',
);
const folder = mkdtempSync(join(tmpdir(), 'resample-wasm-'));
try {
  const binary = join(folder, 'resample.wasm');
  const flags = [
    '-O3',
    '--converge',
    '--enable',
    'simd',
    '--runtime',
    'stub',
    '--noAssert',
    '--use',
    'abort=',
    '--outFile',
    binary,
  ];
  const { status } = spawnSync(process.execPath, [asc, 'assembly/resample.ts', ...flags], {
    cwd: root,
    stdio: 'inherit',
  });
  if (status !== 0) process.exit(status ?? 1);
  const base64 = readFileSync(binary).toString('base64');
  const target = join(root, 'src', 'generated', 'resample-wasm.ts');
  mkdirSync(dirname(target), { recursive: true });
  const source = `/** The compiled assembly/resample.ts; made by scripts/build-wasm.mjs. */\nexport const resampleWasmBase64 =\n  '${base64}';\n`;
  // An unchanged file keeps its time stamp, so that tsc has nothing to do.
  let previous = '';
  try {
    previous = readFileSync(target, 'utf8');
  } catch {}
  if (previous !== source) writeFileSync(target, source);
  console.log(`resample.wasm: ${((base64.length * 3) / 4 / 1024).toFixed(1)} KiB`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
