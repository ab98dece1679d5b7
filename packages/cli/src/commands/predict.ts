import { type Command, Option } from 'commander';
import type { PredictCommandOptions } from '../actions/predict.js';
import { example } from '../example.js';
import { wholeNumber } from '../option-values.js';
import { backendOption } from './backend-option.js';

/** `predict`: images in, indexed PNGs out. */
export function addPredictCommand(program: Command, signal: AbortSignal): void {
  program
    .command('predict')
    .description('segment a folder of images; images that have a prediction already are skipped')
    .requiredOption('--weights <file>', "weights: model.safetensors of a run, or the authors' .pth")
    .requiredOption('--images <dir>', 'folder of images')
    .requiredOption('--out <dir>', 'folder for <id>.png, 8-bit palette, value = class')
    .option('--list <file>', "predict only these: ids, or the authors' lines of paths")
    .addOption(
      new Option('--preset <name>', 'how images become input (for .pth files; ours know)')
        .choices(['official', 'paper', 'mobilenet', 'tiny'])
        .default('official'),
    )
    .option('--scales <list>', 'comma-separated scales, joined by their maximum', '1')
    .option('--flip', 'also look at the mirrored image')
    .option('--crf', 'sharpen with the dense CRF of the preset')
    .option(
      '--long-side <px>',
      'resize the longer side to this first (0 = keep; default: what the weights were trained with)',
      wholeNumber(0),
    )
    .addOption(
      new Option('--head <name>', 'which segmentation').choices(['initial', 'refined']).default('refined'),
    )
    .option('--strict', '.pth: missing and unexpected parameters are an error', true)
    .option('--no-strict', '.pth: load what fits and list the rest')
    .addOption(backendOption())
    .option('--seed <n>', 'accepted for uniformity; prediction draws nothing')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      example(
        'auxseg predict --weights runs/demo/stage-3/model.safetensors --images photos --out masks --scales 0.5,1,1.5 --flip --crf',
      ),
    )
    .action(async (options: PredictCommandOptions) => {
      const { predict } = await import('../actions/predict.js');
      await predict(options, signal);
    });
}
