// Compiles assembly/ and writes the bytes as TypeScript: `node scripts/build-wasm.mjs [--check]`.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const folder = join(dirname(fileURLToPath(import.meta.url)), '..');
const target = join(folder, 'src', 'generated', 'wasm-kernels.ts');

async function compile(shared) {
  const { error, stderr, binary } = await compileTo([
    'assembly/index.ts',
    ...[
      '--outFile',
      'kernels.wasm',
      '--runtime',
      'stub',
      '--importMemory',
      '--noExportMemory',
      '--optimizeLevel',
      '3',
    ],
    ...['--shrinkLevel', '0', '--converge', '--noAssert', '--enable', 'simd', '--enable', 'bulk-memory'],
    ...(shared ? ['--enable', 'threads', '--sharedMemory', '--maximumMemory', '65536'] : []),
  ]);
  if (error) throw new Error(`${error.message}\n${stderr.toString()}`);
  return Buffer.from(binary).toString('base64');
}

async function compileTo(args) {
  let binary;
  const result = await asc.main([...args, '--baseDir', folder], {
    writeFile: (name, contents) => {
      if (name.endsWith('.wasm')) binary = contents;
    },
  });
  return { ...result, binary };
}

const text = [
  '// Made by scripts/build-wasm.mjs from assembly/. Do not edit.',
  '',
  '/** The kernels for a memory of one thread, as base64. */',
  `export const wasmKernels =\n  '${await compile(false)}';`,
  '',
  '/** The kernels for a memory shared between threads, as base64. */',
  `export const sharedWasmKernels =\n  '${await compile(true)}';`,
  '',
].join('\n');

if (process.argv.includes('--check')) {
  if (readFileSync(target, 'utf8') !== text) {
    console.error(
      'src/generated/wasm-kernels.ts is not what assembly/ compiles to; run node scripts/build-wasm.mjs',
    );
    process.exit(1);
  }
} else {
  writeFileSync(target, text);
}
