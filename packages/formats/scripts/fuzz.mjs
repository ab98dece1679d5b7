// Fuzzes every parser of this package: npm run fuzz -w @auxseg/formats -- [seconds]
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const seconds = Number(process.argv[2] ?? 300);
if (!(seconds > 0)) {
  console.error(
    `Expected a number of seconds, got ${process.argv[2]}. Example: npm run fuzz -w @auxseg/formats -- 3600`,
  );
  process.exit(2);
}
const root = fileURLToPath(new URL('../../..', import.meta.url));
const { status } = spawnSync(
  process.execPath,
  ['--experimental-vm-modules', 'node_modules/jest/bin/jest.js', '--runInBand', 'packages/formats/src/fuzz'],
  { cwd: root, stdio: 'inherit', env: { ...process.env, AUXSEG_FUZZ_SECONDS: String(seconds) } },
);
process.exit(status ?? 1);
