import type { Geometry, JitterFactors } from './plan-transform.js';
import { resampleKernel } from './resample-kernel.js';

// OpenCV's fixed point: weights in 11 bits, so that results equal cv2.resize's bytes.
const WEIGHT_BITS = 11;
const WEIGHT_ONE = 1 << WEIGHT_BITS;

interface LinearTaps {
  readonly low: Int32Array;
  readonly high: Int32Array;
  readonly fraction: Float64Array; // weight of `high`
}

/** The two neighbours of each output sample with half-pixel centres and clamped borders (OpenCV INTER_LINEAR, no antialiasing). */
function linearTaps(
  source: number,
  scaled: number,
  first: number,
  count: number,
  mirror: boolean,
): LinearTaps {
  const low = new Int32Array(count);
  const high = new Int32Array(count);
  const fraction = new Float64Array(count);
  const ratio = source / scaled;
  for (let i = 0; i < count; i++) {
    const at = (first + i + 0.5) * ratio - 0.5;
    let a = Math.floor(at);
    let f = at - a;
    if (a < 0) {
      a = 0;
      f = 0;
    } else if (a >= source - 1) {
      a = source - 1;
      f = 0;
    }
    const b = f > 0 ? a + 1 : a;
    low[i] = mirror ? source - 1 - a : a;
    high[i] = mirror ? source - 1 - b : b;
    fraction[i] = f;
  }
  return { low, high, fraction };
}

/** The neighbour of each output sample as OpenCV INTER_NEAREST takes it: floor(x * ratio). */
function nearestTaps(
  source: number,
  scaled: number,
  first: number,
  count: number,
  mirror: boolean,
): Int32Array {
  const taps = new Int32Array(count);
  const ratio = source / scaled;
  for (let i = 0; i < count; i++) {
    const a = Math.min(source - 1, Math.floor((first + i) * ratio));
    taps[i] = mirror ? source - 1 - a : a;
  }
  return taps;
}

/**
 * Cuts, mirrors and resizes an image [H,W,3] into `out` at `offset`, normalised through a table of [3,256] values; padded pixels
 * become `pad`. Resizing equals cv2.resize INTER_LINEAR on bytes; jitter, when given, acts on the cut-out before normalisation.
 */
export function transformImage(input: TransformImageInput): void {
  if (input.jitter) {
    normalizeCut(cutImage(input), input);
    return;
  }
  fillPadding(input.out, input.offset, input.geometry, 3, input.pad);
  putRows(resampleThroughTable(input.data, input.geometry, input.table), input);
}

/** The resized, cut and jittered image as bytes [copyHeight,copyWidth,3], for steps between resizing and normalisation. */
export function cutImage(input: Pick<TransformImageInput, 'data' | 'geometry' | 'jitter'>): Uint8Array {
  const cut = new Uint8Array(resampleThroughTable(input.data, input.geometry, IDENTITY_TABLE));
  if (input.jitter) jitterColors(cut, input.jitter);
  return cut;
}

/** Normalises what `cutImage` gave into `out` at `offset`, with padding around it. */
export function normalizeCut(cut: Uint8Array, input: Omit<TransformImageInput, 'data' | 'jitter'>): void {
  const { table } = input;
  const floats = new Float32Array(cut.length);
  for (let i = 0; i < cut.length; i += 3) {
    floats[i] = table[cut[i]];
    floats[i + 1] = table[256 + cut[i + 1]];
    floats[i + 2] = table[512 + cut[i + 2]];
  }
  fillPadding(input.out, input.offset, input.geometry, 3, input.pad);
  putRows(floats, input);
}

function putRows(
  floats: Float32Array,
  { geometry: g, out, offset }: Pick<TransformImageInput, 'geometry' | 'out' | 'offset'>,
): void {
  const width = g.copyWidth * 3;
  for (let y = 0; y < g.copyHeight; y++) {
    out.set(
      floats.subarray(y * width, (y + 1) * width),
      offset + ((g.putY + y) * g.outputWidth + g.putX) * 3,
    );
  }
}

export interface TransformImageInput {
  readonly data: Uint8Array;
  readonly geometry: Geometry;
  readonly jitter: JitterFactors | null;
  readonly table: Float32Array; // [3,256]
  readonly pad: number;
  readonly out: Float32Array;
  readonly offset: number;
}

// Looks every byte up as itself.
const IDENTITY_TABLE = Float32Array.from({ length: 768 }, (_, i) => i % 256);

/** The cut-out [copyHeight,copyWidth,3] with every byte looked up in a table; valid until the next call. */
function resampleThroughTable(data: Uint8Array, g: Geometry, table: Float32Array): Float32Array {
  const kernel = resampleKernel(data.length);
  return kernel
    ? kernel.run({ data, stride: g.sourceWidth * 3, table, ...fixedPointTaps(g) })
    : resamplePlainly(data, g, table);
}

/** As the kernel, in plain loops: its reference, and its stand-in for huge images. */
export function resamplePlainly(data: Uint8Array, g: Geometry, table: Float32Array): Float32Array {
  const width = g.copyWidth * 3;
  const out = new Float32Array(width * g.copyHeight);
  resampleRgb(data, g, (row, y) => {
    for (let i = 0, o = y * width; i < width; i += 3, o += 3) {
      out[o] = table[row[i]];
      out[o + 1] = table[256 + row[i + 1]];
      out[o + 2] = table[512 + row[i + 2]];
    }
  });
  return out;
}

interface FixedPointTaps {
  readonly low: Int32Array;
  readonly high: Int32Array;
  readonly weights: Int32Array;
}

/** Taps for the kernel: columns as byte offsets with packed weights, rows as numbers with the weight of the lower one. */
function fixedPointTaps(g: Geometry): { columns: FixedPointTaps; rows: FixedPointTaps } {
  const x = linearTaps(g.sourceWidth, g.scaledWidth, g.cutX, g.copyWidth, g.flip);
  const y = linearTaps(g.sourceHeight, g.scaledHeight, g.cutY, g.copyHeight, false);
  const packed = (f: number): number => {
    const high = Math.round(f * WEIGHT_ONE);
    return (WEIGHT_ONE - high) | (high << 16);
  };
  return {
    columns: {
      low: x.low.map((v) => v * 3),
      high: x.high.map((v) => v * 3),
      weights: Int32Array.from(x.fraction, packed),
    },
    rows: {
      low: y.low,
      high: y.high,
      weights: Int32Array.from(y.fraction, (f) => Math.round(f * WEIGHT_ONE)),
    },
  };
}

/** Resizes and mirrors an image to bytes [outputHeight,outputWidth,3]; padding is 0. */
export function resampleImage(data: Uint8Array, geometry: Geometry): Uint8Array {
  const g = geometry;
  const out = new Uint8Array(g.outputWidth * g.outputHeight * 3);
  resampleRgb(data, g, (row, y) => out.set(row, ((g.putY + y) * g.outputWidth + g.putX) * 3));
  return out;
}

/** Calls `emit` with each row of the cut-out, as bytes; the row is only valid during the call. */
function resampleRgb(data: Uint8Array, g: Geometry, emit: (row: Uint8Array, y: number) => void): void {
  const width = g.copyWidth * 3;
  const row = new Uint8Array(width);
  const stride = g.sourceWidth * 3;
  if (g.scaledWidth === g.sourceWidth && g.scaledHeight === g.sourceHeight) {
    for (let y = 0; y < g.copyHeight; y++) {
      const start = (g.cutY + y) * stride;
      if (!g.flip) {
        emit(data.subarray(start + g.cutX * 3, start + g.cutX * 3 + width), y);
        continue;
      }
      let s = start + (g.sourceWidth - 1 - g.cutX) * 3;
      for (let i = 0; i < width; i += 3, s -= 3) {
        row[i] = data[s];
        row[i + 1] = data[s + 1];
        row[i + 2] = data[s + 2];
      }
      emit(row, y);
    }
    return;
  }
  const x = linearTaps(g.sourceWidth, g.scaledWidth, g.cutX, g.copyWidth, g.flip);
  const y = linearTaps(g.sourceHeight, g.scaledHeight, g.cutY, g.copyHeight, false);
  const low = new Int32Array(g.copyWidth);
  const high = new Int32Array(g.copyWidth);
  const lowWeight = new Int32Array(g.copyWidth);
  const highWeight = new Int32Array(g.copyWidth);
  for (let i = 0; i < g.copyWidth; i++) {
    low[i] = x.low[i] * 3;
    high[i] = x.high[i] * 3;
    highWeight[i] = Math.round(x.fraction[i] * WEIGHT_ONE);
    lowWeight[i] = WEIGHT_ONE - highWeight[i];
  }
  const horizontal = (sourceRow: number, to: Int32Array): void => {
    const start = sourceRow * stride;
    for (let i = 0, o = 0; o < width; i++, o += 3) {
      const a = start + low[i];
      const b = start + high[i];
      const p = lowWeight[i];
      const q = highWeight[i];
      // The shift belongs to the vertical pass of OpenCV; done here it runs once per row instead of twice.
      to[o] = (data[a] * p + data[b] * q) >> 4;
      to[o + 1] = (data[a + 1] * p + data[b + 1] * q) >> 4;
      to[o + 2] = (data[a + 2] * p + data[b + 2] * q) >> 4;
    }
  };
  let upper = new Int32Array(width);
  let lower = new Int32Array(width);
  let upperRow = -1;
  let lowerRow = -1;
  for (let j = 0; j < g.copyHeight; j++) {
    const a = y.low[j];
    const b = y.high[j];
    if (a !== upperRow) {
      if (a === lowerRow) {
        const swap = upper;
        upper = lower;
        lower = swap;
        lowerRow = upperRow;
      } else {
        horizontal(a, upper);
      }
      upperRow = a;
    }
    const q = Math.round(y.fraction[j] * WEIGHT_ONE);
    if (q === 0) {
      // Weight one on a single row: OpenCV's two-step rounding reduces to this.
      for (let i = 0; i < width; i++) row[i] = (((WEIGHT_ONE * upper[i]) >> 16) + 2) >> 2;
    } else {
      if (b !== lowerRow) {
        horizontal(b, lower);
        lowerRow = b;
      }
      const p = WEIGHT_ONE - q;
      for (let i = 0; i < width; i++) {
        row[i] = (((p * upper[i]) >> 16) + ((q * lower[i]) >> 16) + 2) >> 2;
      }
    }
    emit(row, j);
  }
}

/**
 * Brightness, contrast and saturation of an image [..,3] in place, as torchvision's functional ops on bytes: blend with black, with the mean of
 * the grey image, with the grey image; each result rounded down to a byte. The order is fixed (torchvision shuffles it).
 */
export function jitterColors(data: Uint8Array, { brightness, contrast, saturation }: JitterFactors): void {
  // Brightness and contrast map bytes to bytes, so both are tables; only saturation mixes channels.
  const map = new Uint8Array(256);
  for (let v = 0; v < 256; v++) map[v] = toByte(v * brightness);
  if (contrast !== 1) {
    const grey = greyTables(map);
    let sum = 0;
    for (let i = 0; i < data.length; i += 3)
      sum += (grey[data[i]] + grey[256 + data[i + 1]] + grey[512 + data[i + 2]]) | 0;
    const shift = (sum / (data.length / 3)) * (1 - contrast);
    for (let v = 0; v < 256; v++) map[v] = toByte(map[v] * contrast + shift);
  }
  if (saturation === 1) {
    for (let i = 0; i < data.length; i++) data[i] = map[data[i]];
    return;
  }
  const grey = greyTables(map);
  for (let i = 0; i < data.length; i += 3) {
    const [r, g, b] = [data[i], data[i + 1], data[i + 2]];
    const l = ((grey[r] + grey[256 + g] + grey[512 + b]) | 0) * (1 - saturation);
    data[i] = toByte(map[r] * saturation + l);
    data[i + 1] = toByte(map[g] * saturation + l);
    data[i + 2] = toByte(map[b] * saturation + l);
  }
}

function toByte(v: number): number {
  return v <= 0 ? 0 : v >= 255 ? 255 : v | 0;
}

/** What each channel's byte adds to the grey value, after a byte map: [3,256]. */
function greyTables(map: Uint8Array): Float64Array {
  const tables = new Float64Array(768);
  for (let v = 0; v < 256; v++) {
    tables[v] = 0.2989 * map[v];
    tables[256 + v] = 0.587 * map[v];
    tables[512 + v] = 0.114 * map[v];
  }
  return tables;
}

/** Cuts, mirrors and resizes (nearest) a label map [H,W] into `out` at `offset`; padded pixels become `pad`. */
export function transformLabels(input: {
  data: Uint8Array;
  geometry: Geometry;
  pad: number;
  out: Uint8Array;
  offset: number;
}): void {
  const { data, geometry: g, out, offset } = input;
  fillPadding(out, offset, g, 1, input.pad);
  const xs = nearestTaps(g.sourceWidth, g.scaledWidth, g.cutX, g.copyWidth, g.flip);
  const ys = nearestTaps(g.sourceHeight, g.scaledHeight, g.cutY, g.copyHeight, false);
  for (let y = 0; y < g.copyHeight; y++) {
    const start = ys[y] * g.sourceWidth;
    const o = offset + (g.putY + y) * g.outputWidth + g.putX;
    for (let x = 0; x < g.copyWidth; x++) out[o + x] = data[start + xs[x]];
  }
}

/** Cuts, mirrors and resizes (bilinear) a map [H,W] times `gain` into `out` at `offset`; padded pixels become `pad`. */
export function transformSaliency(input: {
  data: Float32Array | Uint8Array;
  gain: number;
  geometry: Geometry;
  pad: number;
  out: Float32Array;
  offset: number;
}): void {
  const { data, gain, geometry: g, out, offset } = input;
  fillPadding(out, offset, g, 1, input.pad);
  const x = linearTaps(g.sourceWidth, g.scaledWidth, g.cutX, g.copyWidth, g.flip);
  const y = linearTaps(g.sourceHeight, g.scaledHeight, g.cutY, g.copyHeight, false);
  for (let j = 0; j < g.copyHeight; j++) {
    const a = y.low[j] * g.sourceWidth;
    const b = y.high[j] * g.sourceWidth;
    const v = y.fraction[j];
    const o = offset + (g.putY + j) * g.outputWidth + g.putX;
    for (let i = 0; i < g.copyWidth; i++) {
      const p = x.low[i];
      const q = x.high[i];
      const u = x.fraction[i];
      const top = data[a + p] + (data[a + q] - data[a + p]) * u;
      const bottom = data[b + p] + (data[b + q] - data[b + p]) * u;
      out[o + i] = (top + (bottom - top) * v) * gain;
    }
  }
}

function fillPadding(
  out: Float32Array | Uint8Array,
  offset: number,
  g: Geometry,
  channels: number,
  pad: number,
): void {
  if (g.copyWidth < g.outputWidth || g.copyHeight < g.outputHeight) {
    out.fill(pad, offset, offset + g.outputWidth * g.outputHeight * channels);
  }
}
