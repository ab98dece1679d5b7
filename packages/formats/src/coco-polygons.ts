import { type CocoRle, checkMaskSize, mergeRle, rleFromCounts, rleFromString } from './coco-rle.js';
import { FormatError } from './format-error.js';
import type { ImageSize } from './images.js';
import { MAX_POLYGON_STEPS } from './limits.js';

// Bound once: the walk below calls them for every step, and a global costs a look-up in some sandboxes.
const { abs, ceil, floor, max, round, trunc } = Math;

/** Outlines are walked on a grid this much finer than the pixels. */
const SCALE = 5;

/** An annotation's `segmentation` as it stands in a COCO file. */
export type CocoSegmentation =
  | readonly (readonly number[])[]
  | { size: readonly [height: number, width: number]; counts: string | readonly number[] };

/**
 * The mask of an annotation's `segmentation`, whichever form it has: polygons, compressed or uncompressed runs.
 *
 * Bit for bit as pycocotools' `annToRLE`.
 *
 * @param size the image's; runs carry their own, which must agree, and must add up to it.
 * @throws FormatError `bad-value` or `malformed`.
 */
export function rleFromSegmentation(segmentation: CocoSegmentation, size: ImageSize): CocoRle {
  if (isPolygons(segmentation)) return rleFromPolygons(segmentation, size);
  const { counts, size: stored } = segmentation;
  if (!Array.isArray(stored) || stored[0] !== size.height || stored[1] !== size.width) {
    throw new FormatError(
      'bad-value',
      `Expected runs of size [${size.height}, ${size.width}] (height, width), got [${String(stored)}].`,
      { expected: [size.height, size.width], actual: stored },
    );
  }
  if (typeof counts !== 'string' && !Array.isArray(counts)) {
    throw new FormatError(
      'bad-value',
      `Expected "counts" to be a text or a list of runs, got ${typeof counts}.`,
    );
  }
  const rle = typeof counts === 'string' ? rleFromString(counts, size) : rleFromCounts(counts, size);
  const total = rle.counts.reduce((sum, run) => sum + run, 0);
  if (total !== size.width * size.height) {
    throw new FormatError(
      'malformed',
      `Expected runs of ${size.width * size.height} pixels in all for a ${size.width}x${size.height} mask, got ${total}.`,
      { expected: size.width * size.height, actual: total },
    );
  }
  return rle;
}

function isPolygons(segmentation: CocoSegmentation): segmentation is readonly (readonly number[])[] {
  return Array.isArray(segmentation);
}

/**
 * The union of polygons as a mask; none gives an empty mask.
 *
 * @param polygons each [x0, y0, x1, y1, ...] in pixels, the centre of the first pixel at (0.5, 0.5).
 * @throws FormatError `bad-value` for coordinates that are no finite numbers, `limit` over MAX_POLYGON_STEPS.
 */
export function rleFromPolygons(polygons: readonly (readonly number[])[], size: ImageSize): CocoRle {
  checkMaskSize(size);
  if (polygons.length === 0) {
    return { width: size.width, height: size.height, counts: Uint32Array.of(size.width * size.height) };
  }
  return mergeRle(polygons.map((polygon) => rleFromPolygon(polygon, size)));
}

/** A box [x, y, width, height] as a mask, rounded as its polygon is. */
export function rleFromBox(box: readonly number[], size: ImageSize): CocoRle {
  if (box.length !== 4) {
    throw new FormatError('bad-value', `Expected a box [x, y, width, height], got ${box.length} numbers.`);
  }
  const [x, y, width, height] = box;
  const right = x + width;
  const bottom = y + height;
  return rleFromPolygon([x, y, x, bottom, right, bottom, right, y], size);
}

/**
 * One polygon as a mask, bit for bit as pycocotools rasterises it.
 *
 * Source: the COCO API's rleFrPoly. Every edge is walked on a grid five times finer; where the walk crosses the
 * middle of a pixel column, the row there starts or ends a run. The truncations and half offsets below are its
 * definition of the result, odd as some look.
 */
export function rleFromPolygon(polygon: readonly number[], size: ImageSize): CocoRle {
  checkMaskSize(size);
  if (!Array.isArray(polygon)) {
    throw new FormatError(
      'bad-value',
      `Expected polygons [[x0, y0, x1, y1, ...], ...], got ${JSON.stringify(polygon)} among them.`,
    );
  }
  const { width, height } = size;
  const corners = polygon.length >> 1;
  const xs = new Float64Array(corners + 1);
  const ys = new Float64Array(corners + 1);
  let steps = 0;
  for (let j = 0; j < corners; j++) {
    const x = polygon[2 * j];
    const y = polygon[2 * j + 1];
    if (typeof x !== 'number' || typeof y !== 'number' || !Number.isFinite(x) || !Number.isFinite(y)) {
      throw new FormatError(
        'bad-value',
        `Expected finite polygon coordinates, got (${x}, ${y}) at corner ${j}.`,
        { corner: j },
      );
    }
    xs[j] = trunc(SCALE * x + 0.5);
    ys[j] = trunc(SCALE * y + 0.5);
  }
  xs[corners] = xs[0];
  ys[corners] = ys[0];
  for (let j = 0; j < corners; j++) {
    steps += max(abs(xs[j] - xs[j + 1]), abs(ys[j] - ys[j + 1])) + 1;
  }
  // Negated, so that the NaN of infinite edges is caught.
  if (!(steps <= MAX_POLYGON_STEPS)) {
    throw new FormatError(
      'limit',
      `Expected a polygon outline of at most ${MAX_POLYGON_STEPS / SCALE} pixels, got ${round(steps / SCALE)} on a ${width}x${height} image.`,
      { steps },
    );
  }

  const crossings: number[] = [];
  let started = false;
  let lastU = 0;
  let lastV = 0;
  const visit = (u: number, v: number) => {
    if (u !== lastU && started) {
      const column = ((u < lastU ? u : u - 1) + 0.5) / SCALE - 0.5;
      if (floor(column) === column && column >= 0 && column <= width - 1) {
        let row = ((v < lastV ? v : lastV) + 0.5) / SCALE - 0.5;
        if (row < 0) row = 0;
        else if (row > height) row = height;
        crossings.push(column * height + ceil(row));
      }
    }
    started = true;
    lastU = u;
    lastV = v;
  };
  for (let j = 0; j < corners; j++) {
    const dx = abs(xs[j + 1] - xs[j]);
    const dy = abs(ys[j + 1] - ys[j]);
    const wide = dx >= dy;
    // Edges are interpolated from their lower end, so that both directions give the same points.
    const flip = wide ? xs[j] > xs[j + 1] : ys[j] > ys[j + 1];
    const from = flip ? j + 1 : j;
    const to = flip ? j : j + 1;
    const length = wide ? dx : dy;
    if (length === 0) {
      visit(xs[j], ys[j]);
      continue;
    }
    const slope = wide ? (ys[to] - ys[from]) / dx : (xs[to] - xs[from]) / dy;
    for (let d = 0; d <= length; d++) {
      const t = flip ? length - d : d;
      if (wide) visit(t + xs[from], trunc(ys[from] + slope * t + 0.5));
      else visit(trunc(xs[from] + slope * t + 0.5), t + ys[from]);
    }
  }

  const ends = Float64Array.from(crossings).sort();
  const runs: number[] = [];
  const difference = (i: number) => {
    const end = i < ends.length ? ends[i] : width * height;
    return end - (i === 0 ? 0 : ends[i - 1]);
  };
  // Two crossings at one place cancel out: the runs before and after them join.
  runs.push(difference(0));
  for (let i = 1; i <= ends.length; i++) {
    const run = difference(i);
    if (run > 0) runs.push(run);
    else {
      i++;
      if (i <= ends.length) runs[runs.length - 1] += difference(i);
    }
  }
  return { width, height, counts: Uint32Array.from(runs) };
}
