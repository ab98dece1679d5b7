import { readdir, readFile, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, extname, join, resolve } from 'node:path';
import { DatasetError } from './dataset-error.js';
import { type InspectJob, inspectSample, type SampleInspection } from './inspect-sample.js';
import { mapConcurrently } from './map-concurrently.js';
import { openCocoDataset } from './open-coco-dataset.js';
import { ALL_IMAGES, type FolderDataset, openFolderDataset } from './open-folder-dataset.js';
import { openVocDataset, type VocDataset } from './open-voc-dataset.js';
import { parseList } from './parse-list.js';
import { recogniseLayout } from './recognise-layout.js';
import type { Dataset } from './types.js';
import { createWorkerPool } from './worker-pool.js';

/** One kind of problem, with all the places where it was seen. */
export interface DataFinding {
  readonly code: DataFindingCode;
  readonly severity: 'error' | 'warning';
  readonly message: string;
  readonly repair: string;
  readonly count: number;
  /** The first places, at most 20: files, ids or lines. */
  readonly examples: readonly string[];
}

export type DataFindingCode =
  | 'unusable-list'
  | 'unusable-labels'
  | 'missing-image'
  | 'missing-mask'
  | 'mask-without-image'
  | 'missing-labels'
  | 'unlisted-image'
  | 'unreadable-image'
  | 'unreadable-mask'
  | 'mask-not-indexed'
  | 'mask-without-palette'
  | 'mask-value'
  | 'size-mismatch'
  | 'label-mask-disagreement'
  | 'unlabelled-image'
  | 'duplicate-across-splits'
  | 'duplicate-within-split'
  | 'id-in-two-splits'
  | 'empty-class';

/** Everything that a check found out about a data folder. */
export interface DataReport {
  readonly root: string;
  readonly layout: 'voc' | 'coco' | 'folder';
  readonly classes: readonly string[];
  /** Images per split. */
  readonly splits: Readonly<Record<string, number>>;
  /** Images per split that carry each class: [K]. */
  readonly classFrequency: Readonly<Record<string, readonly number[]>>;
  /** Images of all splits that carry both classes; the diagonal counts single classes: [K][K]. */
  readonly coOccurrence: readonly (readonly number[])[];
  /** Share of the pixels of all masks by value of the class list: [K+1], 0 = background, ignored pixels left out; [] without masks. */
  readonly pixelFrequency: readonly number[];
  readonly findings: readonly DataFinding[];
  /** True when no finding is an error. */
  readonly ok: boolean;
  readonly imagesRead: number;
}

export interface CheckDataOptions {
  readonly root: string;
  /** Lists to check; default every list of the folder. */
  readonly splits?: readonly string[];
  /** Worker threads; default all cores. */
  readonly workers?: number;
  readonly onProgress?: (done: number, total: number) => void;
}

interface Found {
  readonly severity: DataFinding['severity'];
  readonly message: string;
  readonly repair: string;
  readonly places: string[];
}

const MAX_EXAMPLES = 20;
/** Classes named in one line. */
const MAX_NAMES = 8;

// One place for the words, so that every finding says what to do about it.
const FINDINGS: Record<DataFindingCode, Omit<Found, 'places'>> = {
  'unusable-list': {
    severity: 'error',
    message: 'A list cannot be used',
    repair: 'Correct the line named: one id, one image path, or an image and a mask path on each line.',
  },
  'unusable-labels': {
    severity: 'error',
    message: 'The image-level labels or annotations cannot be used',
    repair: 'Correct the file named; see docs/formats.md for the layouts.',
  },
  'missing-image': {
    severity: 'error',
    message: 'Ids or rows without an image',
    repair: 'Copy the images there, or remove the ids from the list.',
  },
  'missing-mask': {
    severity: 'warning',
    message: 'Images without a mask (masks are needed for evaluation only)',
    repair: 'Add the masks, or evaluate on a list of those that have one.',
  },
  'mask-without-image': {
    severity: 'warning',
    message: 'Masks without an image of the same name',
    repair: 'Rename them like their images, copy the images there, or remove the masks.',
  },
  'missing-labels': {
    severity: 'error',
    message: 'Ids without image-level labels',
    repair:
      'Add them to the label file (an empty label means: none of the classes), or take them out of the lists.',
  },
  'unlisted-image': {
    severity: 'warning',
    message: 'Images that are in no list',
    repair: 'Add their ids to a list, or leave them: they are not used.',
  },
  'unreadable-image': {
    severity: 'error',
    message: 'Images that cannot be read whole',
    repair: 'Copy or download them again, or remove their ids from the lists.',
  },
  'unreadable-mask': {
    severity: 'error',
    message: 'Masks that cannot be read',
    repair: 'Export them again as palette PNGs.',
  },
  'mask-not-indexed': {
    severity: 'error',
    message: 'Masks saved in colour (RGB, RGBA) or with 16 bits instead of class indices',
    repair:
      'Run "auxseg data convert DIR --repair-masks --out DIR-repaired" and copy its masks over: it looks the colours up in the VOC palette, or in yours with --palette.',
  },
  'mask-without-palette': {
    severity: 'warning',
    message: 'Masks that look black: grey PNGs of class indices without a palette (they are read correctly)',
    repair:
      'Nothing is needed; "auxseg data convert DIR --repair-masks --out DIR-repaired" writes them with the VOC palette, so that they show.',
  },
  'mask-value': {
    severity: 'error',
    message: 'Mask values outside the classes',
    repair: 'Check the class list and the palette order; 0 is background, 255 is ignored.',
  },
  'size-mismatch': {
    severity: 'error',
    message: 'Masks of another size than their image',
    repair: 'Take image and mask from the same release; resize a mask with nearest neighbour only.',
  },
  'label-mask-disagreement': {
    severity: 'warning',
    message: 'Image-level labels that disagree with the mask',
    repair: 'Look at the pairs named: small or difficult objects explain a few, a wrong class order many.',
  },
  'unlabelled-image': {
    severity: 'warning',
    message: 'Images with no class at all',
    repair: 'Fine as negatives for the classifier; otherwise add their labels.',
  },
  'duplicate-across-splits': {
    severity: 'error',
    message: 'The same picture in two splits',
    repair: 'Remove it from one of them: scores on the second would be too good.',
  },
  'duplicate-within-split': {
    severity: 'warning',
    message: 'The same picture twice in one split',
    repair: 'Remove one of the two.',
  },
  'id-in-two-splits': {
    severity: 'warning',
    message: 'Ids in two lists',
    repair:
      'Intended when one list holds the other (train within train_aug); otherwise remove them from one.',
  },
  'empty-class': {
    severity: 'warning',
    message: 'Classes that no image of a split carries',
    repair: 'Leave the class out with "classes", or add images.',
  },
};

/**
 * Reads a whole data folder once, in worker threads, and reports what is in it and what is wrong with it. The layout is recognised: VOC
 * (JPEGImages), COCO (annotations/instances_*.json), else one's own folder.
 * @throws DatasetError 'missing-file' when there is no such folder; everything else becomes a finding.
 */
export async function checkData(options: CheckDataOptions): Promise<DataReport> {
  const root = resolve(options.root);
  const isFolder = await stat(root).then(
    (s) => s.isDirectory(),
    () => false,
  );
  if (!isFolder)
    throw new DatasetError('missing-file', `Expected a data folder at ${root}, found none. Check the path.`, {
      file: root,
    });
  const findings = new Map<DataFindingCode, Found>();
  const report: Report = (code, place) => {
    const found = findings.get(code) ?? { ...FINDINGS[code], places: [] };
    found.places.push(place);
    findings.set(code, found);
  };
  const layout = await recogniseLayout(root);
  const splits =
    layout === 'voc'
      ? await planVoc(root, options.splits, report)
      : layout === 'coco'
        ? await planCoco(root, options.splits, report)
        : await planFolder(root, options.splits, report);

  // One inspection per image file, however many lists hold it.
  const samples = new Map<string, PlannedSample>();
  for (const split of splits) for (const s of split.samples) samples.set(s.key, s);
  const workers = options.workers ?? availableParallelism();
  const pool = workers > 0 ? createWorkerPool(workers) : null;
  const keys = [...samples.keys()];
  const inspections = new Map<string, SampleInspection>();
  // COCO's regions are rasterised after the images have been read.
  const rasters = layout === 'coco' ? splits.reduce((n, s) => n + s.samples.length, 0) : 0;
  let done = 0;
  const progress = (): void => options.onProgress?.(++done, keys.length + rasters);
  try {
    await mapConcurrently(keys, Math.max(1, 2 * workers), async (key) => {
      const { id, image, mask } = samples.get(key) as PlannedSample;
      const job: InspectJob = { kind: 'inspect', id, image, mask };
      inspections.set(key, await (pool ? pool.submit(job).result : inspectSample(job)));
      progress();
    });
  } finally {
    await pool?.close();
  }

  const classes = splits.find((s) => s.dataset)?.dataset?.classes ?? [];
  for (const key of keys)
    judge(samples.get(key) as PlannedSample, inspections.get(key) as SampleInspection, classes, report);
  const pixels = new Map<number, number>();
  for (const key of keys) countPixels(samples.get(key) as PlannedSample, inspections.get(key), pixels);
  await checkCocoTruth(splits, inspections, report, pixels, progress);
  findDuplicates(splits, inspections, report);

  const classFrequency: Record<string, number[]> = {};
  const coOccurrence = classes.map(() => new Array<number>(classes.length).fill(0));
  const counted = new Set<string>();
  for (const { name, dataset, samples: own } of splits) {
    const frequency = new Array<number>(classes.length).fill(0);
    for (const { key, labels } of own) {
      if (!labels) continue;
      const present = classes.flatMap((_, k) => (labels[k] ? [k] : []));
      if (present.length === 0) report('unlabelled-image', `${name}: ${samples.get(key)?.id}`);
      for (const k of present) frequency[k]++;
      if (counted.has(key)) continue;
      counted.add(key);
      for (const a of present) for (const b of present) coOccurrence[a][b]++;
    }
    classFrequency[name] = frequency;
    const empty = dataset ? classes.filter((_, k) => frequency[k] === 0) : [];
    if (empty.length > 0) {
      const shown = empty.slice(0, MAX_NAMES).join(', ');
      const more = empty.length > MAX_NAMES ? ` and ${empty.length - MAX_NAMES} more` : '';
      report('empty-class', `${name}: ${shown}${more}`);
    }
  }

  const total = [...pixels.values()].reduce((a, b) => a + b, 0);
  const list: DataFinding[] = [...findings].map(([code, { places, ...words }]) => ({
    code,
    ...words,
    repair: words.repair.replaceAll('DIR', options.root.replace(/\/+$/, '')),
    count: places.length,
    examples: places.slice(0, MAX_EXAMPLES),
  }));
  list.sort((a, b) => (a.severity === b.severity ? b.count - a.count : a.severity === 'error' ? -1 : 1));
  return {
    root,
    layout,
    classes,
    splits: Object.fromEntries(splits.map((s) => [s.name, s.samples.length])),
    classFrequency,
    coOccurrence,
    pixelFrequency: total > 0 ? ['', ...classes].map((_, v) => (pixels.get(v) ?? 0) / total) : [],
    findings: list,
    ok: list.every((f) => f.severity !== 'error'),
    imagesRead: keys.length,
  };
}

type Report = (code: DataFindingCode, place: string) => void;

interface PlannedSample {
  /** The image file, which may stand in several lists. */
  readonly key: string;
  readonly id: string;
  readonly image?: string;
  readonly mask?: string;
  readonly labels?: Uint8Array;
  /** Mask value -> label, -1 = not allowed. */
  readonly mapping?: Int16Array;
}

interface PlannedSplit {
  readonly name: string;
  readonly dataset?: Dataset;
  readonly samples: PlannedSample[];
}

/** Sorts an error of opening a split into findings; missing files and labels are reported one by one. */
function reportOpening(error: unknown, split: string, report: Report): string[] {
  if (!(error instanceof DatasetError)) throw error;
  const missing = (error.details['missing'] as string[] | undefined) ?? [];
  if (error.code === 'missing-file' && missing.length > 0) {
    for (const m of missing) report('missing-image', m);
  } else if (error.code === 'missing-labels' && missing.length > 0) {
    for (const m of missing) report('missing-labels', `${split}: ${m}`);
  } else if (error.code === 'bad-list' || error.code === 'empty-list') report('unusable-list', error.message);
  else report('unusable-labels', error.message);
  return missing;
}

async function planVoc(
  root: string,
  wanted: readonly string[] | undefined,
  report: Report,
): Promise<PlannedSplit[]> {
  const listFolder = join(root, 'ImageSets/Segmentation');
  const lists =
    wanted ??
    (await readdir(listFolder).catch(() => [] as string[]))
      .filter((f) => f.endsWith('.txt'))
      .map((f) => f.slice(0, -4))
      .sort();
  if (lists.length === 0) report('unusable-list', `Expected lists in ${listFolder}, found none`);
  const present = new Set(await readdir(join(root, 'JPEGImages')));
  const listed = new Set<string>();
  const plans: PlannedSplit[] = [];
  for (const name of lists) {
    const file = join(listFolder, `${name}.txt`);
    const text = await readFile(file, 'utf8').catch(() => null);
    if (text === null) {
      report('unusable-list', `Expected a list at ${file}, found none`);
      continue;
    }
    let entries: ReturnType<typeof parseList>;
    try {
      entries = parseList(text, file);
    } catch (error) {
      reportOpening(error, name, report);
      continue;
    }
    for (const e of entries) listed.add(e.id);
    // What is missing is reported and left out, until the rest can be opened.
    const gone = new Set<string>();
    const unlabelled = new Set<string>();
    let dataset: VocDataset | undefined;
    let labelled = true;
    for (let attempt = 0; attempt < 5 && !dataset; attempt++) {
      const rest = entries.filter((e) => !gone.has(e.id) && !(labelled && unlabelled.has(e.id)));
      if (rest.length === 0) break;
      try {
        dataset = await openVocDataset({
          root,
          split: name,
          entries: rest,
          labelsFrom: labelled ? 'auto' : 'none',
        });
      } catch (error) {
        const missing = reportOpening(error, name, report);
        const { code } = error as DatasetError;
        if (code === 'missing-file' && missing.length > 0)
          for (const path of missing) gone.add(basename(path, extname(path)));
        else if (code === 'missing-labels' && missing.length > 0)
          for (const id of missing) unlabelled.add(id);
        else labelled = false;
      }
    }
    const samples: PlannedSample[] = [];
    const masks = new Map<string, Set<string>>();
    const add = async (open: VocDataset, withLabels: boolean): Promise<void> => {
      for (const id of open.ids) {
        const mask = open.maskFile(id);
        const folder = join(mask, '..');
        if (!masks.has(folder)) masks.set(folder, new Set(await readdir(folder).catch(() => [] as string[])));
        const names = masks.get(folder) as Set<string>;
        const hasMask = names.has(basename(mask));
        if (!hasMask && names.size > 0) report('missing-mask', mask);
        const image = open.imageFile(id);
        samples.push({
          key: image,
          id,
          image,
          mask: hasMask ? mask : undefined,
          labels: withLabels ? open.imageLabels(id) : undefined,
          mapping: open.maskMapping,
        });
      }
    };
    if (dataset) await add(dataset, labelled);
    // Images and masks without labels are still read.
    const bare = entries.filter((e) => labelled && unlabelled.has(e.id) && !gone.has(e.id));
    if (bare.length > 0)
      await add(await openVocDataset({ root, split: name, entries: bare, labelsFrom: 'none' }), false);
    if (samples.length === 0) continue;
    plans.push({ name, dataset, samples });
  }
  const stems = new Set([...present].map((file) => basename(file, extname(file))));
  for (const folder of ['SegmentationClass', 'SegmentationClassAug']) {
    for (const file of (await readdir(join(root, folder)).catch(() => [] as string[])).sort())
      if (/\.png$/i.test(file) && !file.startsWith('.') && !stems.has(basename(file, extname(file))))
        report('mask-without-image', join(root, folder, file));
  }
  for (const file of present) {
    const id = basename(file, extname(file));
    if (!wanted && !listed.has(id) && !file.startsWith('.'))
      report('unlisted-image', join(root, 'JPEGImages', file));
  }
  return plans;
}

async function planCoco(
  root: string,
  wanted: readonly string[] | undefined,
  report: Report,
): Promise<PlannedSplit[]> {
  const folder = join(root, 'annotations');
  const names = (await readdir(folder))
    .flatMap((f) => /^instances_(.*)\.json$/.exec(f)?.[1] ?? [])
    .filter((n) => !wanted || wanted.includes(n))
    .sort();
  const plans: PlannedSplit[] = [];
  for (const name of names) {
    const candidates = [name, `images/${name}`, 'images'];
    const folders = await Promise.all(
      candidates.map((c) =>
        readdir(join(root, c)).then(
          () => c,
          () => null,
        ),
      ),
    );
    const images = join(root, folders.find((c) => c !== null) ?? name);
    try {
      const dataset = await openCocoDataset({
        annotations: join(folder, `instances_${name}.json`),
        images,
        include: 'all',
        skipMissing: (file) => report('missing-image', file),
      });
      plans.push({
        name,
        dataset,
        samples: dataset.ids.map((id) => ({
          key: dataset.imageFile(id),
          id,
          image: dataset.imageFile(id),
          labels: dataset.imageLabels(id),
        })),
      });
    } catch (error) {
      reportOpening(error, name, report);
    }
  }
  return plans;
}

async function planFolder(
  root: string,
  wanted: readonly string[] | undefined,
  report: Report,
): Promise<PlannedSplit[]> {
  const isWanted = (split: string): boolean =>
    !wanted || wanted.includes(split) || wanted.includes(ALL_IMAGES);
  const open = (split: string, told: boolean): Promise<FolderDataset> =>
    openFolderDataset({
      root,
      split,
      unlabelled: 'skip',
      onUnlabelled: (file) => told && report('missing-labels', file),
      onMissing: (file, its) =>
        told && isWanted(its) && report('missing-image', its ? `${file} (${its})` : file),
    });
  let all: FolderDataset;
  try {
    all = await open(ALL_IMAGES, true);
  } catch (error) {
    reportOpening(error, ALL_IMAGES, report);
    return [];
  }
  const plans: PlannedSplit[] = [];
  for (const name of wanted ?? (all.splits.length > 0 ? all.splits : [ALL_IMAGES])) {
    try {
      const dataset = await open(name, false);
      const samples = dataset.ids.map((id): PlannedSample => {
        const image = dataset.imageFile(id);
        const mask = dataset.hasTruth(id) ? dataset.maskFile(id) : undefined;
        if (all.truth && mask === undefined) report('missing-mask', dataset.maskFile(id));
        const labels = dataset.imageLabels(id);
        return { key: image, id, image, mask, labels, mapping: dataset.maskMapping };
      });
      plans.push({ name, dataset, samples });
    } catch (error) {
      reportOpening(error, name, report);
    }
  }
  if (!wanted) {
    if (all.splits.length > 0)
      for (const id of all.ids) if (all.splitOf(id) === '') report('unlisted-image', all.imageFile(id));
    for (const file of all.masksWithoutImage) report('mask-without-image', file);
  }
  return plans;
}

function judge(
  sample: PlannedSample,
  seen: SampleInspection,
  classes: readonly string[],
  report: Report,
): void {
  if (seen.imageError)
    report(
      seen.imageError.code === 'missing-file' ? 'missing-image' : 'unreadable-image',
      `${sample.image}: ${seen.imageError.reason}`,
    );
  const header = seen.maskHeader;
  if (seen.maskError) {
    const colored =
      header &&
      (header.colorType === 'rgb' ||
        header.colorType === 'rgba' ||
        header.colorType === 'grey-alpha' ||
        header.bitDepth === 16);
    report(
      colored ? 'mask-not-indexed' : 'unreadable-mask',
      colored
        ? `${sample.mask} (${header?.colorType}, ${header?.bitDepth} bits)`
        : `${sample.mask}: ${seen.maskError.reason}`,
    );
    return;
  }
  if (!seen.mask || !sample.mapping) return;
  if (header?.colorType === 'grey') report('mask-without-palette', sample.mask as string);
  if (seen.image && (seen.image.width !== seen.mask.width || seen.image.height !== seen.mask.height)) {
    report(
      'size-mismatch',
      `${sample.mask} is ${seen.mask.width}x${seen.mask.height}, its image ${seen.image.width}x${seen.image.height}`,
    );
  }
  const values = Object.keys(seen.mask.counts).map(Number);
  const outside = values.filter((v) => (sample.mapping as Int16Array)[v] < 0);
  if (outside.length > 0) {
    report(
      'mask-value',
      `${sample.mask}: ${outside.slice(0, 5).join(', ')}${outside.length > 5 ? ', ...' : ''}`,
    );
    return;
  }
  if (sample.labels) {
    const inMask = new Set(
      values.map((v) => (sample.mapping as Int16Array)[v]).filter((v) => v > 0 && v !== 255),
    );
    const differs = sample.labels.findIndex((l, k) => (l === 1) !== inMask.has(k + 1));
    if (differs >= 0)
      report(
        'label-mask-disagreement',
        `${sample.id}: labels [${classes.filter((_, k) => sample.labels?.[k] === 1).join(', ')}], mask [${classes.filter((_, k) => inMask.has(k + 1)).join(', ')}]`,
      );
  }
}

/** Adds a mask's pixels by label; values outside the classes and ignored ones are left out. */
function countPixels(
  { mapping }: PlannedSample,
  seen: SampleInspection | undefined,
  pixels: Map<number, number>,
): void {
  if (!seen?.mask || !mapping) return;
  for (const [value, count] of Object.entries(seen.mask.counts)) {
    const label = mapping[Number(value)];
    if (label >= 0 && label !== 255) pixels.set(label, (pixels.get(label) ?? 0) + count);
  }
}

/** Rasterises every COCO region once: damaged polygons and run lengths come to light here, and images of another size. */
async function checkCocoTruth(
  splits: readonly PlannedSplit[],
  inspections: ReadonlyMap<string, SampleInspection>,
  report: Report,
  pixels: Map<number, number>,
  progress: () => void,
): Promise<void> {
  for (const { dataset, samples } of splits) {
    if (!dataset || !('categoryIds' in dataset)) continue;
    const coco = dataset as Awaited<ReturnType<typeof openCocoDataset>>;
    for (const { id, key } of samples) {
      try {
        const { width, height, data } = await coco.truth(id);
        const histogram = new Uint32Array(256);
        for (let p = 0; p < data.length; p++) histogram[data[p]]++;
        histogram.forEach((n, label) => {
          if (n > 0) pixels.set(label, (pixels.get(label) ?? 0) + n);
        });
        const image = inspections.get(key)?.image;
        if (image && (image.width !== width || image.height !== height))
          report(
            'size-mismatch',
            `${key} is ${image.width}x${image.height}, its annotations say ${width}x${height}`,
          );
      } catch (error) {
        report('unreadable-mask', `${id}: ${(error as Error).message}`);
      }
      progress();
    }
    await coco.close();
  }
}

function findDuplicates(
  splits: readonly PlannedSplit[],
  inspections: Map<string, SampleInspection>,
  report: Report,
): void {
  const byHash = new Map<string, { key: string; id: string; splits: Set<string> }[]>();
  const splitsOf = new Map<string, string[]>();
  for (const { name, samples } of splits) {
    for (const { key, id } of samples) {
      splitsOf.set(key, [...(splitsOf.get(key) ?? []), name]);
      const hash = inspections.get(key)?.image?.hash;
      if (!hash) continue;
      const same = byHash.get(hash) ?? [];
      byHash.set(hash, same);
      const own = same.find((s) => s.key === key);
      if (own) own.splits.add(name);
      else same.push({ key, id, splits: new Set([name]) });
    }
  }
  reportSharedIds(splits, splitsOf, report);
  for (const same of byHash.values()) {
    for (let i = 1; i < same.length; i++) {
      const [a, b] = [same[0], same[i]];
      const shared = [...a.splits].some((s) => b.splits.has(s));
      const place = `${a.id} (${[...a.splits].join(', ')}) = ${b.id} (${[...b.splits].join(', ')})`;
      report(shared ? 'duplicate-within-split' : 'duplicate-across-splits', place);
    }
  }
}

/** Lists that hold a whole other one (train within train_aug) are told once; single ids in two lists one by one. */
function reportSharedIds(
  splits: readonly PlannedSplit[],
  splitsOf: Map<string, string[]>,
  report: Report,
): void {
  const nested = new Set<string>();
  for (const a of splits) {
    for (const b of splits) {
      if (a === b || a.samples.length === 0 || a.samples.length > b.samples.length) continue;
      if (!a.samples.every(({ key }) => splitsOf.get(key)?.includes(b.name))) continue;
      nested.add(`${a.name}/${b.name}`).add(`${b.name}/${a.name}`);
      if (a.samples.length < b.samples.length || a.name < b.name)
        report('id-in-two-splits', `all ${a.samples.length} of ${a.name} are in ${b.name}`);
    }
  }
  for (const [key, names] of splitsOf) {
    const others = names.filter((n, i) => names.some((m, j) => i !== j && !nested.has(`${n}/${m}`)));
    if (others.length > 1) report('id-in-two-splits', `${basename(key)}: ${others.join(', ')}`);
  }
}
