import { readFileSync } from 'node:fs';
import { type Recipe, resolveRecipe } from '@auxseg/auxsegnet';
import { parse, stringify } from 'yaml';
import { CliUsageError } from './cli-error.js';

/** What the command line says over the recipe's file. */
export interface RecipeOverrides {
  data?: string;
  backend?: string;
  seed?: string;
  set?: string[];
}

/** Reads, merges and checks a recipe. */
export function readRecipe(path: string, over: RecipeOverrides = {}): Recipe {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new CliUsageError(
      `Expected a recipe (YAML) at ${path}, got ${(cause as NodeJS.ErrnoException).code}; the recipes folder has some to start from.`,
      { path },
    );
  }
  let value: unknown;
  try {
    value = parse(text);
  } catch (cause) {
    throw new CliUsageError(`Expected YAML in ${path}: ${(cause as Error).message}`, { path });
  }
  return resolveRecipe(value, { overrides: overridesOf(over), source: path });
}

export function overridesOf({ data, backend, seed, set = [] }: RecipeOverrides): string[] {
  return [
    ...set,
    ...(data === undefined ? [] : [`data.root=${data}`]),
    ...(backend === undefined ? [] : [`backend=${backend}`]),
    ...(seed === undefined ? [] : [`seed=${seed}`]),
  ];
}

/** The resolved recipe as it is kept in a run directory. */
export function recipeText(recipe: Recipe): string {
  return `# Resolved by auxseg: preset defaults, the recipe's values, then the command line's.\n${stringify(recipe)}`;
}
