import type { Command } from 'commander';
import type { RunOptions } from '../actions/run.js';
import { example } from '../example.js';
import { backendOption } from './backend-option.js';

const actions = () => import('../actions/run.js');

const collect = (value: string, list: string[] = []) => [...list, value];

/** `run`, `demo`, and the steps of a run one by one. */
export function addRunCommands(program: Command, signal: AbortSignal): void {
  withRunOptions(program.command('run'))
    .description('run a whole recipe; started again, it goes on where it stopped')
    .argument('<recipe>', 'recipe file (YAML)')
    .addHelpText(
      'after',
      example('auxseg run recipes/voc-animals.yaml --data DIR --out runs/voc-animals --set stages=2'),
    )
    .action(async (path: string, options: RunOptions) => (await actions()).runRecipe(path, options, signal));

  withRunOptions(program.command('demo'))
    .description('the whole method on the built-in synthetic set, in a few minutes')
    .addHelpText(
      'after',
      example('auxseg demo', 'auxseg demo --out runs/no-affinity --set network.affinity.name=identity'),
    )
    .action(async (options: RunOptions) => (await actions()).runDemo(options, signal));

  const steps: { name: string; description: string; of(stage: number): string[]; staged: boolean }[] = [
    {
      name: 'train-classifier',
      description: 'train the stage-0 classifier of a run',
      of: () => ['classifier'],
      staged: false,
    },
    {
      name: 'cam',
      description: "make the classifier's class activation maps",
      of: () => ['cam'],
      staged: false,
    },
    {
      name: 'pseudo-label',
      description: 'make saliency maps and stage-0 pseudo labels',
      of: () => ['saliency', 'labels-0'],
      staged: false,
    },
    {
      name: 'train',
      description: 'train one stage and score it on the validation images',
      of: (stage) => [`train-${stage}`, `evaluate-${stage}`],
      staged: true,
    },
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
        example(
          `auxseg ${name} recipes/voc-animals.yaml --data DIR --out runs/voc-animals${staged ? ' --stage 1' : ''}`,
        ),
      )
      .action(async (path: string, options: RunOptions) =>
        (await actions()).runSteps(path, of, options, signal),
      );
    if (staged) command.option('--stage <k>', "stage, 1 to the recipe's number of stages", '1');
  }
}

function withRunOptions(command: Command): Command {
  return command
    .option('--data <dir>', 'folder of the data set')
    .option('--out <dir>', 'run directory (default: runs/<name of the recipe>)')
    .addOption(backendOption())
    .option('--seed <n>', 'seed of everything random')
    .option(
      '--set <key=value>',
      'change a recipe value, e.g. train.epochs=2 (may be given more than once)',
      collect,
    )
    .option(
      '--reuse <run>',
      'take the classifier and its CAMs from this finished run, for recipes that differ only in what comes after',
    )
    .option('--json', 'print the result as JSON');
}
