import { presets } from '@auxseg/crf';
import { type Command, Option } from 'commander';
import type { CrfOptions } from '../actions/crf.js';
import { example } from '../example.js';
import { createTerminal } from '../terminal.js';

/** `crf`: one image or a folder. */
export function addCrfCommand(program: Command, signal: AbortSignal): void {
  program
    .command('crf')
    .description('dense CRF on one image, or on a folder of images')
    .option('--image <file>', 'one image')
    .option('--images <dir>', 'folder of images; then the input and --out are folders too')
    .option('--unary <file>', 'energies, .npy float32 [labels,H,W]')
    .option('--probabilities <file>', 'probabilities, .npy float32 [labels,H,W] or grey PNG (foreground)')
    .option('--maps <file>', 'hard label maps, indexed PNG; --labels and --gt-prob apply')
    .requiredOption(
      '--out <file>',
      'result: .npy = Q float32 [labels,H,W]; .png = label map, or for two labels without --maps the foreground in grey',
    )
    .addOption(
      new Option('--preset <name>', 'kernels and steps')
        .choices(Object.keys(presets))
        .default('auxsegSegmentation'),
    )
    .option('--iterations <n>', "steps instead of the preset's")
    .option('--labels <n>', 'number of labels of --maps (default: the largest value + 1)')
    .option('--gt-prob <p>', 'confidence in --maps', '0.7')
    .option('--workers <n>', 'worker threads (default: all cores for a folder)')
    .option('--seed <n>', 'accepted for uniformity; the CRF draws nothing')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      example(
        'auxseg crf --image photo.jpg --unary U.npy --out Q.npy',
        'auxseg crf --images JPEGImages --probabilities probs --out masks --preset auxsegSegmentation',
      ),
    )
    .action(async (options: CrfOptions) => {
      const terminal = createTerminal({ json: options.json === true });
      // Loaded here, so that other commands start without it.
      const { listTasks, runTasks } = await import('../actions/crf.js');
      const tasks = await listTasks(options);
      await runTasks(tasks, options, terminal, signal);
    });
}
