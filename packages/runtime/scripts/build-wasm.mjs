// Compiles assembly/ and writes the bytes as TypeScript: `node scripts/build-wasm.mjs`.
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const folder = join(dirname(fileURLToPath(import.meta.url)), '..');

const options = '--outFile kernels.wasm --runtime stub --importMemory --noExportMemory --noAssert';
const optimise = '--optimizeLevel 3 --shrinkLevel 0 --enable simd --enable bulk-memory';
const share = '--enable threads --sharedMemory --maximumMemory 65536';

/** The compiled module as base64, for a plain or a shared memory. */
async function compile(extra) {
  let binary;
  const words = `assembly/index.ts ${options} ${optimise} ${extra}`.trim().split(' ');
  const { error, stderr } = await asc.main([...words, '--baseDir', folder], {
    writeFile: (name, contents) => {
      if (name.endsWith('.wasm')) binary = contents;
    },
  });
  if (error) throw new Error(`${error.message}\n${stderr.toString()}`);
  return Buffer.from(binary).toString('base64');
}

const sources = createHash('sha256');
for (const file of ['fuse-affinities.ts', 'index.ts']) {
  sources.update(readFileSync(join(folder, 'assembly', file)));
}

writeFileSync(
  join(folder, 'src', 'generated', 'wasm-kernels.ts'),
  `// Made by scripts/build-wasm.mjs from assembly/. Do not edit.

/** SHA-256 of the sources in assembly/. */
export const wasmKernelSources = '${sources.digest('hex')}';

/** The kernels for a memory of one thread, as base64. */
export const wasmKernels =
  '${await compile('')}';

/** The kernels for a memory shared between threads, as base64. */
export const sharedWasmKernels =
  '${await compile(share)}';
`,
);
