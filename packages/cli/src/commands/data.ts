import { type Command, Option } from 'commander';
import type {
  CheckOptions,
  ConvertOptions,
  SaliencyOptions,
  SynthesizeCommandOptions,
} from '../actions/data.js';
import { example } from '../example.js';

const actions = () => import('../actions/data.js');

/** `data check | synthesize | convert | saliency`. */
export function addDataCommands(program: Command, signal: AbortSignal): void {
  const data = program.command('data').description('check, make and convert data sets; make saliency maps');
  data
    .command('check')
    .description('read everything once and report what is wrong and how to repair it; exit code 1 on errors')
    .argument('<dir>', 'data set: VOC layout, COCO layout, or own folder')
    .option('--splits <names>', 'comma-separated lists to check (default: all)')
    .option('--workers <n>', 'worker threads (default: all cores)')
    .option('--seed <n>', 'accepted for uniformity; nothing is drawn')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', example('auxseg data check VOCdevkit/VOC2012'))
    .action(async (dir: string, options: CheckOptions) => (await actions()).check(dir, options));
  data
    .command('synthesize')
    .description('write the synthetic set, with masks and saliency, to disk')
    .requiredOption('--out <dir>', 'folder to write')
    .addOption(new Option('--layout <name>', 'layout').choices(['voc', 'coco']).default('voc'))
    .option('--train <n>', 'training images', '400')
    .option('--val <n>', 'validation images', '100')
    .option('--size <px>', 'side of the images', '112')
    .option('--classes <n>', 'classes, 2 to 6', '4')
    .option('--seed <n>', 'seed of the scenes', '0')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', example('auxseg data synthesize --out toys --layout coco --train 100 --val 20'))
    .action(async (options: SynthesizeCommandOptions) => (await actions()).synthesize(options));
  data
    .command('convert')
    .description('write a data set in another layout')
    .argument('<dir>', 'data set to read')
    .requiredOption('--out <dir>', 'folder to write')
    .addOption(
      new Option('--from <layout>', 'layout of <dir>').choices(['voc', 'coco', 'folder']).default('voc'),
    )
    .addOption(new Option('--to <layout>', 'layout to write').choices(['voc', 'coco']).default('voc'))
    .option('--splits <names>', 'comma-separated splits', 'train,val')
    .option('--seed <n>', 'accepted for uniformity; nothing is drawn')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      example('auxseg data convert coco --from coco --to voc --splits train2014,val2014 --out coco-as-voc'),
    )
    .action(async (dir: string, options: ConvertOptions) => (await actions()).convert(dir, options));
  data
    .command('saliency')
    .description('make saliency maps of a data set; goes on where it stopped')
    .argument('<dir>', 'data set in VOC layout')
    .requiredOption('--out <dir>', 'folder for sal/<id>.png, 8-bit grey')
    .addOption(new Option('--source <name>', 'source').choices(['unsupervised']).default('unsupervised'))
    .addOption(
      new Option('--method <name>', 'detector').choices(['mbplus', 'rbd', 'combined']).default('combined'),
    )
    .option('--split <name>', 'list of images', 'train')
    .option('--shard <i/n>', 'only every n-th image, from the i-th (1-based)', '1/1')
    .option('--workers <n>', 'worker threads (default: all cores)')
    .option('--seed <n>', 'accepted for uniformity; the detectors draw nothing')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      example('auxseg data saliency VOC2012 --split train_aug --out saliency --shard 2/8'),
    )
    .action(async (dir: string, options: SaliencyOptions) =>
      (await actions()).makeSaliency(dir, options, signal),
    );
}
