import { open } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import {
  type CocoSegmentation,
  FormatError,
  type LabelMap,
  paintRle,
  rleFromSegmentation,
} from '@auxseg/formats';
import { DatasetError } from './dataset-error.js';
import { imageIdOf } from './image-id.js';
import { streamJsonElements } from './json-element-stream.js';
import { createFolderListing } from './list-folder.js';
import { parseList } from './parse-list.js';
import { readImage } from './read-image.js';
import { readTextFile } from './read-text-file.js';
import type { Dataset, ImageSample } from './types.js';

export interface CocoDatasetOptions {
  /** Path of instances_train2014.json or the like. */
  readonly annotations: string;
  /** Folder of the photographs named in it. */
  readonly images: string;
  /**
   * 'labelled' (default) = the images with at least one region that is no crowd (2014: 82,081 / 40,137), 'all' = every image (82,783 / 40,504).
   */
  readonly include?: 'labelled' | 'all';
  /** Only these ids: a list of file names, with or without extension, or of COCO's numbers. Keeps the list's order. */
  readonly listFile?: string;
  /** A subset of the category names, in the order wanted; default all, ordered by category id (1..90 -> 1..80). */
  readonly classes?: readonly string[];
  /** Leave out images that are not in the folder, telling about each, instead of failing. */
  readonly skipMissing?: (file: string) => void;
  /** Leave out what cannot be used (regions of an image or category that is not listed, images listed twice), telling about each, instead of failing. */
  readonly skipUnusable?: (reason: string) => void;
  /** Called while the file is read. */
  readonly onProgress?: (bytesRead: number) => void;
}

/** A COCO data set; truth masks are rasterised when asked for, of the images whose regions all have a segmentation. */
export interface CocoDataset extends Dataset {
  hasTruth(id: string): boolean;
  imageFile(id: string): string;
  imageSource(id: string): { type: 'file'; file: string };
  /** COCO's category id of each class. */
  readonly categoryIds: readonly number[];
  /** How many images `include` leaves out. */
  readonly leftOut: number;
  /** Closes the annotation file. */
  close(): Promise<void>;
}

interface ImageEntry {
  readonly fileName: string;
  readonly width: number;
  readonly height: number;
  /** Places in the annotation file of its regions, in file order. */
  readonly regions: { offset: number; bytes: number }[];
  readonly labels: Uint8Array;
  hasRegion: boolean;
  /** Regions that are a label alone, without a segmentation. */
  undrawn: number;
}

interface CocoAnnotation {
  id?: number;
  image_id: number;
  category_id: number;
  iscrowd?: number;
  segmentation?: CocoSegmentation | null;
}

const INSTANCES = 'Use instances_*.json, not captions or keypoints.';
const INTEGERS = 'Write ids as integers, as COCO does.';

/**
 * Opens COCO's `instances_*.json` (2014 or 2017) without loading it: the file is streamed once for labels and places, and each
 * image's regions are read again and rasterised by `truth`. A 509 MB file took 350 MB of memory.
 *
 * As the field does (method.md 9): categories in the order of their ids become classes 1..K, crowd regions are skipped, later regions
 * overwrite earlier ones. An id is the file name without extension, e.g. COCO_train2014_000000000009, with '/' written as '__'. A region without
 * a segmentation (boxes alone) gives its label; `truth` is absent where no region has one.
 * @throws DatasetError 'missing-file', 'unreadable-file', 'bad-annotation', 'unknown-class', 'empty-list', 'bad-list'.
 */
export async function openCocoDataset(options: CocoDatasetOptions): Promise<CocoDataset> {
  const file = resolve(options.annotations);
  const images = new Map<number, ImageEntry>();
  const categories: { id: number; name: string }[] = [];
  // The arrays come in any order, so labels are collected by category id first.
  const regions: { image: number; category: number; offset: number; bytes: number; drawn: boolean }[] = [];
  const bad = (reason: string, remedy: string): DatasetError =>
    new DatasetError('bad-annotation', `Expected COCO's instances format in ${file}: ${reason}. ${remedy}`, {
      file,
    });
  const unusable = (reason: string, remedy: string): void => {
    if (!options.skipUnusable) throw bad(reason, remedy);
    options.skipUnusable(`${reason}. ${remedy}`);
  };
  const integer = (value: Record<string, unknown>, name: string, what: string): number => {
    const number = value[name];
    if (number === undefined) throw bad(`${what} has no ${name}`, INSTANCES);
    if (!Number.isInteger(number))
      throw bad(`${what} has the ${name} ${JSON.stringify(number)}, which is no integer`, INTEGERS);
    return number as number;
  };
  const byId = new Map<string, ImageEntry>();
  // What a list may call an image besides its id: COCO's number, or the file name without its folder.
  const otherNames = new Map<string, string>();

  await streamJsonElements(
    file,
    ['images', 'categories', 'annotations'],
    ({ key, bytes, offset }) => {
      let value: Record<string, unknown>;
      try {
        value = JSON.parse(bytes.toString('utf8'));
      } catch (error) {
        throw bad(
          `the element at byte ${offset} is no JSON (${(error as Error).message})`,
          'Correct it there, or export the file again.',
        );
      }
      if (key === 'images') {
        const what = `the image at byte ${offset}`;
        const number = integer(value, 'id', what);
        const { file_name: fileName, width, height } = value as Record<string, never>;
        if (typeof fileName !== 'string') throw bad(`${what} has no file_name`, INSTANCES);
        const id = imageIdOf(fileName);
        const twin = images.get(number) ?? byId.get(id);
        if (twin) {
          unusable(
            `the image ${number} (${fileName}) has the id or the file name of ${twin.fileName}, which stands before it`,
            'Give each image an id and a file name of its own.',
          );
          return;
        }
        const labels = new Uint8Array(0);
        const entry = { fileName, width, height, regions: [], labels, hasRegion: false, undrawn: 0 };
        images.set(number, entry);
        byId.set(id, entry);
        otherNames.set(String(number), id);
        const plain = imageIdOf(basename(fileName));
        // '' marks a name that images in several folders share.
        if (plain !== id) otherNames.set(plain, otherNames.has(plain) ? '' : id);
      } else if (key === 'categories') {
        const id = integer(value, 'id', `the category at byte ${offset}`);
        const name = String(value['name']);
        if (categories.some((c) => c.id === id || c.name === name))
          throw bad(
            `the category ${id} (${name}) has the id or the name of another`,
            'Give each category an id and a name of its own.',
          );
        categories.push({ id, name });
      } else {
        const what = `the annotation at byte ${offset}`;
        const image = integer(value, 'image_id', what);
        const category = integer(value, 'category_id', what);
        const { iscrowd, segmentation } = value as unknown as CocoAnnotation;
        if (iscrowd) return;
        const drawn = segmentation != null && !(Array.isArray(segmentation) && segmentation.length === 0);
        regions.push({ image, category, offset, bytes: bytes.length, drawn });
      }
    },
    options.onProgress,
  );
  if (categories.length === 0) throw bad('it has no categories', INSTANCES);
  categories.sort((p, q) => p.id - q.id);
  const names = categories.map((c) => c.name);
  const classes = options.classes ? [...options.classes] : names;
  const unknown = classes.find((name) => !names.includes(name));
  if (unknown !== undefined || classes.length === 0) {
    throw new DatasetError(
      'unknown-class',
      `Expected classes among the ${names.length} of ${file} (${names.join(', ')}), came "${unknown ?? ''}". Check the spelling.`,
      {
        class: unknown,
        known: names,
      },
    );
  }
  // Category id -> class 0..K-1, or -1 for a category left out.
  const classOf = new Map(categories.map((c) => [c.id, classes.indexOf(c.name)]));
  for (const entry of images.values())
    (entry as { labels: Uint8Array }).labels = new Uint8Array(classes.length);
  const stray = 'List it, or remove the annotation.';
  for (const { image, category, offset, bytes, drawn } of regions) {
    const entry = images.get(image);
    const k = classOf.get(category);
    const what = `the annotation at byte ${offset} names the`;
    if (!entry) unusable(`${what} image ${image}, which is not listed`, stray);
    else if (k === undefined) unusable(`${what} category ${category}, which is not listed`, stray);
    else if (k >= 0) {
      entry.labels[k] = 1;
      entry.hasRegion = true;
      if (drawn) entry.regions.push({ offset, bytes });
      else entry.undrawn++;
    }
  }
  const onlyLabels = regions.length > 0 && regions.every(({ drawn }) => !drawn);
  regions.length = 0;

  let ids: string[];
  let leftOut = 0;
  if (options.listFile) {
    const text = await readTextFile(options.listFile, 'a list of images', 'Check the path.');
    ids = parseList(text, options.listFile).map(({ id, image }) => {
      const names = [imageIdOf(image ?? id), id];
      const found =
        names.find((name) => byId.has(name)) ?? otherNames.get(id) ?? otherNames.get(String(Number(id)));
      if (!found) {
        throw new DatasetError(
          'unknown-id',
          `Expected the ids of ${options.listFile} in ${file}, "${id}" is not there. Does the list belong to another split?`,
          { id },
        );
      }
      return found;
    });
  } else {
    ids = [...byId].filter(([, e]) => options.include === 'all' || e.hasRegion).map(([id]) => id);
    leftOut = byId.size - ids.length;
  }
  if (ids.length === 0)
    throw new DatasetError(
      'empty-list',
      `Expected at least one image in ${file}, found none. Is it the right file?`,
      { file },
    );

  const folder = resolve(options.images);
  const listing = createFolderListing();
  const missing: string[] = [];
  for (const id of ids) {
    const path = join(folder, byId.get(id)?.fileName as string);
    if (!(await listing(dirname(path))).has(basename(path))) missing.push(id);
  }
  if (options.skipMissing) {
    for (const id of missing) options.skipMissing(join(folder, byId.get(id)?.fileName as string));
    const gone = new Set(missing);
    ids = ids.filter((id) => !gone.has(id));
  } else if (missing.length > 0) {
    throw new DatasetError(
      'missing-file',
      `Expected ${ids.length} images in ${folder}, ${missing.length} are missing: ${missing.slice(0, 3).join(', ')}${missing.length > 3 ? ', ...' : ''}. ` +
        'Check the folder, or use a list of the images that are there.',
      { folder, missing },
    );
  }

  const entryOf = (id: string): ImageEntry => {
    const entry = byId.get(id);
    if (!entry)
      throw new DatasetError(
        'unknown-id',
        `Expected one of the ${ids.length} ids of ${file}, came "${id}". Use an id of dataset.ids.`,
        { id },
      );
    return entry;
  };
  const imageFile = (id: string): string => join(folder, entryOf(id).fileName);
  let handle: ReturnType<typeof open> | undefined;
  const truth = async (id: string): Promise<LabelMap> => {
    const { fileName, width, height, regions: places, undrawn } = entryOf(id);
    if (![width, height].every((side) => Number.isInteger(side) && side > 0))
      throw bad(
        `the image ${fileName} has the size ${width}x${height}`,
        'Write its width and height in pixels.',
      );
    if (undrawn > 0)
      throw bad(
        `${undrawn} of the regions of ${fileName} have no segmentation`,
        'Draw them, or score the images that have truth (hasTruth) only.',
      );
    const map: LabelMap = { width, height, data: new Uint8Array(width * height) };
    handle ??= open(file, 'r');
    const source = await handle;
    for (const { offset, bytes } of places) {
      const buffer = Buffer.alloc(bytes);
      await source.read(buffer, 0, bytes, offset);
      const annotation = JSON.parse(buffer.toString('utf8')) as CocoAnnotation;
      const k = classOf.get(annotation.category_id) as number;
      try {
        const rle = rleFromSegmentation(annotation.segmentation as CocoSegmentation, { width, height });
        paintRle(map, rle, k + 1);
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        throw bad(
          `the annotation ${annotation.id} of ${fileName} cannot be drawn (${error.message})`,
          'Draw it again, or remove it.',
        );
      }
    }
    return map;
  };

  return {
    classes,
    categoryIds: classes.map((name) => categories[names.indexOf(name)].id),
    ids,
    leftOut,
    imageFile,
    imageSource: (id) => ({ type: 'file', file: imageFile(id) }),
    imageLabels: (id) => entryOf(id).labels.slice(),
    async sample(id): Promise<ImageSample> {
      return { id, image: await readImage(imageFile(id)), labels: entryOf(id).labels.slice() };
    },
    hasTruth: (id) => !onlyLabels && entryOf(id).undrawn === 0,
    ...(onlyLabels ? {} : { truth }),
    async close() {
      await (await handle)?.close();
      handle = undefined;
    },
  };
}
