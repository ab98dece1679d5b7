/**
 * Runs tfjs-core's own op tests against the built onnx backend, or another one as @auxseg/runtime repairs it:
 *
 *   npm run core-tests -w @auxseg/tfjs-backend-onnx [-- --backend onnx|cpu|wasm|node] [--grep conv2d] [--verbose] [--small 0]
 *
 * The tests ship in tfjs-core's npm package as unbundled modules; they are bundled here with the backend so that all
 * share one tfjs-core. The tests' tensors are tiny, so a second pass with --small 0 (--small-too) sends them all to onnxruntime.
 * Exclusions and their reasons: exclusions.mjs; --verbose lists each test that they leave out by name.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'vite';
import { exclusions } from './exclusions.mjs';

const { values } = parseArgs({
  options: {
    backend: { type: 'string', default: 'onnx' },
    grep: { type: 'string', default: '' },
    verbose: { type: 'boolean', default: false },
    small: { type: 'string' },
    'small-too': { type: 'boolean', default: false },
  },
});
if (!(values.backend in exclusions)) {
  console.error(`Expected --backend out of ${Object.keys(exclusions).join(', ')}, got ${values.backend}.`);
  process.exit(2);
}
const excluded = exclusions[values.backend];
const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
const core = dirname(require.resolve('@tensorflow/tfjs-core/package.json'));
const cpu = dirname(require.resolve('@tensorflow/tfjs-backend-cpu/package.json'));
// Inside the package, so that the bundle's own look-ups of onnxruntime-node succeed.
const cache = join(here, '..', '..', 'node_modules', '.cache');
mkdirSync(cache, { recursive: true });
const name = `core-tests-${values.backend}.mjs`;
const file = join(cache, name);

await build({
  configFile: false,
  logLevel: 'silent',
  root: here,
  resolve: {
    alias: [
      { find: /^@tensorflow\/tfjs-core$/, replacement: join(core, 'dist', 'index.js') },
      { find: /^@tensorflow\/tfjs-backend-cpu$/, replacement: join(cpu, 'dist', 'index.js') },
      {
        find: 'backend-under-test',
        replacement: join(here, values.backend === 'onnx' ? 'start-onnx.mjs' : 'start-runtime.mjs'),
      },
      { find: 'jasmine-core/lib/jasmine-core/jasmine.js', replacement: join(here, 'jasmine-core.cjs') },
    ],
  },
  // tfjs's wasm backend finds its files beside itself; it shares the engine, which lies on the global object.
  ssr: { noExternal: true, external: ['node-fetch', '@tensorflow/tfjs-backend-wasm'] },
  build: {
    ssr: join(here, 'entry.mjs'),
    outDir: cache,
    emptyOutDir: false,
    minify: false,
    rolldownOptions: { treeshake: false, output: { entryFileNames: name, codeSplitting: false } },
  },
});

globalThis.testedBackend = values.backend;
const { runCollected, startBackend } = await import(pathToFileURL(file).href);
const log = console.log;
// The tests provoke warnings by the hundred.
console.warn = console.log = () => {};
await startBackend(values.backend, values);

const used = new Set();
const unlisted = new Set();
const isExcluded = (name) => {
  if (!name.includes(values.grep)) return true;
  const rule = excluded.tests.find(({ test }) => name.includes(test));
  if (!rule) return false;
  used.add(rule);
  if (values.verbose) log(`skip ${name}: ${rule.reason}`);
  return true;
};
const counts = { passed: 0, failed: 0, pending: 0, excluded: 0 };
await runCollected({
  isExcluded,
  onResult({ name, status: outcome, errors }) {
    const refused = excluded.messages?.find(({ message }) =>
      errors.some((error) => String(error?.message ?? error).includes(message)),
    );
    if (refused) used.add(refused);
    const lacking = errors.map((error) => /Kernel '(\w+)' not registered/.exec(error?.message)?.[1]);
    const excuse = lacking.find((kernel) => excluded.kernels.includes(kernel));
    if (excuse) used.add(excuse);
    for (const kernel of lacking) if (kernel && !excuse) unlisted.add(kernel);
    const status = outcome === 'failed' && (excuse || refused) ? 'excluded' : outcome;
    counts[status]++;
    if (values.verbose && outcome !== status)
      log(`skip ${name}: ${refused?.reason ?? `tfjs's backend has no kernel ${excuse}`}`);
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
  for (const rule of [...excluded.tests, ...(excluded.messages ?? []), ...excluded.kernels].filter(
    (rule) => !used.has(rule),
  ))
    log(`No test is excluded by "${rule.test ?? rule.message ?? rule}": remove it.`);
}
if (unlisted.size > 0) log(`Kernels lacking: ${[...unlisted].sort().join(', ')}`);
let failed = counts.failed > 0;
if (values['small-too'] && values.backend === 'onnx') {
  const again = spawnSync(
    process.execPath,
    [fileURLToPath(import.meta.url), '--small', '0', '--grep', values.grep],
    {
      stdio: 'inherit',
    },
  );
  failed ||= again.status !== 0;
}
process.exit(failed ? 1 : 0);
