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
import { CliUsageError } from '../cli-error.js';
import { createTerminal, formatSeconds, formatTable, type Terminal } from '../terminal.js';

/** Progress with the time left, from counts. */
function progressOf(terminal: Terminal, label: string): (done: number, total: number) => void {
  const started = performance.now();
  return (done, total) => {
    const each = (performance.now() - started) / 1000 / Math.max(1, done);
    terminal.progress(label, done, total, each * (total - done), `${(1 / each).toFixed(0)} images/s`);
  };
}

/** Options of `auxseg data check`. */
export interface CheckOptions {
  splits?: string;
  workers?: string;
  json?: boolean;
}

/** Reads a data set once and prints what is wrong with it. */
export async function check(dir: string, options: CheckOptions): Promise<void> {
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
        ...report.classes.map((name, k) => [
          name,
          ...splits.map((split) => String(report.classFrequency[split]?.[k] ?? 0)),
        ]),
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
  terminal.print(
    report.findings.length === 0 ? '\nNothing found.' : report.ok ? '\nNo errors.' : '\nErrors found.',
  );
  if (!report.ok) process.exitCode = 1;
}

/** Options of `auxseg data synthesize`. */
export interface SynthesizeCommandOptions {
  out: string;
  layout: 'voc' | 'coco';
  train: string;
  val: string;
  size: string;
  classes: string;
  seed: string;
  json?: boolean;
}

/** Writes the synthetic set. */
export async function synthesize(options: SynthesizeCommandOptions): Promise<void> {
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
  terminal.print(
    `${result.images} images and ${result.masks} masks in ${options.out} (${options.layout} layout)`,
  );
}

/** Options of `auxseg data convert`. */
export interface ConvertOptions {
  out: string;
  from: string;
  to: 'voc' | 'coco';
  splits: string;
  json?: boolean;
}

/** Writes a data set in another layout. */
export async function convert(dir: string, options: ConvertOptions): Promise<void> {
  const terminal = createTerminal({ json: options.json === true });
  const splits: Record<string, Dataset> = {};
  for (const split of options.splits.split(',')) splits[split] = await open(dir, options.from, split);
  const result = await writeDataset({
    splits,
    out: options.out,
    layout: options.to,
    onProgress: progressOf(terminal, 'convert'),
  });
  terminal.printJson({ ...result, out: options.out });
  terminal.print(
    `${result.images} images and ${result.masks} masks in ${options.out} (${options.to} layout)`,
  );
  if (result.ignoredPixelsLost > 0) {
    terminal.print(`${result.ignoredPixelsLost} ignored pixels became background: COCO has no such label.`);
  }
}

function open(root: string, layout: string, split: string): Promise<Dataset> {
  if (layout === 'coco') {
    return openCocoDataset({
      annotations: join(root, 'annotations', `instances_${split}.json`),
      images: join(root, split),
    });
  }
  return layout === 'folder' ? openFolderDataset({ root, split }) : openVocDataset({ root, split });
}

/** Options of `auxseg data saliency`. */
export interface SaliencyOptions {
  out: string;
  method: SaliencyMethod;
  split: string;
  shard: string;
  workers?: string;
  json?: boolean;
}

/** Makes saliency maps of a data set. */
export async function makeSaliency(
  dir: string,
  options: SaliencyOptions,
  signal: AbortSignal,
): Promise<void> {
  const terminal = createTerminal({ json: options.json === true });
  const match = /^(\d+)\/(\d+)$/.exec(options.shard);
  const [shard, shards] = match ? [Number(match[1]), Number(match[2])] : [0, 0];
  if (shard < 1 || shard > shards) {
    throw new CliUsageError(
      `Expected --shard i/n with i from 1 to n, for example 2/8, got '${options.shard}'.`,
    );
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
  terminal.print(
    `${made} maps in ${join(options.out, 'sal')}${skipped ? ` (${skipped} were there)` : ''}, ${formatSeconds(seconds)}`,
  );
}
