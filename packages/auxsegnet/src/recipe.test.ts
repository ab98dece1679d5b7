import { describe, expect, test } from '@jest/globals';
import { presetNames } from './presets.js';
import { mergeDeep, resolveRecipe } from './recipe.js';

const problem = (input: unknown, overrides: string[] = []) => {
  try {
    resolveRecipe(input, { overrides, source: 'my.yaml' });
  } catch (error) {
    return error as Error & { code: string };
  }
  throw new Error('expected an error');
};

describe('resolveRecipe', () => {
  test.each([...presetNames])('preset %s is a whole recipe by itself', (preset) => {
    const recipe = resolveRecipe({ preset });
    expect(recipe.preset).toBe(preset);
    expect(recipe.train.epochs).toBeGreaterThan(0);
    // Resolving what was resolved changes nothing: config.yaml can be run again.
    expect(resolveRecipe(JSON.parse(JSON.stringify(recipe)))).toEqual(recipe);
  });

  test('values go over the preset, --set goes over both', () => {
    const recipe = resolveRecipe(
      { preset: 'tiny', train: { epochs: 7, lr: 0.5 } },
      { overrides: ['train.lr=0.25', 'backend=wasm'] },
    );
    expect(recipe.train).toMatchObject({ epochs: 7, lr: 0.25 });
    expect(recipe.train.batchSize).toBe(resolveRecipe({ preset: 'tiny' }).train.batchSize);
    expect(recipe.backend).toBe('wasm');
  });

  test('a misspelt key names its place, the nearest key and the known ones', () => {
    const error = problem({ preset: 'tiny', train: { epocs: 3 } });
    expect(error.code).toBe('BAD_RECIPE');
    expect(error.message).toContain("unknown key 'train.epocs' (did you mean 'epochs'?)");
    expect(error.message).toContain('my.yaml');
    expect(error.message).toContain('batchSize');
  });

  test('a wrong value names its path and what came; all problems are listed at once', () => {
    const error = problem({ preset: 'tiny', train: { lr: -1 }, cam: { flip: 'yes' } });
    expect(error.message).toContain("'train.lr'");
    expect(error.message).toContain('-1');
    expect(error.message).toContain("'cam.flip'");
    expect(error.message).toContain('2 problem(s)');
  });

  test('an unknown preset, no mapping, a bad --set', () => {
    expect(problem({ preset: 'huge' }).message).toContain('official, paper, mobilenet, tiny');
    expect(problem(['a']).message).toContain('mapping');
    expect(problem({ preset: 'tiny' }, ['train.lr']).message).toContain('key=value');
  });

  test("the official preset has the authors' optimiser, the paper preset the text's", () => {
    expect(resolveRecipe({ preset: 'official' }).train).toMatchObject({
      lr: 0.0007,
      momentum: 1e-5,
      weightDecay: 0,
      headLrScale: 10,
      paddingLabel: 0,
      epochs: 15,
    });
    expect(resolveRecipe({ preset: 'paper' }).train).toMatchObject({
      lr: 0.001,
      epochs: 10,
      paddingLabel: 255,
    });
  });
});

test('a branch of a stage that the recipe has not, or of a name that is taken, is found before the run', () => {
  const branch = { name: 'a', compareWithStage: 1 };
  const of = (...branches: object[]) => ({ preset: 'tiny', stages: 1, branches });
  expect(problem(of({ ...branch, fromStage: 5 })).message).toMatch(
    /'branches\.0\.fromStage': Expected a stage of this recipe, 0 to 1, got 5/,
  );
  expect(problem(of(branch, { ...branch, name: 'b', labelsOfStage: 2 })).message).toMatch(
    /'branches\.1\.labelsOfStage': .*0 to 1, got 2/,
  );
  expect(problem(of(branch, branch)).message).toMatch(/'branches\.1\.name'/);
  // Later stages to compare with may be left out, for a short run of a long recipe.
  expect(resolveRecipe(of({ ...branch, compareWithStage: 3 })).branches).toHaveLength(1);
  expect(problem({ preset: 'tiny' }, ['train.scale=[2,1]']).message).toMatch(/'train\.scale': .*smallest/);
});

test('mergeDeep merges objects and replaces arrays', () => {
  expect(mergeDeep({ a: { b: 1, c: [1, 2] }, d: 1 }, { a: { c: [3] } })).toEqual({
    a: { b: 1, c: [3] },
    d: 1,
  });
});
