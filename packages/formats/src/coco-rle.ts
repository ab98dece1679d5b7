import { FormatError } from './format-error.js';
import type { ImageSize } from './images.js';
import { MAX_MASK_PIXELS } from './limits.js';

/**
 * A binary mask as COCO's run lengths: `counts` alternates background and foreground pixels, column by column.
 *
 * In a file it is `{ "size": [height, width], "counts": "..." or [...] }`.
 */
export interface CocoRle {
  width: number;
  height: number;
  counts: Uint32Array;
}

/** A binary mask: `data` is [height, width], 0 or 1. */
export interface BinaryMask {
  width: number;
  height: number;
  data: Uint8Array;
}

/**
 * Encodes a mask; every value but 0 is foreground.
 *
 * @throws FormatError `bad-value` when data does not fit the size.
 */
export function encodeRle(mask: BinaryMask): CocoRle {
  const { width, height, data } = mask;
  checkMaskSize(mask);
  if (data.length !== width * height) {
    throw new FormatError(
      'bad-value',
      `Expected ${width * height} pixels for a ${width}x${height} mask, got ${data.length}.`,
      {
        expected: width * height,
        actual: data.length,
      },
    );
  }
  const counts: number[] = [];
  let value = 0;
  let run = 0;
  for (let x = 0; x < width; x++) {
    for (let y = 0, at = x; y < height; y++, at += width) {
      const pixel = data[at] === 0 ? 0 : 1;
      if (pixel !== value) {
        counts.push(run);
        run = 0;
        value = pixel;
      }
      run++;
    }
  }
  counts.push(run);
  return { width, height, counts: Uint32Array.from(counts) };
}

/**
 * Decodes run lengths to a new mask of 0 and 1, row by row; pixels after the last run are 0.
 *
 * @throws FormatError `malformed` when the runs exceed the image, `limit` for over MAX_MASK_PIXELS.
 */
export function decodeRle(rle: CocoRle): BinaryMask {
  const { width, height } = rle;
  checkMaskSize(rle);
  const data = new Uint8Array(width * height);
  paintRle({ width, height, data }, rle, 1);
  return { width, height, data };
}

/**
 * Sets the mask's foreground to `value` in a map of the same size, in place.
 *
 * @throws FormatError `bad-value` when the sizes differ, `malformed` when the runs exceed the image.
 */
export function paintRle(map: BinaryMask, rle: CocoRle, value: number): void {
  const { width, height, data } = map;
  if (rle.width !== width || rle.height !== height || data.length !== width * height) {
    throw new FormatError(
      'bad-value',
      `Expected a ${width}x${height} mask to paint, got ${rle.width}x${rle.height}.`,
      {
        expected: [width, height],
        actual: [rle.width, rle.height],
      },
    );
  }
  checkRuns(rle);
  let position = 0;
  for (let i = 0; i < rle.counts.length; i++) {
    const end = position + rle.counts[i];
    if (i % 2 === 1) {
      let x = Math.floor(position / height);
      let y = position - x * height;
      for (; position < end; position++) {
        data[y * width + x] = value;
        if (++y === height) {
          y = 0;
          x++;
        }
      }
    }
    position = end;
  }
}

/** Number of foreground pixels. */
export function rleArea(rle: CocoRle): number {
  let area = 0;
  for (let i = 1; i < rle.counts.length; i += 2) area += rle.counts[i];
  return area;
}

/**
 * Union or intersection of masks of one size.
 *
 * @throws FormatError `bad-value` for none, or for masks of different sizes.
 */
export function mergeRle(masks: readonly CocoRle[], mode: 'union' | 'intersection' = 'union'): CocoRle {
  if (masks.length === 0)
    throw new FormatError('bad-value', 'Expected at least one mask to merge, got none.');
  const { width, height } = masks[0];
  for (const mask of masks) {
    if (mask.width !== width || mask.height !== height) {
      throw new FormatError(
        'bad-value',
        `Expected masks of one size to merge, got ${width}x${height} and ${mask.width}x${mask.height}.`,
        { sizes: [width, height, mask.width, mask.height] },
      );
    }
    checkRuns(mask);
  }
  let merged: ArrayLike<number> = masks[0].counts;
  for (const mask of masks.slice(1)) {
    merged = mergeTwo(
      normalizeRuns(merged, width * height),
      normalizeRuns(mask.counts, width * height),
      mode === 'intersection',
    );
  }
  return { width, height, counts: Uint32Array.from(merged) };
}

/** Runs without empty ones (but a first one), up to the last pixel: what walking two masks in step relies on. */
function normalizeRuns(counts: ArrayLike<number>, total: number): number[] {
  const runs = [0];
  let left = total;
  for (let i = 0; i < counts.length; i++) {
    left -= counts[i];
    if (counts[i] === 0) continue;
    if (runs.length % 2 === (i + 1) % 2) runs[runs.length - 1] += counts[i];
    else runs.push(counts[i]);
  }
  if (left > 0) {
    if (runs.length % 2 === 1) runs[runs.length - 1] += left;
    else runs.push(left);
  }
  return runs;
}

function mergeTwo(a: ArrayLike<number>, b: ArrayLike<number>, intersect: boolean): number[] {
  const result: number[] = [];
  let i = 1;
  let j = 1;
  let leftA = a.length > 0 ? a[0] : 0;
  let leftB = b.length > 0 ? b[0] : 0;
  let inA = false;
  let inB = false;
  let inside = false;
  let run = 0;
  let remaining = true;
  while (remaining) {
    const step = Math.min(leftA, leftB);
    run += step;
    leftA -= step;
    leftB -= step;
    if (leftA === 0 && i < a.length) {
      leftA = a[i++];
      inA = !inA;
    }
    if (leftB === 0 && j < b.length) {
      leftB = b[j++];
      inB = !inB;
    }
    remaining = leftA + leftB > 0;
    const before: boolean = inside;
    inside = intersect ? inA && inB : inA || inB;
    if (inside !== before || !remaining) {
      result.push(run);
      run = 0;
    }
  }
  return result;
}

/** COCO's compressed text form of the runs. */
export function rleToString(rle: CocoRle): string {
  const { counts } = rle;
  let text = '';
  for (let i = 0; i < counts.length; i++) {
    // From the fourth run on, the difference to the run two before: five bits a character, low bits first.
    let x = i > 2 ? counts[i] - counts[i - 2] : counts[i];
    let more = true;
    while (more) {
      let c = x & 0x1f;
      x >>= 5;
      more = c & 0x10 ? x !== -1 : x !== 0;
      if (more) c |= 0x20;
      text += String.fromCharCode(c + 48);
    }
  }
  return text;
}

/**
 * Reads COCO's compressed text form.
 *
 * @throws FormatError `malformed` for other characters, a number cut off, or runs that exceed the image.
 */
export function rleFromString(text: string, size: ImageSize): CocoRle {
  checkMaskSize(size);
  const counts: number[] = [];
  let at = 0;
  while (at < text.length) {
    let x = 0;
    let shift = 0;
    let c: number;
    do {
      c = text.charCodeAt(at) - 48;
      if (!(c >= 0 && c < 64) || shift > 30) {
        throw new FormatError(
          'malformed',
          at >= text.length
            ? `Expected a complete COCO run-length code, it ends inside a number at character ${at}.`
            : `Expected characters 0 to o of a COCO run-length code, got ${JSON.stringify(text[at])} at ${at}.`,
          { offset: at },
        );
      }
      x |= (c & 0x1f) << shift;
      shift += 5;
      at++;
    } while (c & 0x20);
    if (c & 0x10 && shift < 32) x |= -1 << shift;
    if (counts.length > 2) x += counts[counts.length - 2];
    if (x < 0) {
      throw new FormatError(
        'malformed',
        `Expected runs >= 0 in a COCO run-length code, got ${x} before character ${at}.`,
        {
          offset: at,
          run: x,
        },
      );
    }
    counts.push(x);
  }
  const rle = { ...pick(size), counts: Uint32Array.from(counts) };
  checkRuns(rle);
  return rle;
}

/**
 * Takes COCO's uncompressed list of runs.
 *
 * @throws FormatError `malformed` for numbers that are no runs, or exceed the image.
 */
export function rleFromCounts(counts: readonly number[], size: ImageSize): CocoRle {
  checkMaskSize(size);
  for (let i = 0; i < counts.length; i++) {
    if (!Number.isInteger(counts[i]) || counts[i] < 0 || counts[i] > MAX_MASK_PIXELS) {
      throw new FormatError(
        'malformed',
        `Expected runs of 0..${MAX_MASK_PIXELS}, got ${counts[i]} at ${i}.`,
        { index: i },
      );
    }
  }
  const rle = { ...pick(size), counts: Uint32Array.from(counts) };
  checkRuns(rle);
  return rle;
}

function pick(size: ImageSize): ImageSize {
  return { width: size.width, height: size.height };
}

/** @throws FormatError unless width and height are whole and positive and the mask is of a sane size. */
export function checkMaskSize(size: ImageSize): void {
  const { width, height } = size;
  if (!Number.isInteger(width) || !Number.isInteger(height) || width < 1 || height < 1) {
    throw new FormatError('bad-value', `Expected a mask of at least 1x1 pixel, got ${width}x${height}.`, {
      width,
      height,
    });
  }
  if (width * height > MAX_MASK_PIXELS) {
    throw new FormatError(
      'limit',
      `Expected a mask of at most ${MAX_MASK_PIXELS} pixels, got ${width}x${height}.`,
      {
        width,
        height,
      },
    );
  }
}

function checkRuns(rle: CocoRle): void {
  let total = 0;
  for (let i = 0; i < rle.counts.length; i++) total += rle.counts[i];
  if (total > rle.width * rle.height) {
    throw new FormatError(
      'malformed',
      `Expected runs of at most ${rle.width * rle.height} pixels for a ${rle.width}x${rle.height} mask, got ${total}. Are width and height swapped?`,
      { expected: rle.width * rle.height, actual: total },
    );
  }
}
