import { type LabelMap, type RgbImage, readGrayPng, type ScoreMap } from '@auxseg/formats';
import {
  cutImage,
  normalizeCut,
  transformImage,
  transformLabels,
  transformSaliency,
} from './apply-transform.js';
import { DatasetError } from './dataset-error.js';
import { normalizationTable } from './normalization.js';
import { type Geometry, planSample } from './plan-transform.js';
import { createRandom, type Random } from './random.js';
import { readImage, readImageBytes } from './read-image.js';
import { readMask } from './read-mask.js';
import { drawSyntheticScene, type SyntheticScene } from './synthetic-scene.js';
import type {
  Batch,
  CustomTransform,
  CustomTransformFunction,
  ImageSource,
  SyntheticSceneOptions,
  TransformOptions,
} from './types.js';

/** One sample of a batch as plain data, so that it can be posted to a worker. */
export interface BatchItem {
  readonly id: string;
  readonly image: ImageSource | { readonly type: 'pixels'; readonly image: RgbImage };
  readonly labels: Uint8Array;
  readonly segmentation?:
    | { readonly type: 'file'; readonly file: string }
    | { readonly type: 'pixels'; readonly map: LabelMap };
  readonly saliency?:
    | { readonly type: 'file'; readonly file: string }
    | { readonly type: 'pixels'; readonly map: ScoreMap };
}

/** Everything that determines one batch: producing it twice, anywhere, gives the same bytes. */
export interface BatchJob {
  readonly kind: 'batch';
  readonly seed: number;
  readonly epoch: number;
  readonly batch: number;
  readonly transform: TransformOptions;
  readonly numClasses: number;
  readonly items: readonly BatchItem[];
}

interface Decoded {
  readonly image: RgbImage;
  readonly segmentation?: LabelMap;
  readonly saliency?: { width: number; height: number; data: Float32Array | Uint8Array; gain: number };
}

/**
 * Decodes and transforms the samples of one batch. The next sample is decoded (on libuv's threads) while the current one is transformed.
 * @param onItem called with the position of each sample before it is worked on, so that a crash can be blamed on it.
 */
export async function produceBatch(job: BatchJob, onItem?: (position: number) => void): Promise<Batch> {
  const { items, transform, numClasses } = job;
  const table = cachedTable(transform);
  const batchScale =
    transform.scale?.per === 'batch'
      ? createRandom('batch-scale', job.seed, job.epoch, job.batch).uniform(
          transform.scale.min,
          transform.scale.max,
        )
      : null;
  const count = items.length;
  const labels = new Float32Array(count * numClasses);
  let width = 0;
  let height = 0;
  let images: Float32Array | undefined;
  let segmentation: Uint8Array | undefined;
  let saliency: Float32Array | undefined;

  const start = (i: number): Promise<Decoded> => {
    const decoding = decodeItem(items[i]);
    decoding.catch(() => {}); // awaited in order below; until then it must not count as unhandled
    return decoding;
  };
  let next = start(0);
  for (let i = 0; i < count; i++) {
    onItem?.(i);
    const item = items[i];
    const decoded = await next;
    if (i + 1 < count) next = start(i + 1);
    const { image } = decoded;
    checkSize(item, 'segmentation', decoded.segmentation, image);
    checkSize(item, 'saliency', decoded.saliency, image);
    const { geometry, jitter } = planSample(
      image,
      transform,
      createRandom('sample', job.seed, job.epoch, item.id),
      batchScale,
    );
    if (!images) {
      width = geometry.outputWidth;
      height = geometry.outputHeight;
      images = new Float32Array(count * height * width * 3);
      if (item.segmentation) segmentation = new Uint8Array(count * height * width);
      if (item.saliency) saliency = new Float32Array(count * height * width);
    } else if (geometry.outputWidth !== width || geometry.outputHeight !== height) {
      throw new DatasetError(
        'size-mismatch',
        `Expected all images of a batch to have one size, ${items[0].id} has ${width}x${height} and ${item.id} has ` +
          `${geometry.outputWidth}x${geometry.outputHeight}. Set transform.crop, or batchSize 1.`,
        { ids: [items[0].id, item.id] },
      );
    }
    const pixels = width * height;
    if (segmentation && decoded.segmentation) {
      transformLabels({
        data: decoded.segmentation.data,
        geometry,
        pad: transform.padLabel ?? 255,
        out: segmentation,
        offset: i * pixels,
      });
      checkLabels(item, segmentation.subarray(i * pixels, (i + 1) * pixels), numClasses);
    }
    if (saliency && decoded.saliency) {
      const { data, gain } = decoded.saliency;
      transformSaliency({
        data,
        gain,
        geometry,
        pad: transform.padSaliency ?? 0,
        out: saliency,
        offset: i * pixels,
      });
    }
    const target = { geometry, table, pad: transform.padImage ?? 0, out: images, offset: i * pixels * 3 };
    if (transform.custom?.length) {
      const cut = cutImage({ data: image.data, geometry, jitter });
      const random = createRandom('custom', job.seed, job.epoch, item.id);
      const view = <A extends Uint8Array | Float32Array>(a: A | undefined): A | undefined =>
        a?.subarray(i * pixels, (i + 1) * pixels) as A | undefined;
      normalizeCut(
        await runCustom(
          { item, cut, geometry, random, segmentation: view(segmentation), saliency: view(saliency) },
          transform.custom,
        ),
        target,
      );
    } else {
      transformImage({ data: image.data, jitter, ...target });
    }
    labels.set(item.labels, i * numClasses);
  }
  return {
    ids: items.map((item) => item.id),
    count,
    height,
    width,
    images: images as Float32Array,
    labels,
    segmentation,
    saliency,
  };
}

interface CustomInput {
  readonly item: BatchItem;
  readonly cut: Uint8Array;
  readonly geometry: Geometry;
  readonly random: Random;
  readonly segmentation?: Uint8Array;
  readonly saliency?: Float32Array;
}

/** Runs the user's own steps on the padded sample and cuts the padding off again. */
async function runCustom(
  { item, cut, geometry: g, random, segmentation, saliency }: CustomInput,
  steps: readonly CustomTransform[],
): Promise<Uint8Array> {
  const image = new Uint8Array(g.outputWidth * g.outputHeight * 3);
  const valid = new Uint8Array(g.outputWidth * g.outputHeight);
  const row = g.copyWidth * 3;
  const at = (y: number): number => (g.putY + y) * g.outputWidth + g.putX;
  for (let y = 0; y < g.copyHeight; y++) {
    image.set(cut.subarray(y * row, (y + 1) * row), at(y) * 3);
    valid.fill(1, at(y), at(y) + g.copyWidth);
  }
  for (const { module, options } of steps) {
    const loaded = (await import(module)) as { default?: CustomTransformFunction };
    if (typeof loaded.default !== 'function') {
      throw new DatasetError(
        'bad-option',
        `Expected a function as default export of ${module}, came ${typeof loaded.default}. Write "export default (sample, random, options) => { ... }".`,
        { module },
      );
    }
    await loaded.default(
      { id: item.id, width: g.outputWidth, height: g.outputHeight, image, segmentation, saliency, valid },
      random,
      options,
    );
  }
  for (let y = 0; y < g.copyHeight; y++) cut.set(image.subarray(at(y) * 3, at(y) * 3 + row), y * row);
  return cut;
}

/** The array buffers of a batch, for transfer between threads. */
export function batchBuffers(batch: Batch): ArrayBuffer[] {
  return [batch.images, batch.labels, batch.segmentation, batch.saliency].flatMap((a) =>
    a ? [a.buffer as ArrayBuffer] : [],
  );
}

let tableOf: { key: string; table: Float32Array } | undefined;
function cachedTable(transform: TransformOptions): Float32Array {
  const normalization = transform.normalization ?? 'imagenet';
  const key = JSON.stringify(normalization);
  if (tableOf?.key !== key) tableOf = { key, table: normalizationTable(normalization) };
  return tableOf.table;
}

async function decodeItem(item: BatchItem): Promise<Decoded> {
  const [image, segmentation, saliency] = await Promise.all([
    decodeImage(item.image),
    item.segmentation &&
      (item.segmentation.type === 'file' ? readMask(item.segmentation.file) : item.segmentation.map),
    item.saliency &&
      (item.saliency.type === 'file'
        ? readSaliencyFile(item.saliency.file)
        : { ...item.saliency.map, gain: 1 }),
  ]);
  return { image, segmentation, saliency };
}

/** Decodes, draws or passes on the pixels of one image. */
export async function decodeImage(source: BatchItem['image']): Promise<RgbImage> {
  if (source.type === 'pixels') return source.image;
  if (source.type === 'file') return readImage(source.file);
  const { width, height, image } = drawCached(source.options, source.index);
  return { width, height, data: image };
}

async function readSaliencyFile(file: string): Promise<NonNullable<Decoded['saliency']>> {
  const bytes = await readImageBytes(file);
  try {
    const { width, height, data } = readGrayPng(bytes);
    return { width, height, data, gain: 1 / 255 };
  } catch (error) {
    throw new DatasetError(
      'unreadable-mask',
      `Expected an 8-bit grey PNG of saliency in ${file}: ${(error as Error).message}. Make it again.`,
      { file },
    );
  }
}

/** Synthetic scenes are the only images that cost more to make than to keep. */
const MAX_CACHED_SCENES = 1024;
const scenes = new Map<string, SyntheticScene>();
function drawCached(options: SyntheticSceneOptions, index: number): SyntheticScene {
  const key = `${index}:${JSON.stringify(options)}`;
  let scene = scenes.get(key);
  if (!scene) {
    scene = drawSyntheticScene(options, index);
    if (scenes.size >= MAX_CACHED_SCENES) scenes.delete(scenes.keys().next().value as string);
    scenes.set(key, scene);
  }
  return scene;
}

function checkSize(
  item: BatchItem,
  target: 'segmentation' | 'saliency',
  map: { width: number; height: number } | undefined,
  image: RgbImage,
): void {
  if (!map || (map.width === image.width && map.height === image.height)) return;
  const source = item[target];
  const where = source?.type === 'file' ? source.file : `the ${target} target of ${item.id}`;
  throw new DatasetError(
    'size-mismatch',
    `Expected ${where} (${map.width}x${map.height}) to have the size of image ${item.id} (${image.width}x${image.height}). ` +
      'Make it again from this image, without resizing.',
    { id: item.id, target, mapSize: [map.width, map.height], imageSize: [image.width, image.height] },
  );
}

function checkLabels(item: BatchItem, data: Uint8Array, numClasses: number): void {
  for (let p = 0; p < data.length; p++) {
    if (data[p] > numClasses && data[p] !== 255) {
      const where =
        item.segmentation?.type === 'file' ? item.segmentation.file : `the segmentation target of ${item.id}`;
      throw new DatasetError(
        'unreadable-mask',
        `Expected labels 0..${numClasses} and 255 in ${where}, found ${data[p]}. The map belongs to another set of classes: make it again for this one.`,
        { id: item.id, value: data[p], numClasses },
      );
    }
  }
}
