import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { type LabelMap, readClassLabelsNpy } from '@auxseg/formats';
import { DatasetError } from './dataset-error.js';
import { fileError } from './file-error.js';
import { IMAGE_EXTENSIONS } from './is-image-name.js';
import { createFolderListing } from './list-folder.js';
import { listVocSplits } from './list-voc-splits.js';
import { mapConcurrently } from './map-concurrently.js';
import { type ListEntry, parseList } from './parse-list.js';
import { parseVocAnnotation } from './parse-voc-annotation.js';
import { readImage, readImageSize } from './read-image.js';
import { readMask } from './read-mask.js';
import { readTextFile } from './read-text-file.js';
import type { Dataset, ImageSample } from './types.js';
import { VOC_CLASSES } from './voc-classes.js';

export type VocLabelSource =
  | 'auto'
  | 'image-labels.json'
  | 'cls_labels.npy'
  | 'annotations'
  | 'masks'
  | 'none';

export interface VocDatasetOptions {
  /** The folder that holds JPEGImages. */
  readonly root: string;
  /** Name of a list in ImageSets/Segmentation, without .txt. Give this or `listFile`. */
  readonly split?: string;
  /** Path of a list in any style that `parseList` reads. */
  readonly listFile?: string;
  /** The parsed list itself, instead of reading it. */
  readonly entries?: readonly ListEntry[];
  /** A subset of the class names, in the order wanted; default: all of them. */
  readonly classes?: readonly string[];
  /** Where image-level labels come from; 'auto' takes the first that exists, in the order of the type; 'none' = all zero (prediction only). */
  readonly labelsFrom?: VocLabelSource;
  /** Path of image-labels.json or cls_labels.npy when it does not lie in `root`. */
  readonly labelsFile?: string;
  /** Folder of the truth masks below `root`; default SegmentationClassAug where it exists, else SegmentationClass. */
  readonly maskFolder?: string;
}

/** A VOC data set, with the paths behind each id. */
export interface VocDataset extends Dataset {
  hasTruth(id: string): boolean;
  imageFile(id: string): string;
  maskFile(id: string): string;
  imageSource(id: string): { type: 'file'; file: string };
  /** Which source the image-level labels came from. */
  readonly labelsFrom: Exclude<VocLabelSource, 'auto'>;
  /** Mask value on disk -> value in `truth` (0..K, 255); -1 = not allowed. */
  readonly maskMapping: Int16Array;
}

/** How many small files are read at once while opening. */
const READ_AT_ONCE = 16;
const IMAGE_FOLDER = 'JPEGImages';
/** Of a listed id without a path. */
const EXTENSIONS = IMAGE_EXTENSIONS.flatMap((extension) => [extension, extension.toUpperCase()]);

interface ImageLabelsJson {
  classes: string[];
  vocIds?: number[];
  labels: Record<string, string[]>;
}

/**
 * Opens a folder in the VOC 2012 layout (method.md 9): JPEGImages, ImageSets/Segmentation, SegmentationClass(Aug), and image-level labels from
 * image-labels.json, cls_labels.npy, Annotations/<id>.xml or the masks.
 *
 * Mask values are mapped to 1..K in the order of `classes`: through `vocIds` of image-labels.json when it is there, else by their place in VOC's
 * list of 20. A VOC class outside the chosen classes becomes background (0): it is none of the classes asked for. Any other
 * value is an error in `truth`. 255 stays 255.
 * @throws DatasetError 'missing-file', 'unreadable-file', 'bad-encoding', 'empty-list', 'bad-list', 'missing-labels', 'bad-labels', 'unknown-class', 'bad-option'.
 */
export async function openVocDataset(options: VocDatasetOptions): Promise<VocDataset> {
  const root = resolve(options.root);
  const entries = options.entries ?? (await readEntries(root, options));
  const listing = createFolderListing();
  const imageFiles = await locateImages(root, entries, listing);
  const json = await readImageLabelsJson(root, options);
  const known = json ? json.classes : [...VOC_CLASSES];
  const knownIds = json ? json.maskIds : VOC_CLASSES.map((_, k) => k + 1);
  const classes = options.classes ? [...options.classes] : known;
  checkClasses(classes, known, json?.file ?? 'PASCAL VOC');

  const maskMapping = new Int16Array(256).fill(-1);
  maskMapping[0] = 0;
  maskMapping[255] = 255;
  const spansVoc = knownIds.every((id, k) => VOC_CLASSES[id - 1] === known[k]);
  if (spansVoc) for (let v = 1; v <= VOC_CLASSES.length; v++) maskMapping[v] = 0;
  known.forEach((name, k) => {
    maskMapping[knownIds[k]] = classes.indexOf(name) + 1;
  });

  const maskFolder =
    options.maskFolder ??
    ((await exists(join(root, 'SegmentationClassAug'))) ? 'SegmentationClassAug' : 'SegmentationClass');
  const maskFiles = new Map(entries.map((e) => [e.id, join(root, e.mask ?? `${maskFolder}/${e.id}.png`)]));
  const ids = entries.map((e) => e.id);
  const withMask = new Set<string>();
  for (const [id, file] of maskFiles)
    if ((await listing(dirname(file))).has(basename(file))) withMask.add(id);

  const lookUp = (map: Map<string, string>, id: string): string => {
    const file = map.get(id);
    if (file === undefined) throw unknownId(id, ids.length, listName(root, options));
    return file;
  };
  const truth = async (id: string): Promise<LabelMap> => {
    const file = lookUp(maskFiles, id);
    const mask = await readMask(file);
    const size = await readImageSize(lookUp(imageFiles, id));
    if (mask.width !== size.width || mask.height !== size.height) {
      throw new DatasetError(
        'size-mismatch',
        `Expected mask ${file} (${mask.width}x${mask.height}) to have the size of image ${imageFiles.get(id)} (${size.width}x${size.height}). ` +
          'One of the two was resized or rotated: take both from the same release.',
        {
          id,
          mask: file,
          image: imageFiles.get(id),
          maskSize: [mask.width, mask.height],
          imageSize: [size.width, size.height],
        },
      );
    }
    return { width: mask.width, height: mask.height, data: mapMask(mask.data, maskMapping, file) };
  };

  const { source, labels } = await readLabels({
    root,
    options,
    entries,
    classes,
    known,
    knownIds,
    spansVoc,
    json,
    truth,
    withMask,
  });

  const imageLabels = (id: string): Uint8Array => {
    const row = labels.get(id);
    if (!row) throw unknownId(id, ids.length, listName(root, options));
    return row.slice();
  };

  return {
    classes,
    ids,
    labelsFrom: source,
    maskMapping,
    imageFile: (id) => lookUp(imageFiles, id),
    maskFile: (id) => lookUp(maskFiles, id),
    imageSource: (id) => ({ type: 'file', file: lookUp(imageFiles, id) }),
    imageLabels,
    async sample(id): Promise<ImageSample> {
      const file = lookUp(imageFiles, id);
      return { id, image: await readImage(file), labels: imageLabels(id) };
    },
    hasTruth: (id) => {
      lookUp(maskFiles, id);
      return withMask.has(id);
    },
    ...(withMask.size > 0 ? { truth } : {}),
  };
}

function listName(root: string, options: VocDatasetOptions): string {
  return options.listFile ?? join(root, 'ImageSets', 'Segmentation', `${options.split}.txt`);
}

function unknownId(id: string, count: number, list: string): DatasetError {
  return new DatasetError(
    'unknown-id',
    `Expected one of the ${count} ids of ${list}, came "${id}". Use an id of dataset.ids.`,
    { id },
  );
}

async function readEntries(root: string, options: VocDatasetOptions): Promise<ListEntry[]> {
  if (!options.split && !options.listFile) {
    throw new DatasetError(
      'bad-option',
      `Expected a split or a listFile for ${root}, came neither. For example split: 'train'.`,
      { root },
    );
  }
  const file = listName(root, options);
  const names = options.listFile ? [] : await listVocSplits(root);
  const remedy = options.listFile
    ? 'Check the path.'
    : names.length > 0
      ? `The splits there are: ${names.join(', ')}.`
      : `Give --data the folder that holds ${IMAGE_FOLDER} and ImageSets.`;
  return parseList(await readTextFile(file, 'an image list', remedy), file);
}

async function locateImages(
  root: string,
  entries: readonly ListEntry[],
  listing: ReturnType<typeof createFolderListing>,
): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  const missing: string[] = [];
  const ids: string[] = [];
  for (const entry of entries) {
    const path = join(root, entry.image ?? `${IMAGE_FOLDER}/${entry.id}`);
    const names = await listing(dirname(path));
    const candidates = entry.image ? [''] : EXTENSIONS;
    const extension = candidates.find((x) => names.has(basename(path) + x));
    if (extension === undefined) {
      missing.push(entry.image ? path : `${path}.jpg`);
      ids.push(entry.id);
    } else files.set(entry.id, path + extension);
  }
  if (missing.length > 0) {
    throw new DatasetError(
      'missing-file',
      `Expected ${entries.length} images below ${root}, ${missing.length} of them are missing: ${missing.slice(0, 3).join(', ')}` +
        `${missing.length > 3 ? ', ...' : ''}. Copy them there or remove their ids from the list.`,
      { root, missing, ids },
    );
  }
  return files;
}

interface LabelsTable {
  readonly file: string;
  readonly classes: string[]; // foreground only
  readonly maskIds: number[];
  readonly labels: Map<string, readonly string[]>;
}

async function readImageLabelsJson(root: string, options: VocDatasetOptions): Promise<LabelsTable | null> {
  const wanted = options.labelsFrom ?? 'auto';
  const given = options.labelsFile?.endsWith('.json') ? options.labelsFile : undefined;
  const file = given ?? join(root, 'image-labels.json');
  let text: string;
  try {
    text = await readTextFile(file, 'image-level labels', 'Choose another labelsFrom or give labelsFile.');
  } catch (error) {
    const needed = wanted === 'image-labels.json' || given !== undefined;
    if (needed || (error as DatasetError).code !== 'missing-file') throw error;
    return null;
  }
  const bad = (reason: string): DatasetError =>
    new DatasetError(
      'bad-labels',
      `Expected {"classes": [...], "vocIds": [...], "labels": {"<id>": ["<class>", ...]}} in ${file}: ${reason}. Correct the file.`,
      { file, reason },
    );
  let json: ImageLabelsJson;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw bad((error as Error).message);
  }
  if (!Array.isArray(json?.classes) || typeof json.labels !== 'object' || json.labels === null)
    throw bad('"classes" or "labels" is absent');
  const ids =
    json.vocIds ??
    (json.classes[0] === 'background' ? json.classes.map((_, i) => i) : json.classes.map((_, i) => i + 1));
  if (ids.length !== json.classes.length)
    throw bad(`${json.classes.length} classes but ${ids.length} vocIds`);
  const pairs = json.classes.map((name, i) => ({ name, id: ids[i] })).filter((p) => p.name !== 'background');
  const outside = pairs.find((p) => !Number.isInteger(p.id) || p.id < 1 || p.id > 254);
  if (outside) throw bad(`class ${outside.name} has the mask id ${outside.id}, expected 1..254`);
  const labels = new Map<string, readonly string[]>();
  for (const [id, names] of Object.entries(json.labels)) {
    if (!Array.isArray(names)) throw bad(`the labels of ${id} are no array`);
    labels.set(id, names);
  }
  return { file, classes: pairs.map((p) => p.name), maskIds: pairs.map((p) => p.id), labels };
}

function checkClasses(classes: readonly string[], known: readonly string[], where: string): void {
  const unknown = classes.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new DatasetError(
      'unknown-class',
      `Expected classes of ${where} (${known.join(', ')}), came "${unknown}". Check the spelling.`,
      {
        class: unknown,
        known,
      },
    );
  }
  if (classes.length === 0 || new Set(classes).size !== classes.length) {
    throw new DatasetError(
      'bad-option',
      `Expected one or more different class names, came [${classes.join(', ')}]. Leave "classes" out for all of them.`,
      {
        classes,
      },
    );
  }
}

/** Applies a mask mapping; errors name the first value that is not allowed. */
export function mapMask(data: Uint8Array, mapping: Int16Array, file: string): Uint8Array {
  const out = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const v = mapping[data[i]];
    if (v < 0) {
      throw new DatasetError(
        'unreadable-mask',
        `Expected only known class values and 255 in ${file}, found ${data[i]} at pixel ${i}. ` +
          'A mask saved with another palette order or as greyscale colours looks like this: export it with class indices.',
        { file, value: data[i], pixel: i },
      );
    }
    out[i] = v;
  }
  return out;
}

async function readLabels(input: {
  root: string;
  options: VocDatasetOptions;
  entries: readonly ListEntry[];
  classes: readonly string[];
  known: readonly string[];
  knownIds: readonly number[];
  spansVoc: boolean;
  json: LabelsTable | null;
  truth: (id: string) => Promise<LabelMap>;
  withMask: ReadonlySet<string>;
}): Promise<{ source: Exclude<VocLabelSource, 'auto'>; labels: Map<string, Uint8Array> }> {
  const { root, options, entries, classes, json } = input;
  const wanted = options.labelsFrom ?? 'auto';
  const npyFile = options.labelsFile?.endsWith('.npy') ? options.labelsFile : join(root, 'cls_labels.npy');
  let source: Exclude<VocLabelSource, 'auto'>;
  if (wanted !== 'auto') source = wanted;
  else if (json && !options.labelsFile?.endsWith('.npy')) source = 'image-labels.json';
  else if (await exists(npyFile)) source = 'cls_labels.npy';
  else if (await exists(join(root, 'Annotations'))) source = 'annotations';
  else if (input.withMask.size > 0) source = 'masks';
  else {
    throw new DatasetError(
      'missing-labels',
      `Expected image-level labels below ${root}: image-labels.json, cls_labels.npy, Annotations or masks; found none. ` +
        "Add one of them, or use labelsFrom: 'none' for prediction without labels.",
      { root },
    );
  }

  const labels = new Map<string, Uint8Array>();
  const fromNames = (names: readonly string[], where: string): Uint8Array => {
    const l = new Uint8Array(classes.length);
    for (const name of names) {
      const k = classes.indexOf(name);
      if (k >= 0) l[k] = 1;
      else if (!input.known.includes(name)) {
        throw new DatasetError(
          'unknown-class',
          `Expected the labels in ${where} to be among ${input.known.join(', ')}; came "${name}". Check the spelling or add the class to the class list.`,
          { class: name, where },
        );
      }
    }
    return l;
  };
  const missing: string[] = [];
  let where = '';

  if (source === 'none') {
    for (const e of entries) labels.set(e.id, new Uint8Array(classes.length));
  } else if (source === 'image-labels.json') {
    where = json?.file ?? '';
    for (const e of entries) {
      const names = json?.labels.get(e.id);
      if (names) labels.set(e.id, fromNames(names, `${where} (id ${e.id})`));
      else missing.push(e.id);
    }
  } else if (source === 'cls_labels.npy') {
    where = npyFile;
    const table = readClassLabelsNpy(await readRequired(npyFile));
    for (const e of entries) {
      const row = table.get(e.id);
      if (!row) {
        missing.push(e.id);
        continue;
      }
      // Rows either follow the classes at hand or, for a subset of VOC, all 20 of VOC.
      const columnOf = (name: string): number => {
        const k = input.known.indexOf(name);
        return row.length === input.known.length ? k : input.knownIds[k] - 1;
      };
      if (row.length !== input.known.length && !(input.spansVoc && row.length === VOC_CLASSES.length)) {
        throw new DatasetError(
          'bad-labels',
          `Expected ${input.known.length} values for each id in ${npyFile}, ${e.id} has ${row.length}. This file belongs to another set of classes.`,
          { file: npyFile, id: e.id, expected: input.known.length, came: row.length },
        );
      }
      labels.set(
        e.id,
        Uint8Array.from(classes, (name) => (row[columnOf(name)] > 0 ? 1 : 0)),
      );
    }
  } else if (source === 'annotations') {
    where = join(root, 'Annotations');
    const rows = await mapConcurrently(entries, READ_AT_ONCE, async (e) => {
      const file = join(where, `${e.id}.xml`);
      const xml = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return null;
        throw fileError(error, file, 'an annotation', '');
      });
      return xml === null ? null : fromNames(parseVocAnnotation(xml, file), file);
    });
    rows.forEach((row, i) => {
      if (row) labels.set(entries[i].id, row);
      else missing.push(entries[i].id);
    });
  } else {
    where = 'the masks';
    await mapConcurrently(entries, READ_AT_ONCE, async ({ id }) => {
      if (!input.withMask.has(id)) missing.push(id);
      else labels.set(id, labelsFromMask((await input.truth(id)).data, classes.length));
    });
  }
  if (missing.length > 0) {
    throw new DatasetError(
      'missing-labels',
      `Expected image-level labels for ${entries.length} ids in ${where}; ${missing.length} have none: ${missing.slice(0, 5).join(', ')}` +
        `${missing.length > 5 ? ', ...' : ''}. Add them, remove the ids from the list, or choose another labelsFrom.`,
      { where, missing },
    );
  }
  return { source, labels };
}

/** Which classes occur in a label map with values 0..K and 255: multi-hot [K]. */
export function labelsFromMask(data: Uint8Array, numClasses: number): Uint8Array {
  const labels = new Uint8Array(numClasses);
  for (let i = 0; i < data.length; i++) {
    const v = data[i];
    if (v > 0 && v <= numClasses) labels[v - 1] = 1;
  }
  return labels;
}

async function readRequired(file: string): Promise<Uint8Array> {
  return readFile(file).catch((error) => {
    throw fileError(error, file, 'image-level labels', 'Give labelsFile or choose another labelsFrom.');
  });
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
