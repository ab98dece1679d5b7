import type { Command } from 'commander';
import type { EvaluateOptions } from '../actions/evaluate.js';
import { example } from '../example.js';
import { wholeNumber } from '../option-values.js';

/** `evaluate`: mIoU over one confusion matrix, and paired comparisons. */
export function addEvaluateCommand(program: Command): void {
  program
    .command('evaluate')
    .description(
      'mIoU of a folder of predictions (one confusion matrix over the list, 255 in the truth left out)',
    )
    .requiredOption('--pred <dir>', 'folder of predicted <id>.png')
    .requiredOption('--truth <dir>', 'folder of true <id>.png')
    .requiredOption('--list <file>', 'ids, one a line')
    .requiredOption('--classes <n>', 'number of classes with background, e.g. 21')
    .option(
      '--map <ids>',
      'comma-separated ids in the truth that become 0, 1, 2, ..., e.g. 0,8,10,12,13,15,17',
    )
    .option(
      '--compare <dir>',
      'second folder of predictions: difference in mIoU with a paired bootstrap interval',
    )
    .option('--samples <n>', 'bootstrap samples', wholeNumber(1, 1e6), 1000)
    .option('--seed <n>', 'seed of the bootstrap', wholeNumber(), 1)
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      example(
        'auxseg evaluate --pred runs/voc/predictions --truth VOC2012/SegmentationClass --list val.txt --classes 21 --json',
      ),
    )
    .action(async (options: EvaluateOptions) => {
      const { evaluate } = await import('../actions/evaluate.js');
      await evaluate(options);
    });
}
