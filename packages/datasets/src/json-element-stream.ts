import { createReadStream } from 'node:fs';
import { DatasetError } from './dataset-error.js';
import { fileError } from './file-error.js';
import { utf16Of } from './read-text-file.js';

/** One element of one of the wanted arrays. */
export interface JsonElement {
  /** Name of the array at the top level of the document. */
  readonly key: string;
  readonly bytes: Buffer;
  /** Where the element starts in the file; with its length it can be read again alone. */
  readonly offset: number;
}

/** Bytes read at once: large enough that the elements cut by a boundary do not matter. */
const CHUNK_BYTES = 1 << 20;
/** An element larger than this is no annotation but a damaged file. */
const MAX_ELEMENT_BYTES = 256 << 20;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const COMMA = 0x2c;
const COLON = 0x3a;

/**
 * Reads a JSON file whose top level is an object of arrays of objects, and calls `visit` with each element of the arrays named in `keys`, holding
 * one chunk of the file in memory at a time.
 * @throws DatasetError 'missing-file', 'unreadable-file'; 'bad-annotation' when the text ends too early, nests wrongly, is no object, or lacks a
 * comma between the elements.
 */
export async function streamJsonElements(
  file: string,
  keys: readonly string[],
  visit: (element: JsonElement) => void,
  onBytes?: (read: number) => void,
): Promise<void> {
  const bad = (reason: string, at: number, remedy = 'Export it or download it again, whole.'): DatasetError =>
    new DatasetError(
      'bad-annotation',
      `Expected a JSON object of arrays (COCO's instances format) in ${file}: ${reason} at byte ${at}. ${remedy}`,
      {
        file,
        byte: at,
      },
    );
  const wanted = new Set(keys);
  let depth = 0;
  let inString = false;
  let escaped = false;
  let key: string | null = null; // the array being read, when wanted
  let name: Buffer[] = []; // the last string at depth 1
  let collecting = false; // within a string at depth 1
  let parts: Buffer[] = []; // finished chunks of the current element
  let partBytes = 0;
  let inElement = false;
  let elementOffset = 0;
  let base = 0;
  let started = false;
  let finished = false;
  // What came last among the members of the document (1) and the elements of a wanted array (2).
  const last: ('nothing' | 'item' | 'comma')[] = [];
  const separates = (): boolean => depth === 1 || (depth === 2 && key !== null);
  const beginItem = (at: number): void => {
    if (last[depth] === 'item') throw bad('expected a comma', at);
    last[depth] = 'item';
  };

  try {
    for await (const chunk of createReadStream(file, {
      highWaterMark: CHUNK_BYTES,
    }) as AsyncIterable<Buffer>) {
      if (base === 0 && utf16Of(chunk)) throw bad('found UTF-16 text', 0, 'Save it as UTF-8.');
      let from = inElement || collecting ? 0 : -1; // start of the part of this chunk to keep
      for (let i = 0; i < chunk.length; i++) {
        const c = chunk[i];
        if (inString) {
          if (escaped) escaped = false;
          else if (c === BACKSLASH) escaped = true;
          else if (c === QUOTE) {
            inString = false;
            if (collecting) {
              name.push(chunk.subarray(from, i));
              collecting = false;
              from = -1;
            }
          }
          continue;
        }
        switch (c) {
          case QUOTE:
            inString = true;
            if (depth === 1) {
              collecting = true;
              name = [];
              from = i + 1;
            }
            break;
          case OPEN_BRACE:
          case OPEN_BRACKET:
            if (depth === 0) {
              if (c !== OPEN_BRACE || started) throw bad('found another top level', base + i);
              started = true;
            } else if (depth === 1) {
              const text = Buffer.concat(name).toString('utf8');
              key = c === OPEN_BRACKET && wanted.has(text) ? text : null;
            } else if (depth === 2 && key !== null) {
              beginItem(base + i);
              inElement = true;
              elementOffset = base + i;
              from = i;
            }
            last[++depth] = 'nothing';
            break;
          case CLOSE_BRACE:
          case CLOSE_BRACKET:
            if (separates() && last[depth] === 'comma')
              throw bad('expected something after the comma', base + i);
            depth--;
            if (depth < 0) throw bad('found one bracket too many', base + i);
            if (depth === 0) finished = true;
            if (depth === 2 && inElement) {
              const end = chunk.subarray(from, i + 1);
              visit({
                key: key as string,
                bytes: parts.length ? Buffer.concat([...parts, end]) : end,
                offset: elementOffset,
              });
              inElement = false;
              parts = [];
              partBytes = 0;
              from = -1;
            }
            break;
          case COLON:
            if (depth === 1) beginItem(base + i);
            break;
          case COMMA:
            if (!separates()) break;
            if (last[depth] !== 'item') throw bad('found a comma too many', base + i);
            last[depth] = 'comma';
            break;
          default:
        }
      }
      if (collecting) name.push(Buffer.from(chunk.subarray(from)));
      if (inElement) {
        parts.push(Buffer.from(chunk.subarray(from)));
        partBytes += chunk.length - from;
        if (partBytes > MAX_ELEMENT_BYTES)
          throw bad(`found an element of over ${MAX_ELEMENT_BYTES} bytes`, elementOffset);
      }
      base += chunk.length;
      onBytes?.(base);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).errno !== undefined)
      throw fileError(error, file, 'an annotation file', 'Check the path.');
    throw error;
  }
  if (!finished) throw bad('the text ends too early', base);
}
