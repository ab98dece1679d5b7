import { DatasetError } from './dataset-error.js';
import { parseCsv } from './parse-csv.js';
import { readTextFile } from './read-text-file.js';

/** What the labels of an own folder say, before they are matched with its image files. */
export interface LabelTable {
  readonly layout: 'labels.csv' | 'labels.json' | 'class-folders';
  /** The file or folder that errors name. */
  readonly where: string;
  /** Class names by the name that the labels give an image. */
  readonly rows: ReadonlyMap<string, readonly string[]>;
  /** Names of images by split; empty where no split is named. An image may be in none. */
  readonly splits: ReadonlyMap<string, readonly string[]>;
  /** Class names whose order the labels themselves give. */
  readonly classes?: readonly string[];
}

/**
 * Reads labels.csv or labels.json. `listed` are the class names known from elsewhere.
 * @throws DatasetError 'missing-file', 'unreadable-file', 'bad-encoding', 'bad-labels'.
 */
export async function readLabelTable(
  file: string,
  listed: readonly string[] | undefined,
): Promise<LabelTable> {
  // Names are compared in Unicode's composed form.
  const text = (await readTextFile(file, 'labels', 'Check labelsFile.')).normalize('NFC');
  return file.endsWith('.json') ? readJsonLabels(file, text) : readCsvLabels(file, text, listed);
}

const TRUE_WORDS = ['1', '1.0', 'true', 'yes', 'x'];
const FALSE_WORDS = ['', '0', '0.0', 'false', 'no', '-1'];

function readCsvLabels(file: string, text: string, listed: readonly string[] | undefined): LabelTable {
  const bad = (reason: string): DatasetError =>
    new DatasetError(
      'bad-labels',
      `Expected a header like "file,labels" or "file,<class>,<class>,..." and one row for each image in ${file}: ${reason}. Correct the file.`,
      { file, reason },
    );
  const [first, ...body] = parseCsv(text, file);
  const header = first?.fields ?? [];
  if (header.length < 2) throw bad('the first line has fewer than two columns');
  const lower = header.map((h) => h.toLowerCase());
  const fileColumn = Math.max(
    0,
    lower.findIndex((h) => ['file', 'image', 'filename', 'path', 'id'].includes(h)),
  );
  const splitColumn = lower.indexOf('split');
  const namesColumn = lower.findIndex((h) => ['labels', 'label', 'classes', 'class'].includes(h));
  const classColumns = header.map((_, i) => i).filter((i) => i !== fileColumn && i !== splitColumn);
  const separator = separatorOf(
    body.map(({ fields }) => fields[namesColumn] ?? '').filter((field) => !listed?.includes(field)),
  );
  const rows = new Map<string, readonly string[]>();
  const splits = new Map<string, string[]>();
  for (const { line, fields } of body) {
    // A row that is too short would silently be without its split.
    if (fields.length !== header.length)
      throw bad(`line ${line} has ${fields.length} fields, the header ${header.length}`);
    const key = fields[fileColumn];
    if (!key) throw bad(`line ${line} names no file`);
    if (rows.has(key)) throw bad(`${key} has two rows, the second in line ${line}`);
    if (namesColumn >= 0) {
      const field = fields[namesColumn];
      rows.set(key, listed?.includes(field) ? [field] : field.split(separator).filter(Boolean));
    } else {
      const names = classColumns.filter((c) => {
        const value = fields[c].toLowerCase();
        if (!TRUE_WORDS.includes(value) && !FALSE_WORDS.includes(value))
          throw bad(`line ${line}, column ${header[c]} reads "${fields[c]}", expected 0 or 1`);
        return TRUE_WORDS.includes(value);
      });
      rows.set(
        key,
        names.map((c) => header[c]),
      );
    }
    const split = fields[splitColumn];
    if (!split) continue;
    const members = splits.get(split);
    if (members) members.push(key);
    else splits.set(split, [key]);
  }
  return {
    layout: 'labels.csv',
    where: file,
    rows,
    splits,
    classes: namesColumn >= 0 ? undefined : classColumns.map((c) => header[c]),
  };
}

/** What separates labels: the first of | ; , that any field holds, so that names may hold those after it; else spaces. */
function separatorOf(fields: readonly string[]): RegExp {
  for (const [character, separator] of [
    ['|', /\s*\|\s*/],
    [';', /\s*;\s*/],
    [',', /\s*,\s*/],
  ] as const)
    if (fields.some((field) => field.includes(character))) return separator;
  return /\s+/;
}

/** The first key that an object of a valid JSON text holds twice; JSON.parse would silently keep the last. */
function repeatedKey(text: string): string | undefined {
  const keysOfOpen: Set<string>[] = [];
  for (const [, string, colon, brace] of text.matchAll(/"((?:[^"\\]|\\.)*)"(\s*:)?|([{}])/g)) {
    if (brace === '{') keysOfOpen.push(new Set());
    else if (brace === '}') keysOfOpen.pop();
    else if (colon) {
      const keys = keysOfOpen[keysOfOpen.length - 1];
      if (keys.has(string)) return string;
      keys.add(string);
    }
  }
  return undefined;
}

const isNames = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((name) => typeof name === 'string');

function readJsonLabels(file: string, text: string): LabelTable {
  const bad = (reason: string): DatasetError =>
    new DatasetError(
      'bad-labels',
      `Expected {"<image>": ["<class>", ...], ...} or {"classes": [...], "labels": {...}, "splits": {"<split>": ["<image>", ...]}} in ${file}: ${reason}. Correct the file.`,
      { file, reason },
    );
  const objectIn = (value: unknown, what: string): Record<string, unknown> => {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw bad(`${what} holds no object`);
    return value as Record<string, unknown>;
  };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw bad((error as Error).message);
  }
  const twice = repeatedKey(text);
  if (twice !== undefined) throw bad(`"${twice}" stands there twice`);
  const plain = objectIn(json, 'it');
  const { labels, classes, splits } =
    'labels' in plain && !isNames(plain['labels']) ? plain : { labels: plain };
  const rows = new Map<string, readonly string[]>();
  for (const [key, value] of Object.entries(objectIn(labels, '"labels"'))) {
    const names = typeof value === 'string' ? [value] : value;
    if (!isNames(names)) throw bad(`the labels of ${key} are no list of names`);
    rows.set(key, names);
  }
  const bySplit = new Map<string, string[]>();
  for (const [split, keys] of Object.entries(objectIn(splits ?? {}, '"splits"'))) {
    if (!isNames(keys)) throw bad(`the split "${split}" is no list of images`);
    bySplit.set(split, keys);
  }
  if (classes !== undefined && !isNames(classes)) throw bad('"classes" is no list of names');
  return { layout: 'labels.json', where: file, rows, splits: bySplit, classes };
}

/** Folder names that are splits and no classes: `<split>/<class>/<image>`. */
const SPLIT_FOLDER = /^(train(ing|val|_aug)?|val(id(ation)?)?|test(ing)?)\d*$/i;

/**
 * The labels that the folders of images give: `<class>/<image>`, or `<split>/<class>/<image>` where all folders are named like splits. Images outside
 * such folders have no row.
 * @throws DatasetError 'missing-labels' when no image lies in such a folder, 'bad-labels' when folders of splits stand beside others.
 */
export function readClassFolders(folder: string, paths: readonly string[]): LabelTable {
  const parts = paths.map((path) => path.split('/'));
  const top = [...new Set(parts.flatMap(([name, ...rest]) => (rest.length > 0 ? [name] : [])))];
  const splitNames = top.filter((name) => SPLIT_FOLDER.test(name));
  const others = top.filter((name) => !SPLIT_FOLDER.test(name));
  if (splitNames.length > 0 && others.length > 0) {
    throw new DatasetError(
      'bad-labels',
      `Expected either folders of splits or folders of classes in ${folder}, found both: the splits ${splitNames.join(', ')} beside ${others.join(', ')}. ` +
        'Move what is no part of the data elsewhere; a class named like a split needs labels.csv.',
      { folder, splits: splitNames, others },
    );
  }
  const depth = splitNames.length > 0 ? 1 : 0; // of the class's name in a path
  const rows = new Map<string, readonly string[]>();
  const splits = new Map<string, string[]>(splitNames.map((name) => [name, []]));
  paths.forEach((path, i) => {
    if (parts[i].length < depth + 2) return;
    rows.set(path, [parts[i][depth].normalize('NFC')]);
    splits.get(parts[i][0])?.push(path);
  });
  if (rows.size === 0) {
    throw new DatasetError(
      'missing-labels',
      `Expected labels.csv, labels.json or one folder of images per class in ${folder}, found none of them. See docs/own-data.md for the three layouts.`,
      { root: folder },
    );
  }
  return { layout: 'class-folders', where: folder, rows, splits };
}
