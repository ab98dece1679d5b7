import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { DatasetError, type DatasetErrorCode } from './dataset-error.js';
import { fileError } from './file-error.js';
import { type InspectJob, inspectSample, type SampleInspection } from './inspect-sample.js';
import { createFolderListing, listFolder } from './list-folder.js';
import { listVocSplits } from './list-voc-splits.js';
import { listCocoSplits, locateCocoSplit } from './locate-coco-split.js';
import { mapConcurrently } from './map-concurrently.js';
import { openCocoDataset } from './open-coco-dataset.js';
import { ALL_IMAGES, type FolderDataset, openFolderDataset } from './open-folder-dataset.js';
import { openVocDataset, type VocDataset } from './open-voc-dataset.js';
import { parseList } from './parse-list.js';
import { readTextFile } from './read-text-file.js';
import { recogniseLayout } from './recognise-layout.js';
import type { Dataset } from './types.js';
import { createWorkerPool, MAX_WORKERS } from './worker-pool.js';

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
  | 'missing-split'
  | 'unusable-list'
  | 'unusable-labels'
  | 'unusable-annotation'
  | 'unreadable-file'
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
  /** Worker threads, at most 64, 0 = none; default all cores. */
  readonly workers?: number;
  readonly onProgress?: (done: number, total: number) => void;
  /** Ends the check with its reason. */
  readonly signal?: AbortSignal;
}

interface Found {
  readonly severity: DataFinding['severity'];
  readonly message: string;
  readonly repair: string;
  /** A set: a file that stands in several lists is one place. */
  readonly places: Set<string>;
}

const MAX_EXAMPLES = 20;
/** Classes named in one line. */
const MAX_NAMES = 8;

// One place for the words, so that every finding says what to do about it.
const FINDINGS: Record<DataFindingCode, Omit<Found, 'places'>> = {
  'missing-split': {
    severity: 'error',
    message: 'Splits that are not there, or hold no images',
    repair:
      'Do what each line says. A split is a list in ImageSets/Segmentation, an annotations/instances_<split>.json, or a value of the split column: docs/formats.md#data-sets.',
  },
  'unusable-list': {
    severity: 'error',
    message: 'A list cannot be used',
    repair: 'Correct the line named: one id, one image path, or an image and a mask path on each line.',
  },
  'unusable-labels': {
    severity: 'error',
    message: 'The image-level labels cannot be used',
    repair: 'Do what each line says; docs/formats.md#data-sets shows where labels lie.',
  },
  'unusable-annotation': {
    severity: 'error',
    message: 'Annotations that cannot be used',
    repair: 'Do what each line says, in the file or in the tool that exported it.',
  },
  'unreadable-file': {
    severity: 'error',
    message: 'Files or folders that are there and cannot be read',
    repair:
      'Give yourself permission to read them (chmod -R u+rX DIR), or save them anew, as each line says.',
  },
  'missing-image': {
    severity: 'error',
    message: 'Ids or rows without an image',
    repair: 'Copy the images there, or remove them from the list, the labels or the annotations.',
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
    repair:
      'Take image and mask (or annotations) from the same release; resize a mask with nearest neighbour only.',
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
 * @throws DatasetError 'missing-file' or 'unreadable-file' when there is no such folder or it may not be read, 'bad-option'; everything else becomes a
 * finding.
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
  await listFolder(root);
  const workers = options.workers ?? Math.min(MAX_WORKERS, availableParallelism());
  if (!Number.isInteger(workers) || workers < 0) {
    throw new DatasetError(
      'bad-option',
      `Expected the number of workers to be an integer >= 0, came ${workers}.`,
      {
        option: 'workers',
        came: workers,
      },
    );
  }
  const findings = new Map<DataFindingCode, Found>();
  const report: Report = (code, place) => {
    const found = findings.get(code) ?? { ...FINDINGS[code], places: new Set() };
    found.places.add(place);
    findings.set(code, found);
  };
  const layout = await recogniseLayout(root);
  const splits =
    layout === 'voc'
      ? await planVoc(root, options.splits, report, options.signal)
      : layout === 'coco'
        ? await planCoco(root, options.splits, report, options.signal)
        : await planFolder(root, options.splits, report);

  // One inspection of each image with each of its masks, however many lists hold them.
  const samples = new Map<string, PlannedSample>();
  for (const split of splits) for (const s of split.samples) samples.set(pairOf(s), s);
  if (samples.size === 0 && ![...findings.values()].some((f) => f.severity === 'error'))
    report('missing-split', `Expected images below ${root} that a split names, found none`);
  const pool = workers > 0 ? createWorkerPool(workers) : null;
  const inspections = new Map<string, SampleInspection>();
  // COCO's regions are rasterised after the images have been read.
  const rasters = layout === 'coco' ? splits.reduce((n, s) => n + s.samples.length, 0) : 0;
  let done = 0;
  const progress = (): void => {
    options.signal?.throwIfAborted();
    options.onProgress?.(++done, samples.size + rasters);
  };
  try {
    await mapConcurrently([...samples], Math.max(1, 2 * workers), async ([pair, { id, image, mask }]) => {
      const job: InspectJob = { kind: 'inspect', id, image, mask };
      inspections.set(pair, await (pool ? pool.submit(job).result : inspectSample(job)));
      progress();
    });
  } finally {
    await pool?.close();
  }

  const classes = splits.find((s) => s.dataset)?.dataset?.classes ?? [];
  const pixels = new Map<number, number>();
  for (const [pair, sample] of samples) {
    const seen = inspections.get(pair) as SampleInspection;
    judge(sample, seen, classes, report);
    countPixels(sample, seen, pixels);
  }
  await checkCocoTruth(splits, inspections, classes, report, pixels, progress);
  findDuplicates(splits, inspections, report);

  const classFrequency: Record<string, number[]> = {};
  const coOccurrence = classes.map(() => new Array<number>(classes.length).fill(0));
  const counted = new Set<string>();
  for (const { name, dataset, samples: own, labelsFromMasks } of splits) {
    const frequency = new Array<number>(classes.length).fill(0);
    for (const sample of own) {
      const { key, id } = sample;
      const inMask = labelsFromMasks ? classesInMask(sample, inspections.get(pairOf(sample))) : null;
      const labels = sample.labels ?? (inMask && classes.map((_, k) => Number(inMask.has(k + 1))));
      if (!labels) continue;
      const present = classes.flatMap((_, k) => (labels[k] ? [k] : []));
      if (present.length === 0) report('unlabelled-image', `${name}: ${id}`);
      for (const k of present) frequency[k]++;
      if (counted.has(key)) continue;
      counted.add(key);
      for (const a of present) for (const b of present) coOccurrence[a][b]++;
    }
    classFrequency[name] = frequency;
    const empty = dataset ? classes.filter((_, k) => frequency[k] === 0) : [];
    if (empty.length > 0) report('empty-class', `${name}: ${shorten(empty)}`);
  }

  const total = [...pixels.values()].reduce((a, b) => a + b, 0);
  const list: DataFinding[] = [...findings].map(([code, { places, ...words }]) => ({
    code,
    ...words,
    repair: words.repair.replaceAll('DIR', options.root.replace(/\/+$/, '')),
    count: places.size,
    examples: [...places].slice(0, MAX_EXAMPLES),
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
    imagesRead: new Set([...samples.values()].map(({ key }) => key)).size,
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
  /** The labels are what the masks hold, as far as these can be read. */
  readonly labelsFromMasks?: boolean;
  readonly samples: PlannedSample[];
}

/** An image with one of its masks: lists may name different masks of one image. */
function pairOf({ key, mask }: PlannedSample): string {
  return `${key}\n${mask ?? ''}`;
}

/** The first names of a list, and how many more there are. */
function shorten(names: readonly string[]): string {
  const more = names.length - MAX_NAMES;
  return `${names.slice(0, MAX_NAMES).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** Sorts an error of opening a split into findings; missing files and labels are reported one by one. */
function reportOpening(error: unknown, split: string, report: Report): string[] {
  if (!(error instanceof DatasetError)) {
    const { errno, path } = error as NodeJS.ErrnoException;
    if (errno === undefined) throw error;
    return reportOpening(fileError(error, path ?? split, 'a file or folder', ''), split, report);
  }
  const missing = (error.details['missing'] as string[] | undefined) ?? [];
  if (missing.length > 0 && error.code === 'missing-file')
    for (const m of missing) report('missing-image', m);
  else if (missing.length > 0 && error.code === 'missing-labels')
    for (const m of missing) report('missing-labels', `${split}: ${m}`);
  else report(OPENING_FINDINGS[error.code] ?? 'unusable-labels', error.message);
  return missing;
}

const OPENING_FINDINGS: Partial<Record<DatasetErrorCode, DataFindingCode>> = {
  'missing-file': 'missing-split',
  'empty-list': 'missing-split',
  'bad-list': 'unusable-list',
  'bad-annotation': 'unusable-annotation',
  'unreadable-file': 'unreadable-file',
  'bad-encoding': 'unreadable-file',
};

async function planVoc(
  root: string,
  wanted: readonly string[] | undefined,
  report: Report,
  signal: AbortSignal | undefined,
): Promise<PlannedSplit[]> {
  const folder = join(root, 'ImageSets/Segmentation');
  const told = (names: Promise<string[]>): Promise<string[]> =>
    names.catch((error) => {
      reportOpening(error, '', report);
      return [];
    });
  const lists = wanted ?? (await told(listVocSplits(root)));
  if (lists.length === 0)
    report('missing-split', `Expected lists <split>.txt of one id on each line in ${folder}, found none`);
  const listing = createFolderListing();
  const listed = new Set<string>();
  const plans: PlannedSplit[] = [];
  for (const name of lists) {
    const file = join(folder, `${name}.txt`);
    let entries: ReturnType<typeof parseList>;
    try {
      entries = parseList(await readTextFile(file, 'a list', 'Check its name.'), file);
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
    let labelsFromMasks = false;
    for (let attempt = 0; attempt < 5 && !dataset; attempt++) {
      signal?.throwIfAborted();
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
        const { code } = error as DatasetError;
        // Only labels from masks open any; what is wrong with these, the inspection tells.
        if (code === 'unreadable-mask' || code === 'unreadable-image' || code === 'size-mismatch') {
          labelsFromMasks = true;
          labelled = false;
          continue;
        }
        const missing = reportOpening(error, name, report);
        if (code === 'missing-file' && missing.length > 0)
          for (const id of (error as DatasetError).details['ids'] as string[]) gone.add(id);
        else if (code === 'missing-labels' && missing.length > 0)
          for (const id of missing) unlabelled.add(id);
        else labelled = false;
      }
    }
    const samples: PlannedSample[] = [];
    const add = async (open: VocDataset, withLabels: boolean): Promise<void> => {
      for (const id of open.ids) {
        const mask = open.maskFile(id);
        const hasMask = open.hasTruth(id);
        if (!hasMask && (await listing(dirname(mask))).size > 0) report('missing-mask', mask);
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
    plans.push({ name, dataset, samples, labelsFromMasks });
  }
  const present = await told(listFolder(join(root, 'JPEGImages')));
  const stems = new Set(present.map((file) => basename(file, extname(file))));
  for (const folder of ['SegmentationClass', 'SegmentationClassAug']) {
    for (const file of (await told(listFolder(join(root, folder)))).sort())
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
  signal: AbortSignal | undefined,
): Promise<PlannedSplit[]> {
  const plans: PlannedSplit[] = [];
  for (const name of wanted ?? (await listCocoSplits(root))) {
    try {
      const dataset = await openCocoDataset({
        ...(await locateCocoSplit(root, name)),
        include: 'all',
        onProgress: () => signal?.throwIfAborted(),
        skipMissing: (file) => report('missing-image', file),
        skipUnusable: (reason) => report('unusable-annotation', `${name}: ${reason}`),
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
  if (seen.imageError?.code === 'unreadable-file') report('unreadable-file', seen.imageError.reason);
  else if (seen.imageError)
    report(
      seen.imageError.code === 'missing-file' ? 'missing-image' : 'unreadable-image',
      `${sample.image}: ${seen.imageError.reason}`,
    );
  const header = seen.maskHeader;
  if (seen.maskError?.code === 'unreadable-file') report('unreadable-file', seen.maskError.reason);
  else if (seen.maskError) {
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
  compareLabels(sample, classesInMask(sample, seen), classes, report);
}

/** The values 1..K of a mask that was read. */
function classesInMask({ mapping }: PlannedSample, seen: SampleInspection | undefined): Set<number> | null {
  if (!seen?.mask || !mapping) return null;
  const values = Object.keys(seen.mask.counts).map((value) => mapping[Number(value)]);
  return new Set(values.filter((value) => value > 0 && value !== 255));
}

function compareLabels(
  { id, labels }: PlannedSample,
  inMask: ReadonlySet<number> | null,
  classes: readonly string[],
  report: Report,
): void {
  if (!labels || !inMask || !labels.some((l, k) => (l === 1) !== inMask.has(k + 1))) return;
  const labelled = classes.filter((_, k) => labels[k] === 1);
  const drawn = classes.filter((_, k) => inMask.has(k + 1));
  report('label-mask-disagreement', `${id}: labels [${shorten(labelled)}], mask [${shorten(drawn)}]`);
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
  classes: readonly string[],
  report: Report,
  pixels: Map<number, number>,
  progress: () => void,
): Promise<void> {
  for (const { dataset, samples } of splits) {
    if (!dataset || !('categoryIds' in dataset)) continue;
    const coco = dataset as Awaited<ReturnType<typeof openCocoDataset>>;
    for (const sample of samples) {
      const { id, key } = sample;
      progress();
      if (!coco.truth) continue;
      if (!coco.hasTruth(id)) {
        report('missing-mask', `${key}: it has regions without a segmentation`);
        continue;
      }
      try {
        const { width, height, data } = await coco.truth(id);
        const histogram = new Uint32Array(256);
        for (let p = 0; p < data.length; p++) histogram[data[p]]++;
        const inMask = new Set<number>();
        histogram.forEach((n, label) => {
          if (n === 0) return;
          pixels.set(label, (pixels.get(label) ?? 0) + n);
          inMask.add(label);
        });
        compareLabels(sample, inMask, classes, report);
        const image = inspections.get(pairOf(sample))?.image;
        if (image && (image.width !== width || image.height !== height))
          report(
            'size-mismatch',
            `${key} is ${image.width}x${image.height}, its annotations say ${width}x${height}`,
          );
      } catch (error) {
        reportOpening(error, id, report);
      }
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
    for (const sample of samples) {
      const { key, id } = sample;
      splitsOf.set(key, [...(splitsOf.get(key) ?? []), name]);
      const hash = inspections.get(pairOf(sample))?.image?.hash;
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
