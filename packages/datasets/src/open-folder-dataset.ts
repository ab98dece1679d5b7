import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join, relative, resolve, sep } from 'node:path';
import type { LabelMap } from '@auxseg/formats';
import { DatasetError } from './dataset-error.js';
import { mapMask } from './open-voc-dataset.js';
import { parseCsv } from './parse-csv.js';
import { readImage, readImageSize } from './read-image.js';
import { readMask } from './read-mask.js';
import type { Dataset, ImageSample } from './types.js';

export interface FolderDatasetOptions {
  readonly root: string;
  /** Only the rows whose `split` is this one (labels.csv, labels.json), or the folder `root/<split>` of class folders. */
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
  /** Leave out rows whose image is missing, telling about each, instead of failing. */
  readonly onMissing?: (file: string) => void;
}

/** A user's own folder as a data set. */
export interface FolderDataset extends Dataset {
  imageFile(id: string): string;
  imageSource(id: string): { type: 'file'; file: string };
  maskFile(id: string): string;
  readonly layout: 'labels.csv' | 'labels.json' | 'class-folders';
  /** The splits that the labels (or the folders) name, in their order, whichever of them was opened; [] when they name none. */
  readonly splits: readonly string[];
  /** The split of an image; '' when it is in none. */
  splitOf(id: string): string;
}

const IMAGE_PATTERN = /\.(jpe?g|png|webp|tiff?|bmp|avif)$/i;

/**
 * Opens a folder of images with one of: `labels.csv`, `labels.json`, or one sub-folder per class.
 *
 * - labels.csv: a header, then `file,labels[,split]` with labels separated by | or ; (or by spaces where no row has a | or ;), or one 0/1 column per
 *   class: `file,rust,crack[,split]`.
 * - labels.json: `{"photo.jpg": ["rust"], ...}`, or `{"classes": [...], "labels": {...}, "splits": {"val": ["photo.jpg"]}}`.
 * - class folders: `<root>/<class>/<image>` or, with `split`, `<root>/<split>/<class>/<image>`.
 *
 * An id is the path of the image below the image folder without extension, with '/' written as '__', so that it is a file name.
 * Masks, when present, are `masks/<id or path>.png` with values 1..K in class order, 0 background, 255 ignored.
 * @throws DatasetError 'missing-file', 'missing-labels', 'bad-labels', 'unknown-class', 'empty-list', 'bad-option'.
 */
export async function openFolderDataset(options: FolderDatasetOptions): Promise<FolderDataset> {
  const root = resolve(options.root);
  if (!(await isFolder(root))) {
    throw new DatasetError('missing-file', `Expected a folder at ${root}, found none. Check the path.`, {
      file: root,
    });
  }
  const listed = options.classes ?? (await readClassList(root));
  const table = await readLabelTable(root, options, listed);
  const layout = table.layout;
  const imageRoot =
    layout === 'class-folders'
      ? table.imageRoot
      : join(root, options.imageFolder ?? ((await isFolder(join(root, 'images'))) ? 'images' : '.'));
  const paths =
    layout === 'class-folders'
      ? [...table.rows.keys()]
      : await listImages(imageRoot, options.maskFolder ?? 'masks');

  const classes = chooseClasses(root, listed, table.classes, table.rows);
  const byKey = new Map<string, string>();
  for (const path of paths) {
    byKey.set(path, path);
    byKey.set(withoutExtension(path), path);
    const name = path.split('/').pop() as string;
    // A bare file name is enough where it is unambiguous; an entry of null marks one that is not.
    for (const key of [name, withoutExtension(name)])
      if (key !== path) byKey.set(key, byKey.has(key) && byKey.get(key) !== path ? '' : path);
  }

  const files = new Map<string, string>();
  const labels = new Map<string, Uint8Array>();
  const splitOf = new Map<string, string>();
  const missing: string[] = [];
  const labelled = new Set<string>();
  for (const [key, row] of table.rows) {
    const path = byKey.get(normal(key));
    if (path) labelled.add(path);
    if (options.split && row.split !== undefined && row.split !== options.split) continue;
    if (!path) {
      missing.push(key);
      continue;
    }
    const id = idOf(path);
    if (files.has(id)) {
      throw new DatasetError(
        'bad-labels',
        `Expected each image once in ${table.where}, ${path} occurs twice (id ${id}). Remove one row or rename a file.`,
        { id, path },
      );
    }
    const l = new Uint8Array(classes.length);
    for (const name of row.names) {
      const k = classes.indexOf(name);
      if (k < 0) {
        throw new DatasetError(
          'unknown-class',
          `Expected the labels of ${key} in ${table.where} to be among ${classes.join(', ')}; came "${name}". Check the spelling or the class list.`,
          {
            class: name,
            where: table.where,
          },
        );
      }
      l[k] = 1;
    }
    files.set(id, path);
    labels.set(id, l);
    splitOf.set(id, row.split ?? options.split ?? '');
  }
  if (options.onMissing) missing.forEach(options.onMissing);
  else if (missing.length > 0) {
    throw new DatasetError(
      'missing-file',
      `Expected the images named in ${table.where} below ${imageRoot}, ${missing.length} are missing or ambiguous: ${missing.slice(0, 3).join(', ')}. Copy them there or remove their rows.`,
      {
        missing,
        imageRoot,
      },
    );
  }
  const without = paths.filter((p) => !labelled.has(p));
  if (without.length > 0 && (options.unlabelled ?? 'error') === 'error') {
    throw new DatasetError(
      'missing-labels',
      `Expected labels for all ${paths.length} images below ${imageRoot} in ${table.where}; ${without.length} have none: ${without.slice(0, 3).join(', ')}. ` +
        "Add rows for them (empty labels = none of the classes), or set unlabelled: 'skip'.",
      { missing: without },
    );
  }
  if (options.unlabelled === 'skip') for (const p of without) options.onUnlabelled?.(join(imageRoot, p));
  const ids = [...files.keys()];
  if (ids.length === 0) {
    throw new DatasetError(
      'empty-list',
      `Expected at least one labelled image below ${root}${options.split ? ` in split "${options.split}"` : ''}, found none. Check the labels.`,
      { root },
    );
  }

  const maskRoot = join(root, options.maskFolder ?? 'masks');
  const hasMasks = await isFolder(maskRoot);
  const mapping = new Int16Array(256).fill(-1);
  for (let k = 0; k <= classes.length; k++) mapping[k] = k;
  mapping[255] = 255;
  const pathOf = (id: string): string => {
    const path = files.get(id);
    if (path === undefined)
      throw new DatasetError(
        'unknown-id',
        `Expected one of the ${ids.length} ids below ${root}, came "${id}". Use an id of dataset.ids.`,
        { id },
      );
    return path;
  };
  const imageFile = (id: string): string => join(imageRoot, pathOf(id));
  const maskFile = (id: string): string => join(maskRoot, `${withoutExtension(pathOf(id))}.png`);
  const imageLabels = (id: string): Uint8Array => {
    pathOf(id);
    return (labels.get(id) as Uint8Array).slice();
  };
  const truth = async (id: string): Promise<LabelMap> => {
    const nested = maskFile(id);
    const file = (await exists(nested)) ? nested : join(maskRoot, `${id}.png`);
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
    return { width: mask.width, height: mask.height, data: mapMask(mask.data, mapping, file) };
  };
  return {
    classes,
    ids,
    layout,
    splits: table.splits ?? [...new Set([...table.rows.values()].flatMap((row) => row.split || []))],
    splitOf: (id) => {
      pathOf(id);
      return splitOf.get(id) as string;
    },
    imageFile,
    maskFile,
    imageSource: (id) => ({ type: 'file', file: imageFile(id) }),
    imageLabels,
    async sample(id): Promise<ImageSample> {
      return { id, image: await readImage(imageFile(id)), labels: imageLabels(id) };
    },
    ...(hasMasks ? { truth } : {}),
  };
}

interface LabelRow {
  readonly names: readonly string[];
  readonly split?: string;
}

interface LabelTable {
  readonly layout: FolderDataset['layout'];
  readonly where: string;
  readonly imageRoot: string;
  readonly rows: Map<string, LabelRow>;
  /** Class names whose order the labels themselves give. */
  readonly classes?: readonly string[];
  readonly splits?: readonly string[];
}

async function readLabelTable(
  root: string,
  options: FolderDatasetOptions,
  listed: readonly string[] | undefined,
): Promise<LabelTable> {
  const file =
    options.labelsFile ?? (await firstThatExists([join(root, 'labels.csv'), join(root, 'labels.json')]));
  if (file === undefined) return readClassFolders(root, options);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch {
    throw new DatasetError('missing-file', `Expected labels at ${file}, found none. Check labelsFile.`, {
      file,
    });
  }
  return file.endsWith('.json') ? readJsonLabels(file, text) : readCsvLabels(file, text, listed);
}

function readCsvLabels(file: string, text: string, listed: readonly string[] | undefined): LabelTable {
  const bad = (reason: string): DatasetError =>
    new DatasetError(
      'bad-labels',
      `Expected a header like "file,labels" or "file,<class>,<class>,..." and one row per image in ${file}: ${reason}. Correct the file.`,
      { file, reason },
    );
  const [header, ...body] = parseCsv(text);
  if (!header || header.length < 2) throw bad('the first line has fewer than two columns');
  const lower = header.map((h) => h.toLowerCase());
  const fileColumn = Math.max(
    0,
    lower.findIndex((h) => ['file', 'image', 'filename', 'path', 'id'].includes(h)),
  );
  const splitColumn = lower.indexOf('split');
  const namesColumn = lower.findIndex((h) => ['labels', 'label', 'classes', 'class'].includes(h));
  const classColumns = header.map((_, i) => i).filter((i) => i !== fileColumn && i !== splitColumn);
  // Spaces separate labels only where nothing else does and no known class name holds them.
  const separated = namesColumn >= 0 && body.some((fields) => /[|;,]/.test(fields[namesColumn] ?? ''));
  const namesIn = (field: string): string[] => {
    const whole = field.trim();
    if (listed?.includes(whole)) return [whole];
    return whole.split(separated ? /\s*[|;,]\s*/ : /\s+/).filter(Boolean);
  };
  const rows = new Map<string, LabelRow>();
  body.forEach((fields, i) => {
    const where = `row ${i + 2}`;
    if (fields.length > header.length)
      throw bad(`${where} has ${fields.length} fields, the header ${header.length}`);
    const key = fields[fileColumn];
    if (!key) throw bad(`${where} names no file`);
    let names: string[];
    if (namesColumn >= 0) names = namesIn(fields[namesColumn] ?? '');
    else {
      names = classColumns.flatMap((c) => {
        const v = (fields[c] ?? '').toLowerCase();
        if (['1', '1.0', 'true', 'yes', 'x'].includes(v)) return [header[c]];
        if (['', '0', '0.0', 'false', 'no', '-1'].includes(v)) return [];
        throw bad(`${where}, column ${header[c]} reads "${fields[c]}", expected 0 or 1`);
      });
    }
    if (rows.has(key)) throw bad(`${key} has two rows`);
    rows.set(key, { names, split: splitColumn < 0 ? undefined : fields[splitColumn] });
  });
  return {
    layout: 'labels.csv',
    where: file,
    imageRoot: '',
    rows,
    classes: namesColumn >= 0 ? undefined : classColumns.map((c) => header[c]),
  };
}

function readJsonLabels(file: string, text: string): LabelTable {
  const bad = (reason: string): DatasetError =>
    new DatasetError(
      'bad-labels',
      `Expected {"<image>": ["<class>", ...], ...} or {"classes": [...], "labels": {...}} in ${file}: ${reason}. Correct the file.`,
      { file, reason },
    );
  let json: Record<string, unknown>;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw bad((error as Error).message);
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw bad('it holds no object');
  const nested =
    typeof json['labels'] === 'object' && json['labels'] !== null && !Array.isArray(json['labels']);
  const labels = (nested ? json['labels'] : json) as Record<string, unknown>;
  const splits = nested ? ((json['splits'] ?? {}) as Record<string, string[]>) : {};
  const splitOf = new Map(
    Object.entries(splits).flatMap(([split, keys]) => keys.map((key) => [key, split] as const)),
  );
  const rows = new Map<string, LabelRow>();
  for (const [key, value] of Object.entries(labels)) {
    const names = typeof value === 'string' ? [value] : value;
    if (!Array.isArray(names) || names.some((n) => typeof n !== 'string'))
      throw bad(`the labels of ${key} are no list of names`);
    rows.set(key, { names, split: splitOf.size > 0 ? (splitOf.get(key) ?? '') : undefined });
  }
  const classes =
    nested && Array.isArray(json['classes'])
      ? (json['classes'] as string[]).filter((c) => c !== 'background')
      : undefined;
  return { layout: 'labels.json', where: file, imageRoot: '', rows, classes };
}

/** Folder names that are splits and no classes: `<root>/<split>/<class>/<image>`. */
const SPLIT_FOLDERS = new Set(['train', 'val', 'valid', 'validation', 'test', 'trainval', 'train_aug']);

async function readClassFolders(root: string, options: FolderDatasetOptions): Promise<LabelTable> {
  const skip = new Set([options.maskFolder ?? 'masks', 'images']);
  const foldersOf = async (path: string): Promise<string[]> =>
    (await readdir(path, { withFileTypes: true }))
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.') && !skip.has(entry.name))
      .map((entry) => entry.name)
      .sort();
  const top = await foldersOf(root);
  const splits = top.length > 0 && top.every((name) => SPLIT_FOLDERS.has(name)) ? top : [];
  const imageRoot =
    options.split && (await isFolder(join(root, options.split))) ? join(root, options.split) : root;
  // One split may lack a class of another; label k must mean the same in both.
  const classes = new Set<string>();
  for (const split of splits) for (const name of await foldersOf(join(root, split))) classes.add(name);
  const rows = new Map<string, LabelRow>();
  const addClasses = async (folder: string, prefix: string, split?: string): Promise<void> => {
    for (const name of await foldersOf(folder)) {
      for (const path of await listImages(join(folder, name), ''))
        rows.set(`${prefix}${name}/${path}`, { names: [name], split });
    }
  };
  if (imageRoot === root && splits.length > 0)
    for (const split of splits) await addClasses(join(root, split), `${split}/`, split);
  else await addClasses(imageRoot, '');
  if (rows.size === 0) {
    throw new DatasetError(
      'missing-labels',
      `Expected labels.csv, labels.json or one folder of images per class in ${imageRoot}, found none of them. See docs/own-data.md for the three layouts.`,
      {
        root: imageRoot,
      },
    );
  }
  return {
    layout: 'class-folders',
    where: imageRoot,
    imageRoot,
    rows,
    splits,
    classes: classes.size > 0 ? [...classes].sort() : undefined,
  };
}

/** The names in classes.txt, when there is one. */
async function readClassList(root: string): Promise<string[] | undefined> {
  const text = await readFile(join(root, 'classes.txt'), 'utf8').catch(() => null);
  return text
    ?.replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line && line !== 'background');
}

function chooseClasses(
  root: string,
  listed: readonly string[] | undefined,
  given: readonly string[] | undefined,
  rows: Map<string, LabelRow>,
): string[] {
  const names = listed ?? given ?? [...new Set([...rows.values()].flatMap((r) => r.names))].sort();
  if (names.length === 0)
    throw new DatasetError(
      'bad-labels',
      `Expected at least one class name in the labels of ${root}, found none. Check the labels.`,
      { root },
    );
  return [...names];
}

async function listImages(folder: string, maskFolder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => []);
  const paths: string[] = [];
  for (const entry of entries) {
    if (!entry.isFile() || !IMAGE_PATTERN.test(entry.name) || entry.name.startsWith('.')) continue;
    const path = relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/');
    if (maskFolder && path.startsWith(`${maskFolder}/`)) continue;
    paths.push(path);
  }
  return paths.sort();
}

const normal = (path: string): string => path.replace(/\\/g, '/').replace(/^(\.?\/)+/, '');
const withoutExtension = (path: string): string => path.slice(0, path.length - extname(path).length);
const idOf = (path: string): string => withoutExtension(path).split('/').join('__');

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
