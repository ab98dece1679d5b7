import { stat } from 'node:fs/promises';
import { extname, join, relative, resolve } from 'node:path';
import type { LabelMap } from '@auxseg/formats';
import { DatasetError } from './dataset-error.js';
import { imageIdOf } from './image-id.js';
import { listImageFiles } from './list-image-files.js';
import { mapMask } from './open-voc-dataset.js';
import { readImage, readImageSize } from './read-image.js';
import { type LabelTable, readClassFolders, readLabelTable } from './read-label-table.js';
import { readMask } from './read-mask.js';
import { readTextFile } from './read-text-file.js';
import type { Dataset, ImageSample } from './types.js';

export interface FolderDatasetOptions {
  readonly root: string;
  /** Only the images of this split: of the column `split`, of "splits" in labels.json, or of the folder named so. Default 'all': every image. */
  readonly split?: string;
  /** labels.csv or labels.json elsewhere than in `root`. */
  readonly labelsFile?: string;
  /** Folder of the images below `root`; default `images` where it exists, else `root`. */
  readonly imageFolder?: string;
  /** Folder of truth masks below `root`; default `masks`. Masks are optional and for evaluation only. */
  readonly maskFolder?: string;
  /** Class names in mask order; default classes.txt, else the order of the label columns, else alphabetical. */
  readonly classes?: readonly string[];
  /** What to do with images that no label names: 'error' (default) or 'skip'. */
  readonly unlabelled?: 'error' | 'skip';
  /** Told about each image without labels when these are skipped. */
  readonly onUnlabelled?: (file: string) => void;
  /** Leave out what the labels name and is missing, telling about each with its split (or ''), instead of failing. */
  readonly onMissing?: (file: string, split: string) => void;
}

/** A user's own folder as a data set. */
export interface FolderDataset extends Dataset {
  imageFile(id: string): string;
  imageSource(id: string): { type: 'file'; file: string };
  /** The mask of an image, or where one would be looked for first. */
  maskFile(id: string): string;
  hasTruth(id: string): boolean;
  /** Mask value -> label, -1 = not allowed: [256]. */
  readonly maskMapping: Int16Array;
  /** Files of the mask folder that are named like no image. */
  readonly masksWithoutImage: readonly string[];
  readonly layout: LabelTable['layout'];
  /** The splits that the labels (or the folders) name, in their order, whichever of them was opened; [] when they name none. */
  readonly splits: readonly string[];
  /** The split of an image; '' when it is in none. */
  splitOf(id: string): string;
}

interface FolderImage {
  /** Below the image folder, as on disk. */
  readonly path: string;
  /** As the labels name it. */
  readonly name: string;
  readonly split: string;
  readonly labels: Uint8Array; // [K]
}

/** The split that holds every image, unless the labels name one so. */
export const ALL_IMAGES = 'all';

/** The name of mask value 0, which is no class wherever it stands. */
const BACKGROUND = 'background';

/**
 * Opens a folder of images with one of: `labels.csv`, `labels.json`, or one sub-folder per class.
 *
 * - labels.csv: a header, then `file,labels[,split]`, or one 0/1 column per class: `file,rust,crack[,split]`. Labels are separated by | where any row has
 *   one, else by ; or else by , or else by spaces; a field that is a listed class name is that name.
 * - labels.json: `{"photo.jpg": ["rust"], ...}`, or `{"classes": [...], "labels": {...}, "splits": {"val": ["photo.jpg"]}}`.
 * - class folders: `<class>/<image>`, or `<split>/<class>/<image>` where all folders are named like splits (train, val, test, ...).
 *
 * Labels name an image by its path below the image folder or `root`, with or without extension, or by its file name where only one image has it. An
 * id is the path below the image folder without extension, with '/' written as '__', so that it is a file name.
 * Masks, for as many images as there are, are `masks/<path or id>.png` with values 1..K in class order, 0 background, 255 ignored; below folders of
 * splits also `masks/<class>/<image>.png` where only one split has that image.
 * @throws DatasetError 'missing-file', 'missing-labels', 'bad-labels', 'unknown-class', and 'empty-list' for a split that is not there.
 */
export async function openFolderDataset(options: FolderDatasetOptions): Promise<FolderDataset> {
  const root = resolve(options.root);
  if (!(await isFolder(root))) {
    throw new DatasetError('missing-file', `Expected a folder at ${root}, found none. Check the path.`, {
      file: root,
    });
  }
  const imageRoot = resolve(
    root,
    options.imageFolder ?? ((await isFolder(join(root, 'images'))) ? 'images' : '.'),
  );
  const maskRoot = resolve(root, options.maskFolder ?? 'masks');
  const paths = await listImageFiles(imageRoot, maskRoot);
  const listed = options.classes ?? (await readClassList(root));
  const file =
    options.labelsFile ?? (await firstThatExists([join(root, 'labels.csv'), join(root, 'labels.json')]));
  const table = file === undefined ? readClassFolders(imageRoot, paths) : await readLabelTable(file, listed);
  const classes = chooseClasses(table, listed);
  const split = chooseSplit(table, options.split);

  const { images, missing } = matchLabels({
    table,
    classes,
    split,
    find: createPathFinder(root, imageRoot, paths),
  });
  if (options.onMissing) for (const [name, itsSplit] of missing) options.onMissing(name, itsSplit);
  else if (missing.size > 0) {
    const names = [...missing.keys()];
    throw new DatasetError(
      'missing-file',
      `Expected the images named in ${table.where} below ${imageRoot}, ${names.length} are missing or ambiguous: ${names.slice(0, 3).join(', ')}. Copy them there or remove their rows.`,
      { missing: names, imageRoot },
    );
  }
  const labelled = new Set([...images.values()].map(({ path }) => path));
  const without = paths.filter((path) => !labelled.has(path));
  if (without.length > 0 && (options.unlabelled ?? 'error') === 'error') {
    const remedy =
      table.layout === 'class-folders'
        ? 'Move them into the folder of their class'
        : 'Add rows for them (empty labels = none of the classes)';
    throw new DatasetError(
      'missing-labels',
      `Expected labels for all ${paths.length} images below ${imageRoot} in ${table.where}; ${without.length} have none: ${without.slice(0, 3).join(', ')}. ` +
        `${remedy}, or set unlabelled: 'skip'.`,
      { missing: without },
    );
  }
  if (options.unlabelled === 'skip')
    for (const path of without) options.onUnlabelled?.(join(imageRoot, path));
  const { maskByPath, masksWithoutImage } = await findMasks(maskRoot, table, paths, labelled);

  if (split !== undefined) for (const [id, image] of images) if (image.split !== split) images.delete(id);
  const ids = [...images.keys()];
  if (ids.length === 0) {
    throw new DatasetError(
      'empty-list',
      `Expected at least one labelled image below ${root}${split === undefined ? '' : ` in split "${split}"`}, found none. Check the labels.`,
      { root },
    );
  }
  const imageOf = (id: string): FolderImage => {
    const image = images.get(id);
    if (image === undefined)
      throw new DatasetError(
        'unknown-id',
        `Expected one of the ${ids.length} ids below ${root}, came "${id}". Use an id of dataset.ids.`,
        { id },
      );
    return image;
  };
  const maskMapping = new Int16Array(256).fill(-1);
  for (let k = 0; k <= classes.length; k++) maskMapping[k] = k;
  maskMapping[255] = 255;
  const imageFile = (id: string): string => join(imageRoot, imageOf(id).path);
  const imageLabels = (id: string): Uint8Array => imageOf(id).labels.slice();
  const hasTruth = (id: string): boolean => maskByPath.has(imageOf(id).path);
  const maskFile = (id: string): string => {
    const { path } = imageOf(id);
    return maskByPath.get(path) ?? join(maskRoot, `${withoutExtension(path)}.png`);
  };
  const truth = async (id: string): Promise<LabelMap> => {
    const file = maskFile(id);
    const mask = await readMask(file);
    const size = await readImageSize(imageFile(id));
    if (mask.width !== size.width || mask.height !== size.height) {
      throw new DatasetError(
        'size-mismatch',
        `Expected mask ${file} (${mask.width}x${mask.height}) to have the size of image ${imageFile(id)} (${size.width}x${size.height}). Export the mask at the image's size.`,
        {
          id,
          mask: file,
          maskSize: [mask.width, mask.height],
          imageSize: [size.width, size.height],
        },
      );
    }
    return { width: mask.width, height: mask.height, data: mapMask(mask.data, maskMapping, file) };
  };
  return {
    classes,
    ids,
    layout: table.layout,
    splits: [...table.splits.keys()],
    splitOf: (id) => imageOf(id).split,
    imageFile,
    maskFile,
    maskMapping,
    masksWithoutImage,
    imageSource: (id) => ({ type: 'file', file: imageFile(id) }),
    imageLabels,
    async sample(id): Promise<ImageSample> {
      return { id, image: await readImage(imageFile(id)), labels: imageLabels(id) };
    },
    hasTruth,
    ...(ids.some(hasTruth) ? { truth } : {}),
  };
}

/** The split to take images from; undefined for all of them. */
function chooseSplit({ splits, where }: LabelTable, wanted: string | undefined): string | undefined {
  if (wanted === undefined || splits.has(wanted)) return wanted;
  if (wanted === ALL_IMAGES) return undefined;
  // Without splits, "train" and "val" would be the same images, and scores on the second far too good.
  const [found, remedy] =
    splits.size > 0
      ? [`the splits ${[...splits.keys()].join(', ')}`, 'Give one of them']
      : [
          'no splits at all',
          'Add a column "split" to labels.csv, "splits" to labels.json, or folders train/<class> and val/<class>',
        ];
  throw new DatasetError(
    'empty-list',
    `Expected a split "${wanted}" in ${where}, found ${found}. ${remedy}, or take every image with the split "${ALL_IMAGES}".`,
    { split: wanted, splits: [...splits.keys()] },
  );
}

/** The names in classes.txt, when there is one. */
async function readClassList(root: string): Promise<string[] | undefined> {
  const file = join(root, 'classes.txt');
  if (!(await exists(file))) return undefined;
  return (await readTextFile(file, 'class names', 'Check the path.'))
    .normalize('NFC')
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter(Boolean);
}

function chooseClasses(
  { classes, rows, where }: LabelTable,
  listed: readonly string[] | undefined,
): string[] {
  const names = (listed ?? classes ?? [...new Set([...rows.values()].flat())].sort()).filter(
    (name) => name !== BACKGROUND,
  );
  if (names.length === 0) {
    throw new DatasetError(
      'bad-labels',
      `Expected at least one class name in ${where}, found none. Check the labels.`,
      { where },
    );
  }
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) {
    throw new DatasetError(
      'bad-labels',
      `Expected each class once in ${listed ? `the class list of ${where}` : where}, "${twice}" stands there twice. Remove or rename one.`,
      { class: twice, where },
    );
  }
  return names;
}

/**
 * The images that the labels name, by id, and the names that `split` (undefined = all) holds in vain, with their splits. All splits are matched,
 * whichever is opened: a mask or a file name can be ambiguous between two of them.
 */
function matchLabels({
  table,
  classes,
  split,
  find,
}: {
  readonly table: LabelTable;
  readonly classes: readonly string[];
  readonly split: string | undefined;
  readonly find: (name: string) => readonly string[];
}): { images: Map<string, FolderImage>; missing: Map<string, string> } {
  const { where } = table;
  const missing = new Map<string, string>();
  const locate = (name: string, itsSplit: string): string | undefined => {
    const found = find(name);
    if (found.length === 1) return found[0];
    const told = found.length === 0 ? name : `${name} (${found.join(' or ')})`;
    if (split === undefined || split === itsSplit) missing.set(told, missing.get(told) || itsSplit);
    return undefined;
  };
  const splitByPath = new Map<string, string>();
  for (const [itsSplit, names] of table.splits) {
    for (const name of names) {
      const path = locate(name, itsSplit);
      if (path === undefined) continue;
      const other = splitByPath.get(path) ?? itsSplit;
      if (other !== itsSplit) {
        throw new DatasetError(
          'bad-labels',
          `Expected each image in one split of ${where}, ${path} is in ${other} and in ${itsSplit}. Take it out of one.`,
          { path, splits: [other, itsSplit] },
        );
      }
      splitByPath.set(path, itsSplit);
    }
  }
  const images = new Map<string, FolderImage>();
  for (const [name, labels] of table.rows) {
    const path = locate(name, '');
    if (path === undefined) continue;
    const id = imageIdOf(path);
    const other = images.get(id);
    if (other) {
      throw new DatasetError(
        'bad-labels',
        `Expected each image once in ${where} and each id once, "${other.name}" (${other.path}) and "${name}" (${path}) have the id ${id}. Remove one row or rename a file.`,
        { id, paths: [other.path, path] },
      );
    }
    images.set(id, {
      path,
      name,
      split: splitByPath.get(path) ?? '',
      labels: encodeLabels(labels, name, classes, where),
    });
  }
  return { images, missing };
}

function encodeLabels(
  names: readonly string[],
  image: string,
  classes: readonly string[],
  where: string,
): Uint8Array {
  const labels = new Uint8Array(classes.length);
  for (const name of names) {
    if (name === BACKGROUND) continue;
    const k = classes.indexOf(name);
    if (k < 0) {
      throw new DatasetError(
        'unknown-class',
        `Expected the labels of ${image} in ${where} to be among ${classes.join(', ')}; came "${name}". Check the spelling or the class list.`,
        { class: name, where },
      );
    }
    labels[k] = 1;
  }
  return labels;
}

/** Looks the images up that a name in the labels can mean: those of the first way of naming that fits any, compared in NFC. */
function createPathFinder(
  root: string,
  imageRoot: string,
  paths: readonly string[],
): (name: string) => readonly string[] {
  const imageFolder = slashes(relative(root, imageRoot));
  const belowRoot = (path: string): string => (imageFolder === '' ? path : `${imageFolder}/${path}`);
  const fileName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
  // An exact path comes before a namesake in another folder.
  const ways: ((path: string) => string)[] = [
    (path) => path,
    belowRoot,
    withoutExtension,
    (path) => withoutExtension(belowRoot(path)),
    fileName,
    (path) => withoutExtension(fileName(path)),
  ];
  const indexBy = (nameOf: (path: string) => string): Map<string, string[]> => {
    const index = new Map<string, string[]>();
    for (const path of paths) {
      const name = nameOf(path).normalize('NFC');
      const same = index.get(name);
      if (same) same.push(path);
      else index.set(name, [path]);
    }
    return index;
  };
  const indices: Map<string, string[]>[] = []; // made when first asked: most labels need one of them
  const rootPrefix = `${slashes(root).normalize('NFC')}/`;
  return (name) => {
    const given = slashes(name).normalize('NFC');
    const key = (given.startsWith(rootPrefix) ? given.slice(rootPrefix.length) : given).replace(
      /^(\.?\/)+/,
      '',
    );
    for (const [way, nameOf] of ways.entries()) {
      indices[way] ??= indexBy(nameOf);
      const found = indices[way].get(key);
      if (found) return found;
    }
    return [];
  };
}

/** The mask files by the paths of labelled images, and those that are named like no image at all. */
async function findMasks(
  maskRoot: string,
  { layout, splits }: LabelTable,
  paths: readonly string[],
  labelled: ReadonlySet<string>,
): Promise<{ maskByPath: Map<string, string>; masksWithoutImage: string[] }> {
  // A mask that is no PNG counts too: it is an error when it is read, not an image without mask.
  const files = new Map<string, string>();
  for (const path of await listImageFiles(maskRoot)) {
    const place = withoutExtension(path).normalize('NFC');
    if (!files.has(place) || /\.png$/i.test(path)) files.set(place, join(maskRoot, path));
  }
  const inSplitFolders = layout === 'class-folders' && splits.size > 0;
  const placesOf = (path: string): string[] => {
    const stem = withoutExtension(path);
    const withoutSplit = inSplitFolders ? [stem.slice(stem.indexOf('/') + 1)] : [];
    return [stem, imageIdOf(path), ...withoutSplit].map((place) => place.normalize('NFC'));
  };
  const owners = new Map<string, string>();
  const maskByPath = new Map<string, string>();
  for (const path of labelled) {
    for (const place of placesOf(path)) {
      const file = files.get(place);
      if (file === undefined) continue;
      const other = owners.get(place) ?? path;
      if (other !== path) {
        throw new DatasetError(
          'bad-labels',
          `Expected mask ${file} to belong to one image, it fits ${other} and ${path}. Move it to ${join(maskRoot, withoutExtension(path))}.png, or to that of the other.`,
          { mask: file, paths: [other, path] },
        );
      }
      owners.set(place, path);
      if (!maskByPath.has(path)) maskByPath.set(path, file);
    }
  }
  const unlabelled = new Set(paths.filter((path) => !labelled.has(path)).flatMap(placesOf));
  const masksWithoutImage = [...files].flatMap(([place, file]) =>
    owners.has(place) || unlabelled.has(place) ? [] : [file],
  );
  return { maskByPath, masksWithoutImage };
}

const slashes = (path: string): string => path.replace(/\\/g, '/');
const withoutExtension = (path: string): string => path.slice(0, path.length - extname(path).length);

async function firstThatExists(files: readonly string[]): Promise<string | undefined> {
  for (const file of files) if (await exists(file)) return file;
  return undefined;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (s) => s.isDirectory(),
    () => false,
  );
}
