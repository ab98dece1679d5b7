import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Recipe, resolveRecipe } from '@auxseg/auxsegnet';
import {
  createContext,
  openRecipeData,
  openRunDirectory,
  runPipeline,
  type Summary,
} from '@auxseg/auxsegnet/pipeline';
import { createReport } from '@auxseg/report';
import { useBackend } from '@auxseg/runtime';
import { type Command, Option } from 'commander';
import { CliUsageError } from '../cli-error.js';
import { demoRecipe } from '../demo-recipe.js';
import { example } from '../example.js';
import { overridesOf, readRecipe, type RecipeOverrides, recipeText } from '../recipe-file.js';
import { summaryTables } from '../summary-tables.js';
import { createTerminal, pipelineListener } from '../terminal.js';

interface RunOptions extends RecipeOverrides {
  out?: string;
  json?: boolean;
  stage?: string;
}

export const backendOption = () =>
  new Option('--backend <name>', 'TensorFlow.js backend').choices(['auto', 'onnx', 'wasm', 'cpu', 'webgpu', 'node', 'node-gpu']);

const collect = (value: string, list: string[] = []) => [...list, value];

/** `run`, `demo`, and the steps of a run one by one. */
export function addRunCommands(program: Command, signal: AbortSignal): void {
  withRunOptions(program.command('run'))
    .description('run a whole recipe; started again, it goes on where it stopped')
    .argument('<recipe>', 'recipe file (YAML)')
    .addHelpText('after', example('auxseg run recipes/voc-animals.yaml --data DIR --out runs/voc-animals --set stages=2'))
    .action(async (path: string, options: RunOptions) => {
      const recipe = readRecipe(path, options);
      await execute(recipe, { ...options, path, out: options.out ?? join('runs', recipe.name) }, signal);
    });

  withRunOptions(program.command('demo'))
    .description('the whole method on the built-in synthetic set, in a few minutes')
    .addHelpText('after', example('auxseg demo', 'auxseg demo --out runs/no-affinity --set network.affinity.name=identity'))
    .action(async (options: RunOptions) => {
      const recipe = resolveRecipe(demoRecipe, { overrides: overridesOf(options), source: 'the demo recipe' });
      const out = options.out ?? join('runs', 'demo');
      const terminal = createTerminal({ json: options.json === true });
      await execute(recipe, { ...options, out }, signal);
      terminal.print('\nNext: swap the affinity module and compare:');
      terminal.print('  npx auxseg demo --out runs/no-affinity --set network.affinity.name=identity');
    });

  const steps: { name: string; description: string; of(stage: number): string[]; staged: boolean }[] = [
    { name: 'train-classifier', description: 'train the stage-0 classifier of a run', of: () => ['classifier'], staged: false },
    { name: 'cam', description: "make the classifier's class activation maps", of: () => ['cam'], staged: false },
    {
      name: 'pseudo-label',
      description: 'make saliency maps and stage-0 pseudo labels',
      of: () => ['saliency', 'labels-0'],
      staged: false,
    },
    { name: 'train', description: 'train one stage', of: (stage) => [`train-${stage}`], staged: true },
    {
      name: 'update-labels',
      description: "make a stage's pseudo labels with its network",
      of: (stage) => [`labels-${stage}`],
      staged: true,
    },
  ];
  for (const { name, description, of, staged } of steps) {
    const command = withRunOptions(program.command(name))
      .description(`${description} (a step of \`run\`; works on the same run directory)`)
      .argument('<recipe>', 'recipe file (YAML)')
      .addHelpText(
        'after',
        example(`auxseg ${name} recipes/voc-animals.yaml --data DIR --out runs/voc-animals${staged ? ' --stage 1' : ''}`),
      )
      .action(async (path: string, options: RunOptions) => {
        const recipe = readRecipe(path, options);
        const stage = Number(options.stage ?? 1);
        if (!Number.isInteger(stage) || stage < 1 || stage > Math.max(1, recipe.stages)) {
          throw new CliUsageError(`Expected --stage to be 1 to ${recipe.stages}, got '${options.stage}'.`);
        }
        const names = of(stage);
        await execute(recipe, { ...options, path, out: options.out ?? join('runs', recipe.name), only: names }, signal);
      });
    if (staged) command.option('--stage <k>', 'stage, 1 to the recipe\'s number of stages', '1');
  }
}

function withRunOptions(command: Command): Command {
  return command
    .option('--data <dir>', 'folder of the data set')
    .option('--out <dir>', 'run directory (default: runs/<name of the recipe>)')
    .addOption(backendOption())
    .option('--seed <n>', 'seed of everything random')
    .option('--set <key=value>', 'change a recipe value, e.g. train.epochs=2 (may be given more than once)', collect)
    .option('--json', 'print the result as JSON');
}

async function execute(
  recipe: Recipe,
  options: RunOptions & { out: string; path?: string; only?: string[] },
  signal: AbortSignal,
): Promise<Summary> {
  const terminal = createTerminal({ json: options.json === true });
  const started = performance.now();
  const data = await openRecipeData(recipe);
  const backend = await useBackend(recipe.backend, recipe.threads > 0 ? { threads: recipe.threads } : {});
  terminal.note(`backend ${backend.name}: ${backend.reason}`);
  terminal.note(
    `${data.train.ids.length} training images, ${data.scoreIds.length} of them with masks for scoring, ${data.val.ids.length} for validation; classes ${data.train.classes.join(', ')}`,
  );
  const directory = await openRunDirectory(options.out, {
    recipe,
    configText: recipeText(recipe),
    classes: data.train.classes,
    backend: backend.name,
  });
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
      terminal.print(`\n${((performance.now() - started) / 60000).toFixed(1)} minutes. Report: ${existsSync(report) ? report : options.out}`);
    }
    return summary;
  } finally {
    await context.close();
  }
}
