import { DatasetError } from './dataset-error.js';
import { IMAGE_EXTENSIONS } from './is-image-name.js';

/** One line of an image list: the id, and the paths when the line spells them. */
export interface ListEntry {
  readonly id: string;
  /** Relative to the data root, without a leading slash. */
  readonly image?: string;
  readonly mask?: string;
}

const IMAGE_EXTENSION = `(?:${IMAGE_EXTENSIONS.map((extension) => `\\${extension}`).join('|')})`;
/** Two file names on one line; both may hold spaces, so their extensions tell where one ends. */
const PATH_PAIR = new RegExp(`^(\\S.*?${IMAGE_EXTENSION})\\s+(\\S.*${IMAGE_EXTENSION})$`, 'i');
const FILE_NAME = new RegExp(`${IMAGE_EXTENSION}$`, 'i');
/** An id and 1, 0 or -1, as ImageSets/Main has them: "%s % d". Of these marks no file name has both kinds. */
const CLASS_MARK = /^\S+\s+-?[01]$/;
const SURE_CLASS_MARK = /^\S+(?:\s+-1|\s{2,}[01])$/;

/**
 * Parses an image list in any of the field's styles: bare ids, one image path or file name a line, image and mask path pairs; names may
 * hold spaces; LF or CRLF, with or without a final newline, a byte-order mark or blank lines. A file name without a folder is an id.
 * @throws DatasetError 'empty-list' when no id is left, 'bad-list' for a repeated id or a per-class list.
 */
export function parseList(text: string, where: string): ListEntry[] {
  const entries: ListEntry[] = [];
  const seen = new Map<string, number>();
  const lines = text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\n|\r/)
    .map((line, index) => ({ text: line.trim(), number: index + 1 }))
    .filter((line) => line.text !== '');
  const bad = (line: { text: string; number: number }, reason: string, remedy: string): DatasetError =>
    new DatasetError(
      'bad-list',
      `Line ${line.number} of ${where} reads "${line.text.slice(0, 120)}": ${reason}. ${remedy}`,
      { file: where, line: line.number },
    );
  const marked = lines.find((line) => SURE_CLASS_MARK.test(line.text));
  if (marked && lines.every((line) => CLASS_MARK.test(line.text)))
    throw bad(marked, 'this is a per-class list of ImageSets/Main', 'Use a list of ImageSets/Segmentation.');
  for (const line of lines) {
    const [first, mask] = (PATH_PAIR.exec(line.text)?.slice(1) ?? [line.text]).map(cleanPath);
    const id = stem(first);
    const before = seen.get(id);
    if (before !== undefined)
      throw bad(line, `the id ${id} stands on line ${before} already`, 'Remove one of the two.');
    seen.set(id, line.number);
    entries.push({ id, image: first.includes('/') || mask !== undefined ? first : undefined, mask });
  }
  if (entries.length === 0) {
    throw new DatasetError(
      'empty-list',
      `Expected at least one image id in ${where}, found none. Write one id on each line.`,
      {
        file: where,
      },
    );
  }
  return entries;
}

function cleanPath(path: string): string {
  return path.replace(/\\/g, '/').replace(/^(\.?\/)+/, '');
}

/** The file name without its folder and, where it is that of an image, its extension: ids may hold dots. */
function stem(path: string): string {
  return (path.split('/').pop() as string).replace(FILE_NAME, '');
}
