/**
 * Runs tfjs-core's own op tests against the built onnx backend:
 *
 *   npm run core-tests -w @auxseg/tfjs-backend-onnx [-- --grep conv2d] [--verbose] [--small 0]
 *
 * The tests ship in tfjs-core's npm package as unbundled modules; they are bundled here with the backend so that all
 * share one tfjs-core. The tests' tensors are tiny, so a second pass with --small 0 sends them all to onnxruntime.
 * Exclusions and their reasons: exclusions.mjs.
 */
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'vite';
import { exclusions } from './exclusions.mjs';

const { values } = parseArgs({
  options: {
    grep: { type: 'string', default: '' },
    verbose: { type: 'boolean', default: false },
    small: { type: 'string' },
  },
});
const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
const core = dirname(require.resolve('@tensorflow/tfjs-core/package.json'));
const cpu = dirname(require.resolve('@tensorflow/tfjs-backend-cpu/package.json'));
// Inside the package, so that the bundle's own look-ups of onnxruntime-node succeed.
const cache = join(here, '..', '..', 'node_modules', '.cache');
mkdirSync(cache, { recursive: true });
const file = join(cache, 'core-tests.mjs');

await build({
  configFile: false,
  logLevel: 'silent',
  root: here,
  resolve: {
    alias: [
      { find: /^@tensorflow\/tfjs-core$/, replacement: join(core, 'dist', 'index.js') },
      { find: /^@tensorflow\/tfjs-backend-cpu$/, replacement: join(cpu, 'dist', 'index.js') },
      { find: 'jasmine-core/lib/jasmine-core/jasmine.js', replacement: join(here, 'jasmine-core.cjs') },
    ],
  },
  ssr: { noExternal: true, external: ['node-fetch'] },
  build: {
    ssr: join(here, 'entry.mjs'),
    outDir: cache,
    emptyOutDir: false,
    minify: false,
    rolldownOptions: { treeshake: false, output: { entryFileNames: 'core-tests.mjs', codeSplitting: false } },
  },
});

const { registerOnnxBackend, runCollected } = await import(pathToFileURL(file).href);
const log = console.log;
// The tests provoke warnings by the hundred.
console.warn = console.log = () => {};
await registerOnnxBackend(values.small === undefined ? {} : { smallTensor: Number(values.small) });

const used = new Set();
const isExcluded = (name) => {
  if (!name.includes(values.grep)) return true;
  const rule = exclusions.find(({ test }) => name.includes(test));
  if (rule) used.add(rule);
  return rule !== undefined;
};
const counts = { passed: 0, failed: 0, pending: 0, excluded: 0 };
await runCollected({
  isExcluded,
  onResult({ name, status, errors }) {
    counts[status]++;
    if (status === 'failed')
      log(
        `FAIL ${name}\n     ${errors.map((e) => String(e?.message ?? e).slice(0, values.verbose ? 5000 : 300)).join('\n     ')}`,
      );
    if (values.verbose && status === 'passed') log(`ok   ${name}`);
  },
});
log(
  `${counts.passed} passed, ${counts.failed} failed, ${counts.pending} pending, ${counts.excluded} not run`,
);
if (!values.grep) {
  for (const rule of exclusions.filter((rule) => !used.has(rule)))
    log(`No test is excluded by "${rule.test}": remove it.`);
}
process.exit(counts.failed === 0 ? 0 : 1);
