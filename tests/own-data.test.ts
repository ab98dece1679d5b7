import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';

const bin = resolve('packages', 'cli', 'dist', 'bin.js');
const page = readFileSync(join('docs', 'own-data.md'), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'auxseg-own-data-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Every command of docs/own-data.md, in its order, in an empty folder. */
test('the worked example for own data runs as it stands', () => {
  const recipe = page.match(/```yaml\n([\s\S]*?)```/)?.[1];
  writeFileSync(join(folder, 'my-data.yaml'), recipe as string);
  const commands = [...page.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block]) =>
    block.split('\n').filter(Boolean),
  );
  expect(commands.length).toBeGreaterThanOrEqual(9);
  for (const command of commands) {
    const [line, file] = command.split(' > ');
    const words = line.split(/\s+/);
    expect(words.slice(0, 2)).toEqual(['npx', 'auxseg']);
    const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...words.slice(2)], {
      cwd: folder,
      encoding: 'utf8',
      timeout: 170_000,
    });
    expect({ command, status, stderr: status === 0 ? '' : stderr }).toEqual({
      command,
      status: 0,
      stderr: '',
    });
    if (file) writeFileSync(join(folder, file), stdout);
  }
  const at = (...parts: string[]) => join(folder, ...parts);
  expect(JSON.parse(readFileSync(at('report.json'), 'utf8'))).toMatchObject({
    layout: 'folder',
    ok: true,
    splits: { train: 12, val: 4 },
  });
  expect(readFileSync(at('my-data/labels.csv'), 'utf8')).toMatch(/^file,labels,split\nsyn_train_00000\.png,/);
  expect(readdirSync(at('my-data-repaired/masks'))).toHaveLength(16);
  expect(readdirSync(at('maps/sal'))).toHaveLength(16);
  expect(readdirSync(at('predictions'))).toHaveLength(16);
  expect(readdirSync(at('better-maps/sal'))).toHaveLength(16);
  expect(existsSync(at('runs/my-data/report.html'))).toBe(true);
});
