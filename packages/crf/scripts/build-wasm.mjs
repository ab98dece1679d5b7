/** Compiles assembly/ to WebAssembly and embeds it, base64, as src/generated/dense-crf-wasm.ts. */
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
const folder = mkdtempSync(join(tmpdir(), 'dense-crf-'));
try {
  const binary = join(folder, 'dense-crf.wasm');
  // No fused multiply-add (relaxed SIMD): the lattice geometry must round like the reference.
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
  ];
  const { status } = spawnSync(
    process.execPath,
    [asc, 'assembly/index.ts', ...flags, '--maximumMemory', '65536', '--outFile', binary],
    { cwd: root, stdio: 'inherit' },
  );
  if (status !== 0) process.exit(status ?? 1);
  const base64 = readFileSync(binary).toString('base64');
  mkdirSync(join(root, 'src', 'generated'), { recursive: true });
  const target = join(root, 'src', 'generated', 'dense-crf-wasm.ts');
  const source = `/** The compiled assembly/ folder; made by scripts/build-wasm.mjs. */\nexport const denseCrfWasmBase64 =\n  '${base64}';\n`;
  // An unchanged file keeps its time stamp, so that tsc has nothing to do.
  let previous = '';
  try {
    previous = readFileSync(target, 'utf8');
  } catch {}
  if (previous !== source) writeFileSync(target, source);
  console.log(`dense-crf.wasm: ${((base64.length * 3) / 4 / 1024).toFixed(1)} KiB`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
