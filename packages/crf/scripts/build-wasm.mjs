/**
 * Compiles assembly/ to WebAssembly and embeds it, base64, as src/generated/dense-crf-wasm.ts.
 *
 * The file is committed, with the hash of what it was made from: type checks, tests and bundlers need no compiler, and a
 * build compiles only when the hash differs (a test compares it, too).
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const target = join(root, 'src', 'generated', 'dense-crf-wasm.ts');

// No fused multiply-add (relaxed SIMD): the lattice geometry must round like the reference.
const flags = ['-O3', '--converge', '--enable', 'simd', '--runtime', 'stub', '--noAssert', '--use', 'abort='];
flags.push('--maximumMemory', '65536');

/** Hash of the kernel's sources and of how they are compiled. */
export function sourceHash() {
  const hash = createHash('sha256').update(JSON.stringify(flags));
  for (const name of readdirSync(join(root, 'assembly')).sort()) {
    if (!name.endsWith('.ts')) continue;
    hash.update(name).update(readFileSync(join(root, 'assembly', name), 'utf8').replaceAll('\r\n', '\n'));
  }
  return hash.digest('hex').slice(0, 32);
}

function currentHash() {
  try {
    return /denseCrfWasmSource =\s*'(\w+)'/.exec(readFileSync(target, 'utf8'))?.[1];
  } catch {
    return undefined;
  }
}

function build(hash) {
  const asc = join(
    dirname(createRequire(import.meta.url).resolve('assemblyscript/package.json')),
    'bin',
    'asc.js',
  );
  const folder = mkdtempSync(join(tmpdir(), 'dense-crf-'));
  try {
    const binary = join(folder, 'dense-crf.wasm');
    const { status } = spawnSync(
      process.execPath,
      [asc, 'assembly/index.ts', ...flags, '--outFile', binary],
      {
        cwd: root,
        stdio: 'inherit',
      },
    );
    if (status !== 0) process.exit(status ?? 1);
    const bytes = readFileSync(binary);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(
      target,
      '// Made by scripts/build-wasm.mjs from assembly/; do not edit.\n' +
        '/** Hash of the sources that the kernel was compiled from. */\n' +
        `export const denseCrfWasmSource = '${hash}';\n` +
        '/** The compiled kernel. */\n' +
        `export const denseCrfWasmBase64 =\n  '${bytes.toString('base64')}';\n`,
    );
    console.log(`dense-crf.wasm: ${(bytes.length / 1024).toFixed(1)} KiB`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const hash = sourceHash();
  if (hash !== currentHash() || process.argv.includes('--force')) build(hash);
}
