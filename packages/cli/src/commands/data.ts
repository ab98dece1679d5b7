import { type Command, Option } from 'commander';
import type { CheckOptions, ConvertOptions, SynthesizeCommandOptions } from '../actions/data.js';
import type { SaliencyOptions } from '../actions/saliency.js';
import { example } from '../example.js';
import { nameList, numberIn, wholeNumber } from '../option-values.js';
import { backendOption } from './backend-option.js';

const actions = () => import('../actions/data.js');

/** `data check | synthesize | convert | saliency`. */
export function addDataCommands(program: Command, signal: AbortSignal): void {
  const data = program.command('data').description('check, make and convert data sets; make saliency maps');
  data
    .command('check')
    .description('read everything once and report what is wrong and how to repair it; exit code 1 on errors')
    .argument('<dir>', 'data set: VOC layout, COCO layout, or own folder')
    .option('--splits <names>', 'comma-separated splits to check (default: all)', nameList)
    .option('--workers <n>', 'worker threads, 0 = none (default: all cores)', wholeNumber(0, 64))
    .option('--seed <n>', 'accepted for uniformity; nothing is drawn')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', example('auxseg data check VOCdevkit/VOC2012'))
    .action(async (dir: string, options: CheckOptions) => (await actions()).check(dir, options, signal));
  data
    .command('synthesize')
    .description('write the synthetic set, with masks and saliency, to disk')
    .requiredOption('--out <dir>', 'folder to write')
    .addOption(new Option('--layout <name>', 'layout').choices(['voc', 'coco', 'folder']).default('voc'))
    .option('--train <n>', 'training images', wholeNumber(1, 1e6), 400)
    .option('--val <n>', 'validation images', wholeNumber(1, 1e6), 100)
    .option('--size <px>', 'side of the images', wholeNumber(32, 4096), 96)
    .option('--classes <n>', 'classes, 2 to 6', wholeNumber(2, 6), 4)
    .option('--seed <n>', 'seed of the scenes', wholeNumber(), 0)
    .option('--json', 'print the result as JSON')
    .addHelpText('after', example('auxseg data synthesize --out toys --layout coco --train 100 --val 20'))
    .action(async (options: SynthesizeCommandOptions) => (await actions()).synthesize(options));
  data
    .command('convert')
    .description('write a data set in another layout, or with --repair-masks its masks as class indices')
    .argument('<dir>', 'data set to read, or a folder of masks to repair')
    .requiredOption('--out <dir>', 'folder to write')
    .addOption(
      new Option('--from <layout>', 'layout of <dir> (default: recognised)').choices([
        'voc',
        'coco',
        'folder',
      ]),
    )
    .addOption(
      new Option('--to <layout>', 'layout to write').choices(['voc', 'coco', 'folder']).default('voc'),
    )
    .option('--splits <names>', 'comma-separated splits (default: all that the data has)', nameList)
    .addOption(
      new Option(
        '--include <which>',
        'COCO: labelled leaves out images without a region that is no crowd, all keeps them (default: labelled)',
      ).choices(['labelled', 'all']),
    )
    .option(
      '--repair-masks',
      'write RGB, RGBA, 16-bit and black-looking masks as palette PNGs of class indices; nothing else is written',
    )
    .option(
      '--palette <file>',
      'colours of RGB masks, one "r g b" on each line, background first (default: VOC)',
    )
    .option('--seed <n>', 'accepted for uniformity; nothing is drawn')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      example(
        'auxseg data convert coco --from coco --to voc --splits train2014,val2014 --out coco-as-voc',
        'auxseg data convert my-data --repair-masks --palette colours.txt --out my-data-repaired',
      ),
    )
    .action(async (dir: string, options: ConvertOptions) => (await actions()).convert(dir, options));
  data
    .command('saliency')
    .description('make saliency maps of a data set; goes on where it stopped')
    .argument('<dir>', 'data set in VOC or COCO layout, own folder, or any folder of images')
    .requiredOption('--out <dir>', 'folder for sal/<id>.png, 8-bit grey, and saliency.json, what made them')
    .addOption(
      new Option('--source <name>', 'where the maps come from')
        .choices(['unsupervised', 'files', 'prediction', 'constant', 'combine', 'oracle'])
        .default('unsupervised'),
    )
    .addOption(
      new Option('--method <name>', 'unsupervised: detector (default: combined)').choices([
        'mbplus',
        'rbd',
        'combined',
      ]),
    )
    .option('--maps <dir>', 'files: folder of <id>.png or .jpg, grey or colour, resized to the images')
    .option('--suffix <text>', 'files: what follows the id in file names, for example _sal')
    .addOption(
      new Option('--scale <name>', 'files: value / 255, or each map stretched').choices(['255', 'min-max']),
    )
    .option('--weights <file>', 'prediction: model.safetensors that a stage of a run wrote')
    .option(
      '--long-side <px>',
      'prediction: working resolution, 0 = keep (default: what the network was trained with)',
      wholeNumber(0),
    )
    .addOption(backendOption('prediction: backend (default: auto)'))
    .option('--value <v>', 'constant: 0 to 1 (default: 0.5)', numberIn(0, 1))
    .option(
      '--of <names>',
      'combine: comma-separated mbplus, rbd, combined, files, prediction, constant, oracle',
      nameList,
    )
    .addOption(
      new Option('--rule <name>', 'combine: how maps are merged (default: mean)').choices([
        'mean',
        'max',
        'product',
      ]),
    )
    .option('--crf', 'sharpen the maps with a dense CRF')
    .addOption(
      new Option('--from <layout>', 'layout of <dir> (default: recognised)').choices([
        'voc',
        'coco',
        'folder',
        'images',
      ]),
    )
    .option('--split <name>', 'list or split of images (default: train in VOC layout, all of an own folder)')
    .option('--shard <i/n>', 'only every n-th image, from the i-th (1-based)', '1/1')
    .option('--workers <n>', 'worker threads (default: all cores)', wholeNumber(0))
    .option('--seed <n>', 'accepted for uniformity; the sources draw nothing')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      example(
        'auxseg data saliency VOC2012 --split train_aug --out saliency --shard 2/8',
        'auxseg data saliency photos --source prediction --weights runs/voc-animals/stage-3/model.safetensors --out maps',
        'auxseg data saliency VOC2012 --source combine --of combined,files --maps dss --rule mean --out merged',
      ),
    )
    .action(async (dir: string, options: SaliencyOptions) =>
      (await import('../actions/saliency.js')).makeSaliency(dir, options, signal),
    );
}
