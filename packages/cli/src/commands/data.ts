import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import {
  checkData,
  type Dataset,
  openCocoDataset,
  openFolderDataset,
  openVocDataset,
  synthesizeDataset,
  writeDataset,
} from '@auxseg/datasets';
import { openLabelStore } from '@auxseg/pseudo-label';
import { createUnsupervisedSaliency, type SaliencyMethod } from '@auxseg/saliency';
import { type Command, Option } from 'commander';
import { CliUsageError } from '../cli-error.js';
import { example } from '../example.js';
import { createTerminal, formatSeconds, formatTable, type Terminal } from '../terminal.js';

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
    .action(check);
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
    .action(synthesize);
  data
    .command('convert')
    .description('write a data set in another layout')
    .argument('<dir>', 'data set to read')
    .requiredOption('--out <dir>', 'folder to write')
    .addOption(new Option('--from <layout>', 'layout of <dir>').choices(['voc', 'coco', 'folder']).default('voc'))
    .addOption(new Option('--to <layout>', 'layout to write').choices(['voc', 'coco']).default('voc'))
    .option('--splits <names>', 'comma-separated splits', 'train,val')
    .option('--seed <n>', 'accepted for uniformity; nothing is drawn')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', example('auxseg data convert coco --from coco --to voc --splits train2014,val2014 --out coco-as-voc'))
    .action(convert);
  data
    .command('saliency')
    .description('make saliency maps of a data set; goes on where it stopped')
    .argument('<dir>', 'data set in VOC layout')
    .requiredOption('--out <dir>', 'folder for sal/<id>.png, 8-bit grey')
    .addOption(new Option('--source <name>', 'source').choices(['unsupervised']).default('unsupervised'))
    .addOption(new Option('--method <name>', 'detector').choices(['mbplus', 'rbd', 'combined']).default('combined'))
    .option('--split <name>', 'list of images', 'train')
    .option('--shard <i/n>', 'only every n-th image, from the i-th (1-based)', '1/1')
    .option('--workers <n>', 'worker threads (default: all cores)')
    .option('--seed <n>', 'accepted for uniformity; the detectors draw nothing')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', example('auxseg data saliency VOC2012 --split train_aug --out saliency --shard 2/8'))
    .action((dir: string, options: SaliencyOptions) => makeSaliency(dir, options, signal));
}

/** Progress with the time left, from counts. */
function progressOf(terminal: Terminal, label: string): (done: number, total: number) => void {
  const started = performance.now();
  return (done, total) => {
    const each = (performance.now() - started) / 1000 / Math.max(1, done);
    terminal.progress(label, done, total, each * (total - done), `${(1 / each).toFixed(0)} images/s`);
  };
}

async function check(dir: string, options: { splits?: string; workers?: string; json?: boolean }): Promise<void> {
  const terminal = createTerminal({ json: options.json === true });
  const report = await checkData({
    root: dir,
    splits: options.splits?.split(','),
    workers: options.workers === undefined ? availableParallelism() : Number(options.workers),
    onProgress: progressOf(terminal, 'check'),
  });
  terminal.printJson(report);
  const splits = Object.keys(report.splits);
  terminal.print(`${report.layout} layout, ${report.imagesRead} images read`);
  terminal.print(
    formatTable(
      ['images with class', ...splits],
      [
        ...report.classes.map((name, k) => [name, ...splits.map((split) => String(report.classFrequency[split]?.[k] ?? 0))]),
        ['all', ...splits.map((split) => String(report.splits[split]))],
      ],
    ),
  );
  for (const { severity, message, repair, count, examples } of report.findings) {
    terminal.print(`\n${severity}: ${message} (${count})`);
    for (const place of examples.slice(0, 5)) terminal.print(`  ${place}`);
    if (count > 5) terminal.print(`  and ${count - Math.min(5, examples.length)} more`);
    terminal.print(`  Repair: ${repair}`);
  }
  terminal.print(report.findings.length === 0 ? '\nNothing found.' : report.ok ? '\nNo errors.' : '\nErrors found.');
  if (!report.ok) process.exitCode = 1;
}

async function synthesize(options: {
  out: string;
  layout: 'voc' | 'coco';
  train: string;
  val: string;
  size: string;
  classes: string;
  seed: string;
  json?: boolean;
}): Promise<void> {
  const terminal = createTerminal({ json: options.json === true });
  const result = await synthesizeDataset({
    out: options.out,
    layout: options.layout,
    counts: { train: Number(options.train), val: Number(options.val) },
    size: Number(options.size),
    classes: Number(options.classes),
    seed: Number(options.seed),
    onProgress: progressOf(terminal, 'synthesize'),
  });
  terminal.printJson({ ...result, out: options.out });
  terminal.print(`${result.images} images and ${result.masks} masks in ${options.out} (${options.layout} layout)`);
}

async function convert(
  dir: string,
  options: { out: string; from: string; to: 'voc' | 'coco'; splits: string; json?: boolean },
): Promise<void> {
  const terminal = createTerminal({ json: options.json === true });
  const splits: Record<string, Dataset> = {};
  for (const split of options.splits.split(',')) splits[split] = await open(dir, options.from, split);
  const result = await writeDataset({ splits, out: options.out, layout: options.to, onProgress: progressOf(terminal, 'convert') });
  terminal.printJson({ ...result, out: options.out });
  terminal.print(`${result.images} images and ${result.masks} masks in ${options.out} (${options.to} layout)`);
  if (result.ignoredPixelsLost > 0) {
    terminal.print(`${result.ignoredPixelsLost} ignored pixels became background: COCO has no such label.`);
  }
}

function open(root: string, layout: string, split: string): Promise<Dataset> {
  if (layout === 'coco') {
    return openCocoDataset({ annotations: join(root, 'annotations', `instances_${split}.json`), images: join(root, split) });
  }
  return layout === 'folder' ? openFolderDataset({ root, split }) : openVocDataset({ root, split });
}

interface SaliencyOptions {
  out: string;
  method: SaliencyMethod;
  split: string;
  shard: string;
  workers?: string;
  json?: boolean;
}

async function makeSaliency(dir: string, options: SaliencyOptions, signal: AbortSignal): Promise<void> {
  const terminal = createTerminal({ json: options.json === true });
  const match = /^(\d+)\/(\d+)$/.exec(options.shard);
  const [shard, shards] = match ? [Number(match[1]), Number(match[2])] : [0, 0];
  if (shard < 1 || shard > shards) {
    throw new CliUsageError(`Expected --shard i/n with i from 1 to n, for example 2/8, got '${options.shard}'.`);
  }
  const workers = options.workers === undefined ? availableParallelism() : Number(options.workers);
  const dataset = await openVocDataset({ root: dir, split: options.split, labelsFrom: 'none' });
  const source = createUnsupervisedSaliency({ method: options.method, workers });
  const store = openLabelStore(options.out);
  const ids = dataset.ids.filter((_, index) => index % shards === shard - 1);
  const started = performance.now();
  const progress = progressOf(terminal, 'saliency');
  let next = 0;
  let made = 0;
  let skipped = 0;
  const lane = async () => {
    while (next < ids.length) {
      signal.throwIfAborted();
      const id = ids[next++];
      if (await store.has(id, 'saliency')) skipped++;
      else {
        const { image } = await dataset.sample(id);
        await store.writeSaliency(id, await source.map({ id, image }));
        made++;
      }
      progress(made + skipped, ids.length);
    }
  };
  try {
    await Promise.all(Array.from({ length: workers + 2 }, lane));
  } finally {
    await source.close?.();
  }
  const seconds = (performance.now() - started) / 1000;
  terminal.printJson({ images: ids.length, made, skipped, seconds, out: options.out });
  terminal.print(`${made} maps in ${join(options.out, 'sal')}${skipped ? ` (${skipped} were there)` : ''}, ${formatSeconds(seconds)}`);
}
