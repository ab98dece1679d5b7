// publint and are-the-types-wrong on every package that npm would publish.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

let failed = 0;
for (const name of readdirSync('packages')) {
  const folder = join('packages', name);
  if (!existsSync(join(folder, 'package.json'))) continue;
  if (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).private) continue;
  for (const [tool, args] of [
    ['publint', ['--strict', folder]],
    ['attw', ['--pack', folder, '--profile', 'esm-only', '--quiet']],
  ]) {
    const result = spawnSync(join('node_modules', '.bin', tool), args, { encoding: 'utf8' });
    if (result.status !== 0) {
      failed++;
      console.error(`${tool} ${folder}\n${result.stdout}${result.stderr}`);
    }
  }
  console.log(`checked ${folder}`);
}
process.exit(failed === 0 ? 0 : 1);
