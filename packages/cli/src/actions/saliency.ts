import { readdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { extname, join, resolve, sep } from 'node:path';
import { type PresetName, resolveRecipe, type SaliencySettings } from '@auxseg/auxsegnet';
import { openSaliencySource } from '@auxseg/auxsegnet/pipeline';
import { createDenseCrf } from '@auxseg/crf';
import { type Dataset, DatasetError, mapConcurrently, readImage, recogniseLayout } from '@auxseg/datasets';
import { openLabelStore } from '@auxseg/pseudo-label';
import { type FileSaliencyNotice, refineSaliency } from '@auxseg/saliency';
import { CliUsageError } from '../cli-error.js';
import { openSplit } from '../open-split.js';
import { progressOf } from '../progress.js';
import { createTerminal, formatSeconds } from '../terminal.js';

/** Options of `auxseg data saliency`. */
export interface SaliencyOptions {
  out: string;
  source: string;
  from?: 'voc' | 'coco' | 'folder' | 'images';
  split?: string;
  method: string;
  maps?: string;
  suffix?: string;
  scale?: string;
  weights?: string;
  longSide?: string;
  backend?: string;
  value: string;
  of?: string;
  rule: string;
  crf?: boolean;
  shard: string;
  workers?: string;
  json?: boolean;
}

const methods = ['mbplus', 'rbd', 'combined'];

/** Makes saliency maps of a data set; maps that are there are kept, so a stopped command goes on. */
export async function makeSaliency(
  dir: string,
  options: SaliencyOptions,
  signal: AbortSignal,
): Promise<void> {
  const terminal = createTerminal({ json: options.json === true });
  const [shard, shards] = parseShard(options.shard);
  const workers = options.workers === undefined ? availableParallelism() : Number(options.workers);
  if (!Number.isInteger(workers) || workers < 0)
    throw new CliUsageError(`Expected --workers to be an integer >= 0, got '${options.workers}'.`);
  const settings = settingsOf(options);
  const used = settings.sources ?? [settings];
  const dataset = await openImages(dir, options);
  if (used.some(({ source }) => source === 'prediction')) {
    // Started here only: no other source computes with tensors.
    const { useBackend } = await import('@auxseg/runtime');
    const backend = await useBackend((options.backend ?? 'auto') as 'auto');
    terminal.note(`backend ${backend.name}: ${backend.reason}`);
  }
  const notices = new Map<FileSaliencyNotice['kind'], { count: number; first: string }>();
  const plain = openSaliencySource(settings, {
    dataset,
    longSidePx: options.longSide === undefined ? undefined : Number(options.longSide),
    workers,
    onNotice({ kind, message }) {
      const notice = notices.get(kind) ?? { count: 0, first: message };
      notice.count++;
      notices.set(kind, notice);
    },
  });
  const crf = options.crf ? await createDenseCrf() : null;
  const source = crf ? refineSaliency(plain, { crf }) : plain;
  const store = openLabelStore(options.out);
  const ids = dataset.ids.filter((_, index) => index % shards === shard - 1);
  const started = performance.now();
  const progress = progressOf(terminal, 'saliency');
  let made = 0;
  let skipped = 0;
  try {
    // Two more than threads, so that reading and writing files hides behind the work.
    await mapConcurrently(ids, workers + 2, async (id) => {
      signal.throwIfAborted();
      if (await store.has(id, 'saliency')) skipped++;
      else {
        const { image } = await dataset.sample(id);
        await store.writeSaliency(id, await source.map({ id, image }));
        made++;
      }
      progress(made + skipped, ids.length, skipped);
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
    seconds,
    out: options.out,
    notices: said,
  });
  terminal.print(
    `${made} maps of ${source.name} in ${join(options.out, 'sal')}${skipped ? ` (${skipped} more were there)` : ''}, ${formatSeconds(seconds)}`,
  );
  for (const { count, first } of notices.values())
    terminal.print(`${count === 1 ? 'Note' : `${count} files, for example`}: ${first}`);
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
  const need = (given: string | undefined, flag: string, what: string) => {
    if (given === undefined) throw new CliUsageError(`Expected ${flag} (${what}) with this source.`);
    return given;
  };
  const plain = (name: string): object => {
    if (methods.includes(name)) return { source: 'unsupervised', method: name };
    switch (name) {
      case 'unsupervised':
        return { source: name, method };
      case 'files':
        return {
          source: name,
          directory: resolve(need(maps, '--maps', 'a folder of <id>.png')),
          ...(suffix === undefined ? {} : { suffix }),
          ...(scale === undefined ? {} : { scale }),
        };
      case 'prediction':
        return {
          source: name,
          weights: resolve(need(weights, '--weights', 'model.safetensors of a stage')),
        };
      case 'constant':
        return { source: name, value: Number(value) };
      default:
        return { source: name };
    }
  };
  const section =
    source === 'combine'
      ? {
          source,
          rule,
          sources: need(of, '--of', 'such as mbplus,files').split(',').map(plain),
        }
      : plain(source);
  return resolveRecipe(
    { preset: 'tiny' satisfies PresetName, saliency: section },
    { source: 'the command line' },
  ).saliency;
}

/** The images of a data set or of a plain folder; labels are not needed, masks only by the oracle. */
async function openImages(dir: string, options: SaliencyOptions): Promise<Dataset> {
  const layout = options.from ?? (await recogniseLayout(dir));
  if (layout === 'images') return openPlainFolder(dir);
  if (layout === 'coco' && options.split === undefined)
    throw new CliUsageError('Expected --split with a COCO data set, for example --split train2017.');
  try {
    return await openSplit(dir, layout, options.split ?? (layout === 'voc' ? 'train' : ''), {
      labels: false,
    });
  } catch (error) {
    // An own folder without labels is still a folder of photographs.
    const unlabelled =
      error instanceof DatasetError && error.code === 'missing-labels' && options.from === undefined;
    if (layout !== 'folder' || !unlabelled) throw error;
    return openPlainFolder(dir);
  }
}

async function openPlainFolder(dir: string): Promise<Dataset> {
  const entries = await readdir(dir, { recursive: true }).catch((cause) => {
    throw new CliUsageError(`Expected a folder of images at ${dir}, got ${cause.code}.`);
  });
  const files = entries.filter((name) => /\.(jpe?g|png|webp|tiff?|bmp)$/i.test(name)).sort();
  if (files.length === 0)
    throw new CliUsageError(`Expected .jpg, .png or .webp files in ${dir}, found none.`);
  const byId = new Map(
    files.map((name) => [name.slice(0, -extname(name).length).split(sep).join('__'), join(dir, name)]),
  );
  const labels = new Uint8Array(0);
  return {
    classes: [],
    ids: [...byId.keys()],
    imageLabels: () => labels,
    sample: async (id) => ({ id, image: await readImage(byId.get(id) as string), labels }),
  };
}
