import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolveRecipe } from '@auxseg/auxsegnet';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { readRecipe, recipeText } from './recipe-file.js';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'auxseg-recipe-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const written = (text: string): string => {
  const path = join(folder, 'recipe.yaml');
  writeFileSync(path, text);
  return path;
};

test('the command line goes over the file, and the file over the preset', () => {
  const path = written('preset: tiny\nseed: 4\nstages: 2\ndata: { root: from-the-file }\n');
  const recipe = readRecipe(path, { data: 'elsewhere', seed: '9', backend: 'cpu', set: ['train.epochs=1'] });
  expect(recipe).toMatchObject({ seed: 9, stages: 2, backend: 'cpu', data: { root: 'elsewhere' } });
  expect(recipe.train.epochs).toBe(1);
  expect(recipe.classifier).toEqual(resolveRecipe({ preset: 'tiny' }).classifier);
});

test('the text kept in a run directory resolves to the same recipe', () => {
  const recipe = readRecipe(written('preset: tiny\nstages: 1\n'));
  expect(resolveRecipe(parse(recipeText(recipe)))).toEqual(recipe);
});

test('a missing file and broken YAML name the path; a misspelt key names the right one', () => {
  expect(() => readRecipe(join(folder, 'none.yaml'))).toThrow(/none\.yaml.*ENOENT/);
  expect(() => readRecipe(written('preset: [tiny\n'))).toThrow(/Expected YAML in .*recipe\.yaml/);
  expect(() => readRecipe(written('preset: tiny\nstage: 1\n'))).toThrow(/did you mean 'stages'/);
});
