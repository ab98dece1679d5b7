import { DatasetError } from './dataset-error.js';

/** One line of an image list: the id, and the paths when the line spells them. */
export interface ListEntry {
  readonly id: string;
  /** Relative to the data root, without a leading slash. */
  readonly image?: string;
  readonly mask?: string;
}

/**
 * Parses an image list in any of the field's styles: bare ids, one image path a line, image and mask path pairs; LF or CRLF, with or
 * without a final newline, a byte-order mark or blank lines.
 * @throws DatasetError 'empty-list' when no id is left, 'bad-list' for a repeated id or a line of another kind.
 */
export function parseList(text: string, where: string): ListEntry[] {
  const entries: ListEntry[] = [];
  const seen = new Map<string, number>();
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\n|\r/);
  lines.forEach((line, index) => {
    const words = line.trim().split(/\s+/).filter(Boolean);
    if (words.length === 0) return;
    const bad = (reason: string, remedy: string): DatasetError =>
      new DatasetError(
        'bad-list',
        `Line ${index + 1} of ${where} reads "${line.trim().slice(0, 120)}": ${reason}. ${remedy}`,
        {
          file: where,
          line: index + 1,
        },
      );
    if (words.length > 2) {
      throw bad(
        `expected an id, a path, or two paths, found ${words.length} words`,
        'Paths with spaces are not supported: rename the files.',
      );
    }
    if (words.length === 2 && /^[+-]?[01]$/.test(words[1])) {
      throw bad('this is a per-class list of ImageSets/Main', 'Use a list of ImageSets/Segmentation.');
    }
    const isPath = /[/\\]/.test(words[0]) || /\.(jpe?g|png|webp)$/i.test(words[0]);
    const image = isPath ? cleanPath(words[0]) : undefined;
    const mask = words[1] === undefined ? undefined : cleanPath(words[1]);
    if (!isPath && mask)
      throw bad('an id is followed by a second word', 'Write either ids alone or pairs of paths.');
    const id = isPath ? basename(image as string) : words[0];
    const before = seen.get(id);
    if (before !== undefined)
      throw bad(`the id ${id} stands on line ${before} already`, 'Remove one of the two.');
    seen.set(id, index + 1);
    entries.push({ id, image, mask });
  });
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

function basename(path: string): string {
  return (path.split('/').pop() as string).replace(/\.[^.]+$/, '');
}
