import { open, readdir, readFile } from 'node:fs/promises';
import { basename, extname, join, resolve } from 'node:path';
import { type CocoSegmentation, type LabelMap, paintRle, rleFromSegmentation } from '@auxseg/formats';
import { DatasetError } from './dataset-error.js';
import { streamJsonElements } from './json-element-stream.js';
import { parseList } from './parse-list.js';
import { readImage } from './read-image.js';
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
  /** Called while the file is read. */
  readonly onProgress?: (bytesRead: number) => void;
}

/** A COCO data set; truth masks are rasterised when asked for. */
export interface CocoDataset extends Dataset {
  truth(id: string): Promise<LabelMap>;
  imageFile(id: string): string;
  imageSource(id: string): { type: 'file'; file: string };
  /** COCO's category id of each class. */
  readonly categoryIds: readonly number[];
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
}

interface CocoAnnotation {
  image_id: number;
  category_id: number;
  iscrowd?: number;
  segmentation: CocoSegmentation;
}

/**
 * Opens COCO's `instances_*.json` (2014 or 2017) without loading it: the file is streamed once for labels and places, and each
 * image's regions are read again and rasterised by `truth`. A 509 MB file took 350 MB of memory.
 *
 * As the field does (method.md 9): categories in the order of their ids become classes 1..K, crowd regions are skipped, later regions
 * overwrite earlier ones. An id is the file name without extension, e.g. COCO_train2014_000000000009.
 * @throws DatasetError 'missing-file', 'bad-annotation', 'unknown-class', 'empty-list', 'bad-list'.
 */
export async function openCocoDataset(options: CocoDatasetOptions): Promise<CocoDataset> {
  const file = resolve(options.annotations);
  const images = new Map<number, ImageEntry>();
  const categories: { id: number; name: string }[] = [];
  // The arrays come in any order, so labels are collected by category id first.
  const regions: { image: number; category: number; offset: number; bytes: number }[] = [];
  const bad = (reason: string): DatasetError =>
    new DatasetError(
      'bad-annotation',
      `Expected COCO's instances format in ${file}: ${reason}. Use instances_*.json, not captions or keypoints.`,
      { file },
    );

  await streamJsonElements(
    file,
    ['images', 'categories', 'annotations'],
    ({ key, bytes, offset }) => {
      let value: Record<string, unknown>;
      try {
        value = JSON.parse(bytes.toString('utf8'));
      } catch (error) {
        throw bad(`the element at byte ${offset} is no JSON (${(error as Error).message})`);
      }
      if (key === 'images') {
        const {
          id,
          file_name: fileName,
          width,
          height,
        } = value as { id: number; file_name: string; width: number; height: number };
        if (!Number.isInteger(id) || typeof fileName !== 'string')
          throw bad(`the image at byte ${offset} has no id or file_name`);
        images.set(id, { fileName, width, height, regions: [], labels: new Uint8Array(0), hasRegion: false });
      } else if (key === 'categories') {
        categories.push(value as { id: number; name: string });
      } else {
        const a = value as unknown as CocoAnnotation;
        if (!Number.isInteger(a.image_id) || !Number.isInteger(a.category_id))
          throw bad(`the annotation at byte ${offset} has no image_id or category_id`);
        if (a.iscrowd) return;
        regions.push({ image: a.image_id, category: a.category_id, offset, bytes: bytes.length });
      }
    },
    options.onProgress,
  );
  if (categories.length === 0) throw bad('it has no categories');
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
  for (const { image, category, offset, bytes } of regions) {
    const entry = images.get(image);
    const k = classOf.get(category);
    if (!entry) throw bad(`an annotation names the image ${image}, which is not listed`);
    if (k === undefined) throw bad(`an annotation names the category ${category}, which is not listed`);
    if (k < 0) continue;
    entry.labels[k] = 1;
    entry.hasRegion = true;
    entry.regions.push({ offset, bytes });
  }
  regions.length = 0;

  const stem = (name: string): string => basename(name, extname(name));
  const byId = new Map<string, ImageEntry>();
  const numbers = new Map<string, string>();
  for (const [number, entry] of images) {
    byId.set(stem(entry.fileName), entry);
    numbers.set(String(number), stem(entry.fileName));
  }
  let ids: string[];
  if (options.listFile) {
    const listed = parseList(await readFile(options.listFile, 'utf8'), options.listFile);
    ids = listed.map(({ id }) => {
      const found = byId.has(id) ? id : numbers.get(String(Number(id)));
      if (found === undefined) {
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
  }
  if (ids.length === 0)
    throw new DatasetError(
      'empty-list',
      `Expected at least one image in ${file}, found none. Is it the right file?`,
      { file },
    );

  const folder = resolve(options.images);
  const present = new Set(await readdir(folder).catch(() => [] as string[]));
  const missing = ids.filter((id) => !present.has(byId.get(id)?.fileName as string));
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

  return {
    classes,
    categoryIds: classes.map((name) => categories[names.indexOf(name)].id),
    ids,
    imageFile,
    imageSource: (id) => ({ type: 'file', file: imageFile(id) }),
    imageLabels: (id) => entryOf(id).labels.slice(),
    async sample(id): Promise<ImageSample> {
      return { id, image: await readImage(imageFile(id)), labels: entryOf(id).labels.slice() };
    },
    async truth(id) {
      const { width, height, regions: places } = entryOf(id);
      const map: LabelMap = { width, height, data: new Uint8Array(width * height) };
      handle ??= open(file, 'r');
      const source = await handle;
      for (const { offset, bytes } of places) {
        const buffer = Buffer.alloc(bytes);
        await source.read(buffer, 0, bytes, offset);
        const annotation = JSON.parse(buffer.toString('utf8')) as CocoAnnotation;
        const k = classOf.get(annotation.category_id) as number;
        paintRle(map, rleFromSegmentation(annotation.segmentation, { width, height }), k + 1);
      }
      return map;
    },
    async close() {
      await (await handle)?.close();
      handle = undefined;
    },
  };
}
