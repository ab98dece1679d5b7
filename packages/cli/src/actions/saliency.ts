import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve, sep } from 'node:path';
import { type PresetName, resolveRecipe, type SaliencySettings } from '@auxseg/auxsegnet';
import { openSaliencySource, RunDirectory, recipeDifferences } from '@auxseg/auxsegnet/pipeline';
import { createDenseCrf } from '@auxseg/crf';
import {
  type Dataset,
  DatasetError,
  imageIdOf,
  listImageFiles,
  mapConcurrently,
  readImage,
  recogniseLayout,
} from '@auxseg/datasets';
import { type LabelStore, openLabelStore } from '@auxseg/pseudo-label';
import { type FileSaliencyNotice, refineSaliency, SaliencyError } from '@auxseg/saliency';
import { CliUsageError } from '../cli-error.js';
import { type Layout, openSplit } from '../open-split.js';
import { progressOf } from '../progress.js';
import { createTerminal, formatSeconds } from '../terminal.js';

/** Options of `auxseg data saliency`. */
export interface SaliencyOptions {
  out: string;
  source: string;
  from?: Layout | 'images';
  split?: string;
  method?: string;
  maps?: string;
  suffix?: string;
  scale?: string;
  weights?: string;
  longSide?: number;
  backend?: string;
  value?: number;
  of?: string[];
  rule?: string;
  crf?: boolean;
  shard: string;
  workers?: number;
  json?: boolean;
}

/** The source that reads an option; beside others it would be without effect. */
const sourceOf = {
  method: 'unsupervised',
  maps: 'files',
  suffix: 'files',
  scale: 'files',
  weights: 'prediction',
  longSide: 'prediction',
  backend: 'prediction',
  value: 'constant',
  of: 'combine',
  rule: 'combine',
} as const;

const methods = ['mbplus', 'rbd', 'combined'];
const parts = [...methods, 'files', 'prediction', 'constant', 'oracle'];

/** Failures that are listed; a folder of wrong maps has one for each image. */
const FAILURES_SHOWN = 20;

/** Makes saliency maps of a data set; maps that are there are kept, so a stopped command goes on. */
export async function makeSaliency(
  dir: string,
  options: SaliencyOptions,
  signal: AbortSignal,
): Promise<void> {
  const terminal = createTerminal({ json: options.json === true });
  const [shard, shards] = parseShard(options.shard);
  const { out, workers = availableParallelism(), longSide } = options;
  const settings = settingsOf(options);
  const used = (settings.sources ?? [settings]).map(({ source }) => source);
  const dataset = await openImages(dir, options, used.includes('oracle'));
  const store = openLabelStore(out);
  await claimFolder(store, { saliency: settings, crf: options.crf === true, longSide: longSide ?? null });
  if (used.includes('prediction')) {
    // Started here only: no other source computes with tensors.
    const { useBackend } = await import('@auxseg/runtime');
    const backend = await useBackend((options.backend ?? 'auto') as 'auto');
    terminal.note(`backend ${backend.name}: ${backend.reason}`);
  }
  const notices = new Map<FileSaliencyNotice['kind'], { count: number; first: string }>();
  const plain = openSaliencySource(settings, {
    dataset,
    longSidePx: longSide,
    workers,
    onNotice({ kind, message }) {
      const notice = notices.get(kind) ?? { count: 0, first: message };
      notice.count++;
      notices.set(kind, notice);
    },
  });
  const crf = options.crf ? await createDenseCrf() : null;
  const source = crf ? refineSaliency(plain, { crf }) : plain;
  const ids = dataset.ids.filter((_, index) => index % shards === shard - 1);
  const started = performance.now();
  const progress = progressOf(terminal, 'saliency');
  const failed: { id: string; reason: string }[] = [];
  let made = 0;
  let skipped = 0;
  try {
    // Two more than threads, so that reading and writing files hides behind the work.
    await mapConcurrently(ids, workers + 2, async (id) => {
      signal.throwIfAborted();
      if (await store.has(id, 'saliency')) skipped++;
      else {
        try {
          const { image } = await dataset.sample(id);
          await store.writeSaliency(id, await source.map({ id, image }));
          made++;
        } catch (error) {
          // A photograph or a map of it that cannot be read: the others need not wait for it.
          if (!(error instanceof DatasetError || error instanceof SaliencyError)) throw error;
          failed.push({ id, reason: error.message });
        }
      }
      progress(made + skipped + failed.length, ids.length, skipped);
    });
  } finally {
    await source.close?.();
    crf?.dispose();
  }
  const seconds = (performance.now() - started) / 1000;
  const said = Object.fromEntries([...notices].map(([kind, { count }]) => [kind, count]));
  terminal.printJson({
    source: source.name,
    images: ids.length,
    made,
    skipped,
    failed,
    seconds,
    out,
    notices: said,
  });
  terminal.print(
    `${made} maps of ${source.name} in ${join(out, 'sal')}${skipped ? ` (${skipped} more were there)` : ''}, ${formatSeconds(seconds)}`,
  );
  for (const { count, first } of notices.values())
    terminal.print(`${count === 1 ? 'Note' : `${count} files, for example`}: ${first}`);
  if (failed.length === 0) return;
  terminal.print(`${failed.length} images without a map; repair them and give the same command again:`);
  for (const { reason } of failed.slice(0, FAILURES_SHOWN)) terminal.print(`  ${reason}`);
  if (failed.length > FAILURES_SHOWN) terminal.print(`  and ${failed.length - FAILURES_SHOWN} more`);
  process.exitCode = 1;
}

/** Maps of one folder are of one source: its settings lie beside them, and others are refused. */
async function claimFolder(store: LabelStore, settings: object): Promise<void> {
  const directory = new RunDirectory(store.dir);
  const file = 'saliency.json';
  if (await directory.has(file)) {
    const differences = recipeDifferences(await directory.readJson(file), settings);
    if (differences.length === 0) return;
    throw new CliUsageError(
      `Expected --out ${store.dir} to be empty or to hold maps of the same settings; they were made with other values of ${differences.join(', ')}. Choose another --out, or delete the folder to start over.`,
      { differences },
    );
  }
  if ((await store.ids('saliency')).length > 0)
    throw new CliUsageError(
      `Expected --out ${store.dir} to be empty or to hold maps of the same settings; it holds maps without ${file}, which tells their settings. Choose another --out, or delete the folder to start over.`,
    );
  await directory.writeJson(file, settings);
}

function parseShard(text: string): [number, number] {
  const match = /^(\d+)\/(\d+)$/.exec(text);
  const [shard, shards] = match ? [Number(match[1]), Number(match[2])] : [0, 0];
  if (shard < 1 || shard > shards)
    throw new CliUsageError(`Expected --shard i/n with i from 1 to n, for example 2/8, got '${text}'.`);
  return [shard, shards];
}

/** The `saliency` section that a recipe would have, so that the same checks and words apply. */
function settingsOf(options: SaliencyOptions): SaliencySettings {
  const { source, method, maps, suffix, scale, weights, value, of, rule } = options;
  const used = source === 'combine' ? [source, ...(of ?? [])] : [source];
  for (const [option, owner] of Object.entries(sourceOf)) {
    if (options[option as keyof typeof sourceOf] === undefined || used.includes(owner)) continue;
    const flag = option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw new CliUsageError(
      `Expected --${flag} only with the source ${owner}, got ${used.join(', ')}. Add --source ${owner}, or leave it out.`,
    );
  }
  const need = <T>(given: T | undefined, flag: string, what: string): T => {
    if (given === undefined) throw new CliUsageError(`Expected ${flag} (${what}) with this source.`);
    return given;
  };
  const needPath = (given: string | undefined, flag: string, what: string): string => {
    const path = resolve(need(given, flag, what));
    if (!existsSync(path)) throw new CliUsageError(`Expected ${flag} (${what}) at ${path}, found nothing.`);
    return path;
  };
  const plain = (name: string): object => {
    if (methods.includes(name)) return { source: 'unsupervised', method: name };
    switch (name) {
      case 'unsupervised':
        return { source: name, method };
      case 'files':
        return {
          source: name,
          directory: needPath(maps, '--maps', 'a folder of <id>.png'),
          suffix,
          scale,
        };
      case 'prediction':
        return { source: name, weights: needPath(weights, '--weights', 'model.safetensors of a stage') };
      case 'constant':
        return { source: name, value };
      default:
        return { source: name };
    }
  };
  const combined = (): object => {
    const names = need(of, '--of', 'such as mbplus,files');
    const unknown = names.find((name) => !parts.includes(name));
    if (unknown !== undefined)
      throw new CliUsageError(`Expected --of to name some of ${parts.join(', ')}, got '${unknown}'.`);
    return { source, rule, sources: names.map(plain) };
  };
  const section = source === 'combine' ? combined() : plain(source);
  return resolveRecipe(
    { preset: 'tiny' satisfies PresetName, saliency: section },
    { source: 'the command line' },
  ).saliency;
}

/** The images of a data set or of a plain folder. Labels are not needed, only what a split or the masks take from them. */
async function openImages(dir: string, options: SaliencyOptions, masks: boolean): Promise<Dataset> {
  const { from, split } = options;
  const layout = from ?? (await recogniseLayout(dir));
  if (layout === 'coco' && split === undefined)
    throw new CliUsageError('Expected --split with a COCO data set, for example --split train2017.');
  if (layout === 'images' || (layout === 'folder' && split === undefined && !masks))
    return openPlainFolder(dir, options);
  return openSplit(dir, layout, split, { labels: false });
}

/** Every image below `dir`; of an own folder those of its `images`, where there is one, without `masks`. Ids are those of the data set. */
async function openPlainFolder(dir: string, { from, out, split }: SaliencyOptions): Promise<Dataset> {
  if (split !== undefined)
    throw new CliUsageError(`Expected no --split with --from images, got ${split}: plain images have none.`);
  const own = from !== 'images';
  const root = resolve(dir, own && existsSync(join(dir, 'images')) ? 'images' : '.');
  const leftOut = [resolve(out, 'sal'), ...(own ? [join(root, 'masks')] : [])];
  const files = new Map<string, string>();
  for (const path of await listImageFiles(root)) {
    const file = join(root, path);
    if (leftOut.some((folder) => file.startsWith(folder + sep))) continue;
    const id = imageIdOf(path);
    const other = files.get(id);
    if (other !== undefined)
      throw new CliUsageError(
        `Expected one image of each name, got ${other} and ${file}: both maps would be ${id}.png. Rename one of them or take it away.`,
      );
    files.set(id, file);
  }
  if (files.size === 0) throw new CliUsageError(`Expected .jpg, .png or .webp files in ${root}, found none.`);
  const labels = new Uint8Array(0);
  return {
    classes: [],
    ids: [...files.keys()],
    imageLabels: () => labels,
    sample: async (id) => ({ id, image: await readImage(files.get(id) as string), labels }),
  };
}
