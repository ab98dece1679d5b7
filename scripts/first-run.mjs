// `npm test` and `npm run demo` as the first command in a fresh clone: install what is missing, build, run.
// Plain Node with no dependencies, since nothing is installed yet when it starts.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const [command, ...rest] = process.argv.slice(2);

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(
    `Expected Node 20.19 or newer, got ${process.versions.node}. Install a current Node and start again.`,
  );
  process.exit(2);
}

/** npm writes this file last, so it is older than the lock when the lock has changed since the install. */
const installed = join(root, 'node_modules', '.package-lock.json');
const lock = join(root, 'package-lock.json');
if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(lock).mtimeMs - 1000) {
  step('Installing packages (npm ci; no install scripts run)', 'npm', ['ci', '--no-audit', '--no-fund']);
}
step('Building (turbo run build)', 'npm', ['run', '--silent', 'build']);

if (command === 'test') {
  step('Testing', process.execPath, [
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    join('node_modules', 'jest', 'bin', 'jest.js'),
    ...rest,
  ]);
} else if (command === 'demo') {
  step('Running the demo (auxseg demo)', process.execPath, [
    join('packages', 'cli', 'dist', 'bin.js'),
    'demo',
    ...rest,
  ]);
} else {
  console.error(`Expected 'test' or 'demo', got '${command}'.`);
  process.exit(2);
}

function step(title, executable, args) {
  console.log(`\n> ${title}`);
  const result = spawnSync(executable, args, {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32' && executable === 'npm',
    env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1', TURBO_NO_UPDATE_NOTIFIER: '1' },
  });
  if (result.error) console.error(`Could not start ${executable}: ${result.error.message}`);
  if (result.status !== 0) process.exit(result.status ?? 1);
}
