import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import ts from 'typescript';

/** Each package README's first ```js block prints what its first ```text block says, when run against the built packages. */
describe.each(readdirSync('packages').filter((name) => existsSync(join('packages', name, 'package.json'))))(
  'packages/%s/README.md',
  (name) => {
    test('snippet prints what the README says', () => {
      const readme = readFileSync(join('packages', name, 'README.md'), 'utf8');
      const code = readme.match(/```js\n([\s\S]*?)```/)?.[1];
      const printed = readme.match(/```text\n([\s\S]*?)```/)?.[1];
      expect(code).toBeDefined();
      expect(printed).toBeDefined();
      // Inside the package, so that its own dependencies resolve as a user's would.
      const folder = mkdtempSync(join('packages', name, 'dist', 'readme-'));
      try {
        const file = join(folder, 'snippet.mjs');
        writeFileSync(file, code!);
        const result = spawnSync(process.execPath, [file], { encoding: 'utf8', timeout: 55_000 });
        expect({ errors: result.stderr, status: result.status }).toEqual({ errors: '', status: 0 });
        expect(result.stdout.trimEnd()).toBe(printed!.trimEnd());
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
  },
);

test('the affinity module of docs/swap-a-module.md makes a network that predicts', () => {
  const code = readFileSync(join('docs', 'swap-a-module.md'), 'utf8').match(/```ts\n([\s\S]*?)```/)?.[1];
  const { outputText } = ts.transpileModule(code!, { compilerOptions: { target: ts.ScriptTarget.ES2022 } });
  const script = `import { useBackend } from '@auxseg/runtime';
    import * as tf from '@tensorflow/tfjs-core';
    await useBackend('cpu');
    ${outputText}
    console.log(model.predict(tf.zeros([1, 33, 17, 3])).at(-1).shape.join());`;
  const result = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    timeout: 55_000,
  });
  // 33 x 17 pixels at stride 4: 9 x 5 cells, each compared with every other one.
  expect({ errors: result.stderr, printed: result.stdout }).toEqual({ errors: '', printed: '1,45,45\n' });
});
