// Consumers of the packages as npm would publish them: packs every package, installs the tarballs into a new folder outside
// the repository (where no workspace link can stand in for a forgotten file or dependency), and runs the consumers there.
//
//   node integrations/run.mjs [esm-node] [ts-strict] [--keep]
//
// Needs the packages built (npm run build) and, for what they depend on, npm's cache or its registry; with neither it says so
// and ends with exit code 0. Plain Node, no dependencies. --keep leaves the folder and prints where it is.
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..');
const readJson = (...path) => JSON.parse(readFileSync(join(...path), 'utf8'));

const known = ['esm-node', 'ts-strict'];
const options = process.argv.slice(2);
const asked = options.filter((option) => option !== '--keep');
const wrong = asked.find((name) => !known.includes(name));
if (wrong !== undefined) {
  console.error(`Expected consumers out of ${known.join(', ')}, got '${wrong}'.`);
  process.exit(2);
}
const consumers = asked.length > 0 ? asked : known;

const packages = readdirSync(join(root, 'packages'))
  .filter((name) => existsSync(join(root, 'packages', name, 'package.json')))
  .map((folder) => ({ folder, manifest: readJson(root, 'packages', folder, 'package.json') }))
  .filter(({ manifest }) => !manifest.private);
const unbuilt = packages.find(({ folder }) => !existsSync(join(root, 'packages', folder, 'dist')));
if (unbuilt) fail(`Expected packages/${unbuilt.folder}/dist; run npm run build first.`);

const work = mkdtempSync(join(tmpdir(), 'auxseg-integrations-'));
try {
  const tarballs = pack();
  if (install(tarballs)) {
    if (consumers.includes('esm-node')) esmNode();
    if (consumers.includes('ts-strict')) tsStrict();
  }
} finally {
  if (options.includes('--keep')) console.log(`left in ${work}`);
  else rmSync(work, { recursive: true, force: true });
}

/** Tarball of every package by name. */
function pack() {
  const folder = join(work, 'tarballs');
  mkdirSync(folder);
  const workspaces = packages.flatMap(({ folder: name }) => ['--workspace', `packages/${name}`]);
  const result = npm(['pack', '--json', '--pack-destination', folder, ...workspaces], root);
  if (result.status !== 0) fail(`npm pack:\n${result.stdout}${result.stderr}`);
  // npm 11 prints a list, later ones an object by name.
  const printed = Object.values(JSON.parse(result.stdout));
  console.log(`packed ${printed.length} packages`);
  return new Map(printed.map(({ name, filename }) => [name, join(folder, filename)]));
}

/** False when what the packages need from the registry cannot be had. */
function install(tarballs) {
  const lock = readJson(root, 'package-lock.json').packages;
  const fromLock = (name) => lock[`node_modules/${name}`]?.version;
  const foreign = new Set(
    packages.flatMap(({ manifest: { dependencies, peerDependencies, peerDependenciesMeta = {} } }) =>
      Object.keys({ ...dependencies, ...peerDependencies }).filter(
        (name) => !tarballs.has(name) && !peerDependenciesMeta[name]?.optional,
      ),
    ),
  );
  // The versions that the repository is tested with: a release elsewhere must not turn this red.
  const pinned = [...foreign].map((name) => [name, fromLock(name)]).filter(([, version]) => version);
  writeFileSync(
    join(work, 'package.json'),
    JSON.stringify({
      name: 'auxseg-consumer',
      private: true,
      type: 'module',
      dependencies: {
        ...Object.fromEntries([...tarballs].map(([name, file]) => [name, `file:${file}`])),
        ...Object.fromEntries(pinned.filter(([name]) => /^@tensorflow\/tfjs-(core|layers)$/.test(name))),
      },
      overrides: Object.fromEntries(
        pinned.filter(([name]) => !/^@tensorflow\/tfjs-(core|layers)$/.test(name)),
      ),
    }),
  );
  cpSync(join(root, '.npmrc'), join(work, '.npmrc'));
  const flags = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', '--no-package-lock'];
  const result = npm(['install', ...flags, '--fetch-retries', '1'], work);
  if (result.status !== 0) {
    if (
      /ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|ENETUNREACH|ENOTCACHED|ERR_SOCKET_TIMEOUT/.test(
        result.stderr,
      )
    ) {
      console.warn(
        'SKIPPED: the registry is out of reach and npm has no cached copy of what the packages need.',
      );
      return false;
    }
    fail(`npm install of the tarballs:\n${result.stdout}${result.stderr}`);
  }
  const linked = readdirSync(join(work, 'node_modules', '@auxseg'), { withFileTypes: true });
  if (linked.some((entry) => entry.isSymbolicLink())) fail('npm linked a package instead of unpacking it.');
  console.log(`installed into a folder outside the repository`);
  return true;
}

/** Every entry point imported in a process of its own, then a short program; stderr stays empty throughout. */
function esmNode() {
  let entries = 0;
  for (const { manifest } of packages) {
    for (const key of Object.keys(manifest.exports)) {
      if (key === './package.json' || isBinary(manifest, key)) continue;
      const specifier = manifest.name + key.slice(1);
      const code = `const m = await import('${specifier}'); if (Object.keys(m).length === 0) throw new Error('no exports');`;
      check(`import of ${specifier}`, node(['--input-type=module', '--eval', code]));
      entries++;
    }
    for (const [name, file] of Object.entries(manifest.bin ?? {})) {
      const installed = join(work, 'node_modules', manifest.name, file);
      const { stdout } = check(`${name} --help`, node([installed, '--help']));
      if (!stdout.includes(name)) fail(`Expected ${name} --help to print its usage, got:\n${stdout}`);
    }
  }
  console.log(`esm-node: ${entries} entry points of ${packages.length} packages import with empty stderr`);
  cpSync(join(here, 'esm-node', 'smoke.mjs'), join(work, 'smoke.mjs'));
  process.stdout.write(
    check('smoke.mjs', node(['smoke.mjs']))
      .stdout.replace(/^/gm, 'esm-node: ')
      .replace(/esm-node: $/, ''),
  );
}

/** Types as a strict project sees them: strict, skipLibCheck (TensorFlow.js needs it), node16 and bundler resolution. */
function tsStrict() {
  cpSync(join(here, 'ts-strict'), join(work, 'ts-strict'), { recursive: true });
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  for (const config of ['tsconfig.json', 'tsconfig.bundler.json']) {
    check(`tsc -p ${config}`, node([compiler, '--project', join('ts-strict', config)]));
  }
  console.log('ts-strict: type-checks with node16 and bundler resolution');
}

function isBinary(manifest, key) {
  const target = manifest.exports[key].default ?? manifest.exports[key];
  return Object.values(manifest.bin ?? {}).includes(target);
}

function npm(args, cwd) {
  // npm sets npm_config_* for its scripts; a nested npm must not inherit the workspace settings among them.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([key]) => !/^npm_config_(workspace|prefix|local)/i.test(key)),
  );
  return spawnSync('npm', args, {
    cwd,
    env,
    encoding: 'utf8',
    shell: process.platform === 'win32',
    maxBuffer: 2 ** 26,
  });
}

function node(args) {
  return spawnSync(process.execPath, args, { cwd: work, encoding: 'utf8', timeout: 300_000 });
}

function check(what, result) {
  if (result.status !== 0 || result.stderr !== '') {
    fail(
      `${what}: expected exit code 0 and empty stderr, got ${result.status ?? result.signal}\n${result.stdout}${result.stderr}`,
    );
  }
  return result;
}

function fail(message) {
  console.error(message);
  process.exitCode = 1;
  throw new Error('integrations failed');
}
