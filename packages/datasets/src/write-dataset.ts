import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import {
  encodeRle,
  type LabelMap,
  rleArea,
  rleToString,
  type ScoreMap,
  writeGrayPng,
  writeIndexedPng,
} from '@auxseg/formats';
import sharp from 'sharp';
import { DatasetError } from './dataset-error.js';
import { hasTruth } from './has-truth.js';
import { mapConcurrently } from './map-concurrently.js';
import { readImageBytes } from './read-image.js';
import type { Dataset } from './types.js';
import { writeError, writeFileAtomically } from './write-file-atomically.js';

export interface WriteDatasetOptions {
  /** Split name -> data set; all with the same classes. */
  readonly splits: Readonly<Record<string, Dataset>>;
  readonly out: string;
  /**
   * 'voc' = JPEGImages, SegmentationClass, ImageSets, image-labels.json; 'coco' = <split>/ and annotations/instances_<split>.json;
   * 'folder' = images/, masks/, labels.csv with a split column.
   */
  readonly layout: 'voc' | 'coco' | 'folder';
  /** Write truth masks where the data set has them; default true. */
  readonly masks?: boolean;
  /** Also write saliency/<id>.png, 8-bit grey. */
  readonly saliency?: (split: string, id: string) => Promise<ScoreMap>;
  /** For images that lie in no file (or in one that is no JPEG, PNG or WebP): 'png' (default, exact) or 'jpg' (quality 95). */
  readonly imageFormat?: 'png' | 'jpg';
  readonly onProgress?: (done: number, total: number) => void;
}

export interface WriteDatasetResult {
  readonly images: number;
  /** Images whose truth was written; the others have none. */
  readonly masks: number;
  /** Images without a label, in COCO layout without a region: there, readers leave them out unless `include` is 'all'. */
  readonly unlabelled: number;
  /** Labels that the layout cannot hold: COCO has none but those of regions, so an image keeps only the classes of its mask. */
  readonly labelsLost: number;
  /** Pixels of 255 that the layout cannot hold: COCO has no such label, they become background there. */
  readonly ignoredPixelsLost: number;
}

const JPEG_QUALITY = 95;
const WRITES_AT_ONCE = 8;

/**
 * Writes data sets to disk in VOC or COCO layout, or as an own folder. Image files are copied byte for byte where there are any; masks, of the images that
 * have one, become palette PNGs with values 1..K, or one compressed RLE region per class and image. Finished files are replaced atomically, so the command
 * may be run again.
 * @throws DatasetError 'write-failed', 'bad-option' (two splits would write one file; COCO layout without any mask), and whatever reading the data can throw.
 */
export async function writeDataset(options: WriteDatasetOptions): Promise<WriteDatasetResult> {
  const { splits, out, layout } = options;
  const names = Object.keys(splits);
  const classes = splits[names[0]]?.classes;
  if (!classes || names.some((n) => splits[n].classes.join('\n') !== classes.join('\n'))) {
    throw new DatasetError(
      'bad-option',
      `Expected one or more splits with the same classes, came ${names.join(', ') || 'none'}. Open them with the same class list.`,
      { splits: names },
    );
  }
  const total = names.reduce((n, split) => n + splits[split].ids.length, 0);
  refuseSharedFiles(options);
  const masked = (split: string): boolean => splits[split].ids.some((id) => hasTruth(splits[split], id));
  if (layout === 'coco' && (options.masks === false || !names.some(masked))) {
    throw new DatasetError(
      'bad-option',
      "Expected masks for COCO layout, which holds labels only as regions, came none. Choose layout 'voc' or 'folder', which keep the labels.",
      { splits: names },
    );
  }
  const result = { images: 0, masks: 0, unlabelled: 0, labelsLost: 0, ignoredPixelsLost: 0 };
  const progress = (): void => {
    result.images++;
    options.onProgress?.(result.images, total);
  };
  if (layout === 'voc') await writeVoc(options, classes, result, progress);
  else if (layout === 'folder') await writeFolder(options, classes, result, progress);
  else for (const split of names) await writeCocoSplit(options, split, classes, result, progress);
  await writeFileAtomically(join(out, 'classes.txt'), `${classes.join('\n')}\n`);
  return result;
}

/** Splits may share a file, as VOC's train and train_aug do, but not its name alone; labels.csv gives each image one split. */
function refuseSharedFiles({ splits, layout, saliency }: WriteDatasetOptions): void {
  if (layout === 'coco' && saliency === undefined) return; // A folder for each split.
  const seen = new Map<string, string>();
  for (const [split, dataset] of Object.entries(splits)) {
    for (const id of dataset.ids) {
      const before = seen.get(id);
      seen.set(id, split);
      if (before === undefined || (layout !== 'folder' && sameImage(splits[before], dataset, id))) continue;
      throw new DatasetError(
        'bad-option',
        `Expected splits without common ${layout === 'folder' ? 'images' : 'names of different images'}, ${id} is in ${before} and in ${split}, and both would be one file. ` +
          'Rename them, or write each split alone into a folder of its own.',
        { id, splits: [before, split] },
      );
    }
  }
}

function sameImage(a: Dataset, b: Dataset, id: string): boolean {
  const source = a.imageSource?.(id);
  return a === b || (source !== undefined && isDeepStrictEqual(source, b.imageSource?.(id)));
}

type Counters = { -readonly [P in keyof WriteDatasetResult]: WriteDatasetResult[P] };

async function writeVoc(
  options: WriteDatasetOptions,
  classes: readonly string[],
  result: Counters,
  progress: () => void,
): Promise<void> {
  const { splits, out } = options;
  const labels: Record<string, string[]> = {};
  for (const [split, dataset] of Object.entries(splits)) {
    for (const id of dataset.ids) {
      const row = dataset.imageLabels(id);
      labels[id] = classes.filter((_, k) => row[k] === 1);
      if (labels[id].length === 0) result.unlabelled++;
    }
    await mapConcurrently(dataset.ids, WRITES_AT_ONCE, async (id) => {
      await writeImage(dataset, id, join(out, 'JPEGImages'), id, options.imageFormat);
      await writeMask(options, split, id, 'SegmentationClass', result);
      await writeSaliency(options, split, id);
      progress();
    });
    await writeFileAtomically(
      join(out, 'ImageSets/Segmentation', `${split}.txt`),
      `${dataset.ids.join('\n')}\n`,
    );
  }
  const json = { classes: ['background', ...classes], vocIds: [0, ...classes.map((_, k) => k + 1)], labels };
  await writeFileAtomically(join(out, 'image-labels.json'), `${JSON.stringify(json, null, 1)}\n`);
}

async function writeFolder(
  options: WriteDatasetOptions,
  classes: readonly string[],
  result: Counters,
  progress: () => void,
): Promise<void> {
  const { splits, out } = options;
  const rows = new Map<string, string>();
  for (const [split, dataset] of Object.entries(splits)) {
    // Set before writing, so that the rows keep the order of the ids.
    for (const id of dataset.ids) rows.set(id, '');
    await mapConcurrently(dataset.ids, WRITES_AT_ONCE, async (id) => {
      const { name } = await writeImage(dataset, id, join(out, 'images'), id, options.imageFormat);
      const present = dataset.imageLabels(id);
      const labels = classes.filter((_, k) => present[k] === 1).join('|');
      rows.set(id, [name, labels, split].map(csvField).join(','));
      if (labels === '') result.unlabelled++;
      await writeMask(options, split, id, 'masks', result);
      await writeSaliency(options, split, id);
      progress();
    });
  }
  await writeFileAtomically(join(out, 'labels.csv'), `file,labels,split\n${[...rows.values()].join('\n')}\n`);
}

const csvField = (text: string): string => (/[",;\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

async function writeCocoSplit(
  options: WriteDatasetOptions,
  split: string,
  classes: readonly string[],
  result: Counters,
  progress: () => void,
): Promise<void> {
  const dataset = options.splits[split];
  const folder = join(options.out, 'annotations');
  const file = join(folder, `instances_${split}.json`);
  await mkdir(folder, { recursive: true }).catch((error) => {
    throw writeError(error, file);
  });
  const temporary = `${file}.tmp`;
  const stream = createWriteStream(temporary);
  const failed = once(stream, 'error').then(([error]) => {
    throw writeError(error, file);
  });
  failed.catch(() => {});
  const write = async (text: string): Promise<void> => {
    if (!stream.write(text)) await Promise.race([once(stream, 'drain'), failed]);
  };
  // Annotations go out as they are made; the short list of images follows, so that memory stays bounded.
  await write('{"annotations":[');
  const images: string[] = [];
  let annotation = 0;
  for (const [i, id] of dataset.ids.entries()) {
    const written = await writeImage(dataset, id, join(options.out, split), id, options.imageFormat);
    images.push(
      JSON.stringify({ id: i + 1, file_name: written.name, width: written.width, height: written.height }),
    );
    const labels = dataset.imageLabels(id);
    const unseen = new Set([...classes.keys()].filter((k) => labels[k] === 1));
    const before = annotation;
    if (hasTruth(dataset, id)) {
      const map = await dataset.truth(id);
      result.masks++;
      for (let p = 0; p < map.data.length; p++) if (map.data[p] === 255) result.ignoredPixelsLost++;
      for (const region of regionsOf(map, classes.length)) {
        unseen.delete(region.category_id - 1);
        annotation++;
        await write(
          `${annotation > 1 ? ',' : ''}\n${JSON.stringify({ id: annotation, image_id: i + 1, ...region, iscrowd: 0 })}`,
        );
      }
    }
    result.labelsLost += unseen.size;
    if (annotation === before) result.unlabelled++;
    await writeSaliency(options, split, id);
    progress();
  }
  const categories = classes.map((name, k) => ({ id: k + 1, name, supercategory: name }));
  await write(`\n],"categories":${JSON.stringify(categories)},"images":[\n${images.join(',\n')}\n]}\n`);
  stream.end();
  await Promise.race([once(stream, 'finish'), failed]);
  await rename(temporary, file);
}

/** One region per class: compressed RLE, box [x,y,width,height] and area, as COCO's annotations hold them. */
function regionsOf(
  map: LabelMap,
  numClasses: number,
): { category_id: number; segmentation: object; bbox: number[]; area: number }[] {
  const { width, height, data } = map;
  const present = new Uint8Array(256);
  for (let p = 0; p < data.length; p++) present[data[p]] = 1;
  const regions = [];
  for (let v = 1; v <= numClasses; v++) {
    if (!present[v]) continue;
    const rle = encodeRle({ width, height, data: data.map((x) => (x === v ? 1 : 0)) });
    let [x0, y0, x1, y1] = [width, height, -1, -1];
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        if (data[y * width + x] !== v) continue;
        x0 = Math.min(x0, x);
        x1 = Math.max(x1, x);
        y0 = Math.min(y0, y);
        y1 = y;
      }
    }
    regions.push({
      category_id: v,
      segmentation: { size: [height, width], counts: rleToString(rle) },
      bbox: [x0, y0, x1 - x0 + 1, y1 - y0 + 1],
      area: rleArea(rle),
    });
  }
  return regions;
}

async function writeImage(
  dataset: Dataset,
  id: string,
  folder: string,
  name: string,
  format: 'png' | 'jpg' = 'png',
): Promise<{ name: string; width: number; height: number }> {
  const source = dataset.imageSource?.(id);
  const extension = source?.type === 'file' ? extname(source.file).toLowerCase() : '';
  const { image } = await dataset.sample(id); // also proves that the file can be read
  const { width, height } = image;
  if (source?.type === 'file' && ['.jpg', '.jpeg', '.png', '.webp'].includes(extension)) {
    const file = `${name}${extension}`;
    await writeFileAtomically(join(folder, file), await readImageBytes(source.file));
    return { name: file, width, height };
  }
  const pipeline = sharp(image.data, { raw: { width, height, channels: 3 } });
  const bytes = await (format === 'jpg'
    ? pipeline.jpeg({ quality: JPEG_QUALITY, chromaSubsampling: '4:4:4' })
    : pipeline.png()
  ).toBuffer();
  await writeFileAtomically(join(folder, `${name}.${format}`), bytes);
  return { name: `${name}.${format}`, width, height };
}

async function writeMask(
  options: WriteDatasetOptions,
  split: string,
  id: string,
  folder: string,
  result: Counters,
): Promise<void> {
  const dataset = options.splits[split];
  if (options.masks === false || !hasTruth(dataset, id)) return;
  const file = join(options.out, folder, `${id}.png`);
  await writeFileAtomically(file, writeIndexedPng(await dataset.truth(id)));
  result.masks++;
}

async function writeSaliency(options: WriteDatasetOptions, split: string, id: string): Promise<void> {
  if (!options.saliency) return;
  const { width, height, data } = await options.saliency(split, id);
  const grey = Uint8Array.from(data, (v) => Math.min(255, Math.max(0, Math.round(v * 255))));
  await writeFileAtomically(
    join(options.out, 'saliency', `${id}.png`),
    writeGrayPng({ width, height, data: grey }),
  );
}

/** SHA-256 over ids, images, labels and truth of a data set: equal data sets have equal digests. */
export async function digestDataset(dataset: Dataset): Promise<string> {
  const hash = createHash('sha256');
  for (const id of dataset.ids) {
    const { image, labels } = await dataset.sample(id);
    hash.update(`${id}:${image.width}x${image.height}:`).update(image.data).update(labels);
    if (hasTruth(dataset, id)) hash.update((await dataset.truth(id)).data);
  }
  return hash.digest('hex');
}
