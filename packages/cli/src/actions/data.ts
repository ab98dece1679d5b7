import { readFile, realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import {
  checkData,
  type DataReport,
  parsePalette,
  recogniseLayout,
  repairMasks,
  synthesizeDataset,
  writeDataset,
} from '@auxseg/datasets';
import { CliUsageError } from '../cli-error.js';
import { type Layout, listSplits, openSplit } from '../open-split.js';
import { progressOf } from '../progress.js';
import { createTerminal, formatTable } from '../terminal.js';

/** Options of `auxseg data check`. */
export interface CheckOptions {
  splits?: string[];
  workers?: number;
  json?: boolean;
}

/** Reads a data set once and prints what is wrong with it. */
export async function check(dir: string, options: CheckOptions, signal: AbortSignal): Promise<void> {
  const terminal = createTerminal({ json: options.json === true });
  const report = await checkData({
    root: dir,
    splits: options.splits,
    workers: options.workers,
    onProgress: progressOf(terminal, 'check'),
    signal,
  });
  terminal.printJson(report);
  terminal.print(`${report.layout} layout, ${report.imagesRead} images read`);
  if (report.classes.length > 0) {
    terminal.print(classTable(report));
    const together = coOccurrenceTable(report);
    if (together !== '') terminal.print(`\n${together}`);
  }
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

/** Images of each split with each class, and the class's share of the mask pixels. */
function classTable({ classes, splits, classFrequency, pixelFrequency }: DataReport): string {
  const names = Object.keys(splits);
  const share = (v: number) =>
    pixelFrequency.length > 0 ? [`${(100 * pixelFrequency[v]).toFixed(1)}%`] : [];
  return formatTable(
    ['images with class', ...names, ...(pixelFrequency.length > 0 ? ['mask pixels'] : [])],
    [
      ...classes.map((name, k) => [
        name,
        ...names.map((split) => String(classFrequency[split]?.[k] ?? 0)),
        ...share(k + 1),
      ]),
      ['all images, background', ...names.map((split) => String(splits[split])), ...share(0)],
    ],
  );
}

/** A matrix of more columns than this does not fit a terminal. */
const MATRIX_CLASSES = 12;
const PAIRS = 15;

/** Images that hold both classes: a matrix, or where there are many classes the most frequent pairs, '' without any. */
function coOccurrenceTable({ classes, coOccurrence }: DataReport): string {
  if (classes.length <= MATRIX_CLASSES) {
    return formatTable(
      ['images with both', ...classes],
      classes.map((name, k) => [name, ...coOccurrence[k].map(String)]),
    );
  }
  const pairs: [string, number][] = [];
  for (let a = 0; a < classes.length; a++)
    for (let b = a + 1; b < classes.length; b++)
      if (coOccurrence[a][b] > 0) pairs.push([`${classes[a]} + ${classes[b]}`, coOccurrence[a][b]]);
  if (pairs.length === 0) return '';
  pairs.sort((p, q) => q[1] - p[1]);
  return formatTable(
    ['most frequent pairs', 'images'],
    pairs.slice(0, PAIRS).map(([name, n]) => [name, String(n)]),
  );
}

/** Options of `auxseg data synthesize`. */
export interface SynthesizeCommandOptions {
  out: string;
  layout: Layout;
  train: number;
  val: number;
  size: number;
  classes: number;
  seed: number;
  json?: boolean;
}

/** Writes the synthetic set. */
export async function synthesize(options: SynthesizeCommandOptions): Promise<void> {
  const terminal = createTerminal({ json: options.json === true });
  const { out, layout, train, val, size, classes, seed } = options;
  const result = await synthesizeDataset({
    out,
    layout,
    counts: { train, val },
    size,
    classes,
    seed,
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
  from?: Layout;
  to: Layout;
  splits?: string[];
  include?: 'labelled' | 'all';
  repairMasks?: boolean;
  palette?: string;
  json?: boolean;
}

/** Writes a data set in another layout, or its masks as class indices. */
export async function convert(dir: string, options: ConvertOptions): Promise<void> {
  if (options.repairMasks) return repair(dir, options);
  if (options.palette !== undefined)
    throw new CliUsageError('Expected --palette only together with --repair-masks.');
  const { out, to, include } = options;
  const places = await Promise.all([dir, out].map((path) => realpath(path).catch(() => resolve(path))));
  if (places[0] === places[1])
    throw new CliUsageError(
      `Expected --out to be another folder than the data, got ${out} for both: its labels would be overwritten. Choose a new folder.`,
    );
  const terminal = createTerminal({ json: options.json === true });
  const layout = options.from ?? (await recogniseLayout(dir));
  if (include !== undefined && layout !== 'coco')
    throw new CliUsageError(`Expected --include only with data in COCO layout, this is ${layout}.`);
  const { names, inNone } = options.splits
    ? { names: options.splits, inNone: 0 }
    : await listSplits(dir, layout);
  const splits: Record<string, Awaited<ReturnType<typeof openSplit>>> = {};
  for (const name of names) splits[name] = await openSplit(dir, layout, name, { include });
  if (names.length === 0) {
    terminal.note("The data has no splits: all of it becomes 'train'.");
    splits['train'] = await openSplit(dir, layout);
  } else if (inNone > 0) terminal.note(`${inNone} images are in no split: left out.`);
  const leftOut = Object.values(splits).reduce((n, split) => n + (split.leftOut ?? 0), 0);
  if (leftOut > 0)
    terminal.note(
      `${leftOut} images have no region, or crowds alone: left out (--include all takes them, without labels).`,
    );
  const result = await writeDataset({
    splits,
    out,
    layout: to,
    onProgress: progressOf(terminal, 'convert'),
  });
  terminal.printJson({ ...result, splits: Object.keys(splits), leftOut, out });
  const { images, masks, unlabelled, labelsLost, ignoredPixelsLost } = result;
  terminal.print(
    `${images} images and ${masks} masks in ${out} (${to} layout, ${Object.keys(splits).join(', ')})`,
  );
  if (unlabelled > 0 && to === 'coco')
    terminal.print(`${unlabelled} images have no region: readers leave them out unless told to include all.`);
  if (labelsLost > 0)
    terminal.print(
      `${labelsLost} labels of classes that the masks do not show are lost: COCO has only regions.`,
    );
  if (ignoredPixelsLost > 0)
    terminal.print(`${ignoredPixelsLost} ignored pixels became background: COCO has no such label.`);
}

async function repair(dir: string, options: ConvertOptions): Promise<void> {
  const terminal = createTerminal({ json: options.json === true });
  const { palette } = options;
  const text =
    palette === undefined
      ? undefined
      : await readFile(palette, 'utf8').catch((cause) => {
          throw new CliUsageError(`Expected a list of colours at ${palette}, got ${cause.code}.`);
        });
  const result = await repairMasks({
    root: dir,
    out: options.out,
    palette: text === undefined ? undefined : parsePalette(text, palette as string),
    onProgress: progressOf(terminal, 'repair', 'masks'),
  });
  terminal.printJson({ ...result, out: options.out });
  const { masks, repaired, unchanged, failed } = result;
  terminal.print(
    `${masks} masks: ${repaired} written as class indices with a palette, ${unchanged} were so already, ${failed.length} could not be repaired; in ${options.out}`,
  );
  for (const { reason } of failed.slice(0, 20)) terminal.print(`  ${reason}`);
  if (failed.length > 20) terminal.print(`  and ${failed.length - 20} more`);
  if (failed.length > 0) process.exitCode = 1;
}
