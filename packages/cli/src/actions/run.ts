import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Recipe, resolveRecipe } from '@auxseg/auxsegnet';
import {
  claimRunDirectory,
  createContext,
  openRecipeData,
  openRunDirectory,
  reuseClassifier,
  runPipeline,
  type Summary,
} from '@auxseg/auxsegnet/pipeline';
import { createReport } from '@auxseg/report';
import { useBackend } from '@auxseg/runtime';
import { CliUsageError } from '../cli-error.js';
import { demoRecipe } from '../demo-recipe.js';
import { overridesOf, type RecipeOverrides, readRecipe, recipeText } from '../recipe-file.js';
import { summaryTables } from '../summary-tables.js';
import { createTerminal, pipelineListener } from '../terminal.js';

/** Options of `auxseg run` and its steps. */
export interface RunOptions extends RecipeOverrides {
  out?: string;
  json?: boolean;
  stage?: string;
  /** A finished run whose classifier and CAMs are taken. */
  reuse?: string;
}

/** `auxseg run`. */
export async function runRecipe(path: string, options: RunOptions, signal: AbortSignal): Promise<void> {
  const recipe = readRecipe(path, options);
  await execute(recipe, { ...options, path, out: options.out ?? join('runs', recipe.name) }, signal);
}

/** `auxseg demo`. */
export async function runDemo(options: RunOptions, signal: AbortSignal): Promise<void> {
  const recipe = resolveRecipe(demoRecipe, { overrides: overridesOf(options), source: 'the demo recipe' });
  const out = options.out ?? join('runs', 'demo');
  await execute(recipe, { ...options, out }, signal);
  const terminal = createTerminal({ json: options.json === true });
  const [title, command] =
    recipe.network.affinity.name === 'identity'
      ? ['your own photographs, as in docs/quick-start.md', 'npx auxseg data check my-animals']
      : [
          'swap the affinity module and compare',
          'npx auxseg demo --out runs/no-affinity --set network.affinity.name=identity',
        ];
  terminal.print(`\nNext: ${title}:\n  ${command}`);
}

/** Some steps of a run: `auxseg train` and the like. */
export async function runSteps(
  path: string,
  stepsOf: (stage: number) => string[],
  options: RunOptions,
  signal: AbortSignal,
): Promise<void> {
  const recipe = readRecipe(path, options);
  const stage = Number(options.stage ?? 1);
  if (!Number.isInteger(stage) || stage < 1 || stage > Math.max(1, recipe.stages)) {
    throw new CliUsageError(`Expected --stage to be 1 to ${recipe.stages}, got '${options.stage}'.`);
  }
  const out = options.out ?? join('runs', recipe.name);
  await execute(recipe, { ...options, path, out, only: stepsOf(stage) }, signal);
}

async function execute(
  recipe: Recipe,
  options: RunOptions & { out: string; path?: string; only?: string[] },
  signal: AbortSignal,
): Promise<Summary> {
  const terminal = createTerminal({ json: options.json === true });
  const started = performance.now();
  const data = await openRecipeData(recipe);
  const { threads } = recipe;
  const backend = await useBackend(recipe.backend, threads > 0 ? { threads } : {});
  terminal.note(`backend ${backend.name}: ${backend.reason}`);
  terminal.note(
    `${data.train.ids.length} training images, ${data.scoredTrain?.ids.length ?? 0} of them with masks for scoring; ${data.val.ids.length} for validation, ${data.scoredVal?.ids.length ?? 0} with masks; classes ${data.train.classes.join(', ')}`,
  );
  const release = await claimRunDirectory(options.out);
  try {
    const directory = await openRunDirectory(options.out, {
      recipe,
      configText: recipeText(recipe),
      classes: data.train.classes,
      backend: backend.name,
    });
    if (options.reuse !== undefined && (await reuseClassifier(directory, options.reuse, data.train.ids)))
      terminal.note(`classifier and CAMs of ${options.reuse}`);
    const context = createContext({
      recipe,
      data,
      directory,
      backend: backend.name,
      recipePath: options.path,
      emit: pipelineListener(terminal),
      signal,
    });
    try {
      const { only } = options;
      const summary = await runPipeline(context, only ? { only: (step) => only.includes(step) } : {});
      terminal.printJson(summary);
      if (!only) {
        await createReport({ runDirectory: options.out, title: recipe.name });
        terminal.print(summaryTables(summary));
        const report = join(options.out, 'report.html');
        terminal.print(
          `\n${((performance.now() - started) / 60000).toFixed(1)} minutes. Report: ${existsSync(report) ? report : options.out}`,
        );
      }
      return summary;
    } finally {
      await context.close();
    }
  } finally {
    await release();
  }
}
