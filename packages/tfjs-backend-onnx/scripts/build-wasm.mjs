// Compiles assembly/ and writes the bytes as TypeScript: `node scripts/build-wasm.mjs [--check]`.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const folder = join(dirname(fileURLToPath(import.meta.url)), '..');
const target = join(folder, 'src', 'generated', 'elementwise-wasm.ts');

let binary;
const { error, stderr } = await asc.main(
  [
    ...['assembly/index.ts', '--baseDir', folder, '--outFile', 'elementwise.wasm', '--runtime', 'stub'],
    ...['--importMemory', '--noExportMemory', '--optimizeLevel', '3', '--shrinkLevel', '0', '--noAssert'],
    ...['--enable', 'simd'],
  ],
  { writeFile: (name, contents) => (binary = name.endsWith('.wasm') ? contents : binary) },
);
if (error) throw new Error(`${error.message}\n${stderr.toString()}`);

const text = [
  '// Made by scripts/build-wasm.mjs from assembly/. Do not edit.',
  '',
  '/** The compiled elementwise kernels, as base64. */',
  `export const elementwiseWasm =\n  '${Buffer.from(binary).toString('base64')}';`,
  '',
].join('\n');

if (process.argv.includes('--check')) {
  if (readFileSync(target, 'utf8') !== text) {
    console.error(
      'src/generated/elementwise-wasm.ts is not what assembly/ compiles to; run node scripts/build-wasm.mjs',
    );
    process.exit(1);
  }
} else {
  writeFileSync(target, text);
}
