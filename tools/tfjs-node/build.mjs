// Installs @tensorflow/tfjs-node in a folder outside the repository, built against the libtensorflow inside PyPI's wheel:
//
//   node tools/tfjs-node/build.mjs FOLDER [--wheel tensorflow-cpu==2.15.1 | --wheel file.whl] [--python python3] [--check]
//
// README.md beside it says what for. Needs npm, pip, a C++17 compiler, make and Node's headers; about 1.2 GB of disk.
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const version = '4.22.0';
// The last wheel with C headers of the age of tfjs-node's binding, and built for Python 3.9 to 3.11; its C API is that of
// libtensorflow 2.15.
const defaultWheel = 'tensorflow-cpu==2.15.1';
/** Packages that must be one with the repository's: a second tfjs-core would register its own gradients over ours. */
const shared = ['tfjs-core', 'tfjs-layers', 'tfjs-backend-cpu'];
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
const usage = `Usage: node tools/tfjs-node/build.mjs FOLDER [--wheel ${defaultWheel}] [--python python3] [--check]`;

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    wheel: { type: 'string', default: defaultWheel },
    python: { type: 'string', default: 'python3' },
    check: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help || positionals.length !== 1) {
  console.log(usage);
  process.exit(values.help ? 0 : 2);
}
const folder = resolve(positionals[0]);
if (!relative(realpathSync(root), folder).startsWith('..')) {
  fail(`Expected a folder outside the repository, got ${folder}.`);
}
if (Number(process.versions.node.split('.')[0]) >= 23) {
  fail(
    `Expected Node below 23, got ${process.version}: tfjs-node ${version} uses functions that Node 23 removed.`,
  );
}
const home = join(folder, 'node_modules', '@tensorflow', 'tfjs-node');

if (!values.check) {
  mkdirSync(folder, { recursive: true });
  install();
  shareModules();
  takeLibraries();
  compile();
}
await check();

function fail(message) {
  console.error(message);
  process.exit(1);
}

/** Runs a command to its end; its output is shown only if it fails. */
function run(what, command, parameters, options = {}) {
  console.log(`${what} ...`);
  const result = spawnSync(command, parameters, { encoding: 'utf8', maxBuffer: 2 ** 28, ...options });
  if (result.status !== 0) {
    fail(
      `Expected to ${what}, but ${command} failed: ${result.error ?? ''}\n${result.stdout}${result.stderr}`,
    );
  }
  return result.stdout;
}

/** The package without its installer, which would download libtensorflow. The folder's script is what runs node-gyp. */
function install() {
  const scripts = { 'build-binding': 'node-gyp rebuild --directory node_modules/@tensorflow/tfjs-node' };
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify({ private: true, scripts }, null, 2)}\n`);
  if (existsSync(join(home, 'package.json'))) return;
  const parameters = [
    'install',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--no-package-lock',
    '--no-save',
  ];
  run(`install @tensorflow/tfjs-node ${version}`, npm, [...parameters, `@tensorflow/tfjs-node@${version}`], {
    cwd: folder,
  });
}

/** Replaces the packages that both sides use by links to the repository's. */
function shareModules() {
  const require = createRequire(join(root, 'packages', 'runtime', 'package.json'));
  for (const name of shared) {
    const ours = realpathSync(dirname(require.resolve(`@tensorflow/${name}/package.json`)));
    const theirs = join(folder, 'node_modules', '@tensorflow', name);
    rmSync(theirs, { recursive: true, force: true });
    symlinkSync(ours, theirs, 'junction');
  }
}

/** Shared libraries and C headers out of the wheel, under the names that the binding links with. */
function takeLibraries() {
  const deps = join(home, 'deps');
  const library = join(deps, 'lib');
  if (existsSync(join(library, 'libtensorflow.so'))) return;
  const scratch = mkdtempSync(join(folder, 'wheel-'));
  try {
    let wheel = values.wheel;
    if (!wheel.endsWith('.whl')) {
      const parameters = ['-m', 'pip', 'download', '--quiet', '--no-deps', '--only-binary=:all:'];
      run(`download ${wheel}`, values.python, [...parameters, '--dest', scratch, wheel]);
      wheel = join(
        scratch,
        readdirSync(scratch).find((name) => name.endsWith('.whl')),
      );
    }
    const unpack = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    for name in wheel.namelist():
        if name.startswith(('tensorflow/libtensorflow', 'tensorflow/include/tensorflow/', 'tensorflow/include/tsl/')):
            wheel.extract(name, sys.argv[2])
`;
    run('unpack libraries and headers', values.python, ['-c', unpack, wheel, scratch]);
    rmSync(deps, { recursive: true, force: true });
    mkdirSync(library, { recursive: true });
    renameSync(join(scratch, 'tensorflow', 'include'), join(deps, 'include'));
    for (const [file, linkName] of [
      ['libtensorflow_framework.so.2', 'libtensorflow_framework.so'],
      ['libtensorflow_cc.so.2', 'libtensorflow.so'],
    ]) {
      const from = join(scratch, 'tensorflow', file);
      if (!existsSync(from))
        fail(`Expected ${file} in ${values.wheel}; take a Linux wheel of TensorFlow 2.12 or later.`);
      renameSync(from, join(library, file));
      symlinkSync(file, join(library, linkName));
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function compile() {
  const napi = 8;
  const binding = join('lib', `napi-v${napi}`);
  if (existsSync(join(home, binding, 'tfjs_binding.node'))) return;
  // Where Node was installed with its headers, node-gyp need not download them.
  const prefix = dirname(dirname(realpathSync(process.execPath)));
  const local = existsSync(join(prefix, 'include', 'node', 'node_api.h')) ? [`--nodedir=${prefix}`] : [];
  const variables = {
    module_name: 'tfjs_binding',
    module_path: join(home, binding),
    napi_build_version: napi,
  };
  const parameters = Object.entries(variables).map(([name, value]) => `--${name}=${value}`);
  run(
    'compile the binding',
    npm,
    ['run', 'build-binding', '--ignore-scripts=false', '--', ...local, ...parameters],
    { cwd: folder },
  );
}

/** Loads it as the runtime does, and multiplies two matrices. */
async function check() {
  process.env.AUXSEG_TFJS_NODE = folder;
  const entry = join(root, 'packages', 'runtime', 'dist', 'index.js');
  if (!existsSync(entry)) fail('Expected packages/runtime/dist; run npm run build first.');
  const { useBackend } = await import(pathToFileURL(entry).href);
  const tf = await import('@tensorflow/tfjs-core');
  const { name, reason } = await useBackend('node');
  const [product] = tf.matMul(tf.tensor2d([[1, 2, 3]]), tf.tensor2d([[4], [5], [6]])).dataSync();
  if (product !== 32) fail(`Expected [1 2 3] [4 5 6]^T = 32, got ${product}.`);
  console.log(`backend ${name}: ${reason}`);
  console.log(`export AUXSEG_TFJS_NODE=${folder}`);
}
