// Mean field over L labels: values interleaved per lattice point and padded to vectors of four labels.
//
// The energies lie in planes (one per label, as the caller gave them), overwritten by
//   E = exp(-(U - min U))            in the product form: Q ~ E * exp(message), no maximum needed for Potts weights > 0
//   X = -(U - min U) / ln 2          in the log form: Q ~ 2^(X + message / ln 2 - max), for everything else
// Labels in the active list are filtered; the others only keep their share of the normaliser (`rest`). Where all labels
// are active and that saves a vector, the last of the list is implied instead of filtered: probabilities sum to one, so
// its filtered value is the kernels' row sum minus the other labels' values.

import { reserve } from "./arena";
import { back, corners, front, ids, kernelAt, matrix, neighbours, rows, scale, setBuffers, sliceWeights, splatWeights } from "./kernel";
import { nextRun, rewind, RUN, runLength, runStart, setImageSize } from "./order";
import { LN2, LOG2E, exp2, horizontalMax, log2, sumLanes, transposeHigh, transposeLow } from "./math";

/** Pixels that `prepare` treats at a time: all labels' values of a block stay in the first-level cache. */
const BLOCK: i32 = 256;

let realPixels: i32 = 0;
let pixels: i32 = 0; // padded to a multiple of 4
let labelCount: i32 = 0;
let kernelCount: i32 = 0;
let planes: usize = 0; // [labels][pixels]
let productForm: bool = true;
let active: usize = 0; // i32 list of label indices: the active ones first, then the others
let activeCount: i32 = 0;
let vectors: i32 = 0; // ceil(activeCount / 4)
let rest: usize = 0; // sum of E over the labels that are not active, per pixel; 0 = none
let implied: i32 = -1; // label, or -1
let rowSums: usize = 0; // per pixel: sum over kernels of w * filter(1), in powers of two
let impliedShare: usize = 0; // per pixel: Q of the implied label
let total: usize = 0; // per pixel: sum of E over all labels
let work: usize = 0; // rows of a run, [RUN][vectors]
let inverses: usize = 0; // 1 / normaliser of the run's pixels
let lowest: usize = 0; // one value per pixel of a block
let labelPeaks: usize = 0; // [labels] largest Q in the last pass (active) or at the start (all)
let restPeak: f32 = 0; // largest share of the inactive labels in the last pass
let messagePeak: f32 = 0; // largest message in the last pass, in powers of two
let energyOffset: f64 = 0; // what the planes leave out of the energies: sum over pixels of min U

export function setProblem(width: i32, height: i32, labels: i32, kernels: i32, planesAt: usize, product: bool): void {
  setImageSize(width, height);
  realPixels = width * height;
  pixels = (realPixels + 3) & ~3;
  labelCount = labels;
  kernelCount = kernels;
  planes = planesAt;
  productForm = product;
  active = reserve(<u64>labels << 2);
  labelPeaks = reserve(<u64>labels << 2);
  inverses = reserve(<u64>RUN << 2);
  lowest = reserve(<u64>BLOCK << 2);
  work = reserve(<u64>RUN * (<u64>((labels + 3) >> 2) << 4));
  rest = 0;
  implied = -1;
}

export function setPlanes(at: usize): void { planes = at; }
export function activeList(): usize { return active; }
export function peakList(): usize { return labelPeaks; }
export function largestRest(): f32 { return restPeak; }
export function largestMessage(): f32 { return messagePeak; }
export function labelPixels(): i32 { return pixels; }

/**
 * Turns the planes into E or X in place and notes each label's largest Q0 = softmax(-U).
 * `kind`: 0 energies, 1 probabilities (raised to `floor`). `low`, `high`: the range of good values. `cut`: smaller E
 * than 2^cut becomes 0, so that no product later is denormal (slow, and far below the result's resolution).
 * `sums`: a plane for the sum of E over labels. Returns 0 when a value is not finite or not in range.
 */
export function prepare(kind: i32, floor: f32, low: f32, high: f32, cut: f32, sums: usize): i32 {
  total = sums;
  const plane = <usize>pixels << 2;
  let good = i32x4.splat(-1);
  energyOffset = 0;
  const lows = f32x4.splat(low);
  const highs = f32x4.splat(high);
  for (let l = 0; l < labelCount; l++) store<f32>(labelPeaks + (<usize>l << 2), 0);
  for (let start = 0; start < pixels; start += BLOCK) {
    const end = min(start + BLOCK, pixels);
    // Minimum (energies) or maximum (probabilities) over labels.
    for (let p = start; p < end; p += 4) {
      const at = planes + (<usize>p << 2);
      let best = v128.load(at);
      for (let l = 0; l < labelCount; l++) {
        const value = v128.load(at + <usize>l * plane);
        good = v128.and(good, v128.and(f32x4.ge(value, lows), f32x4.le(value, highs)));
        best = kind == 0 ? f32x4.pmin(best, value) : f32x4.pmax(best, value);
      }
      v128.store(lowest + (<usize>(p - start) << 2), best);
    }
    for (let p = start; p < end; p += 4) {
      const at = planes + (<usize>p << 2);
      const best = v128.load(lowest + (<usize>(p - start) << 2));
      const offset = kind == 0 ? best : productForm ? f32x4.splat(0)
        : f32x4.mul(log2(f32x4.pmin(f32x4.pmax(best, f32x4.splat(floor)), f32x4.splat(1.0))), f32x4.splat(-LN2));
      energyOffset += sumLanes(offset, realPixels - p);
      let sum = f32x4.splat(0);
      if (kind == 0) {
        const factor = f32x4.splat(-LOG2E);
        for (let l = 0; l < labelCount; l++) {
          const x = f32x4.mul(f32x4.sub(v128.load(at + <usize>l * plane), best), factor);
          const e = v128.and(exp2(f32x4.pmax(f32x4.splat(cut), x)), f32x4.gt(x, f32x4.splat(cut)));
          sum = f32x4.add(sum, e);
          v128.store(at + <usize>l * plane, productForm ? e : x);
        }
      } else {
        for (let l = 0; l < labelCount; l++) {
          const e = f32x4.pmin(f32x4.pmax(v128.load(at + <usize>l * plane), f32x4.splat(floor)), f32x4.splat(1.0));
          sum = f32x4.add(sum, e);
          v128.store(at + <usize>l * plane, productForm ? e : log2(f32x4.div(e, f32x4.pmin(f32x4.pmax(best, f32x4.splat(floor)), f32x4.splat(1.0)))));
        }
      }
      v128.store(total + (<usize>p << 2), sum);
      v128.store(lowest + (<usize>(p - start) << 2), f32x4.div(f32x4.splat(1.0), sum));
    }
    if (!productForm) continue;
    for (let l = 0; l < labelCount; l++) {
      let peak = f32x4.splat(0);
      const at = planes + (<usize>start << 2) + <usize>l * plane;
      for (let p: usize = 0; p < <usize>(end - start) << 2; p += 16) {
        peak = f32x4.pmax(peak, f32x4.mul(v128.load(at + p), v128.load(lowest + p)));
      }
      const slot = labelPeaks + (<usize>l << 2);
      store<f32>(slot, max(load<f32>(slot), horizontalMax(peak)));
    }
  }
  return v128.all_true<i32>(good) ? 1 : 0;
}

/**
 * Makes the first `n` labels of the list active, and notes what the others add to the normaliser in the plane `restAt`.
 * The difference to the sum of all is exact to float32's resolution of that sum, which is all that Q can show.
 * `normalized`: the planes hold Q instead of E, whose sum is 1.
 */
export function setActive(n: i32, restAt: usize, normalized: bool): void {
  activeCount = n;
  vectors = (n + 3) >> 2;
  rest = 0;
  implied = -1;
  if (n == labelCount) return;
  rest = restAt;
  const plane = <usize>pixels << 2;
  for (let p: usize = 0; p < plane; p += 16) {
    let left = normalized ? f32x4.splat(1.0) : v128.load(total + p);
    for (let i = 0; i < n; i++) {
      left = f32x4.sub(left, v128.load(planes + <usize>load<i32>(active + (<usize>i << 2)) * plane + p));
    }
    v128.store(rest + p, f32x4.pmax(f32x4.splat(0), left));
  }
}

/** Filters all labels but the list's last, which is implied. `sums`: plane of row sums; `shareAt`: plane for its Q. */
export function setImplied(sums: usize, shareAt: usize): void {
  activeCount = labelCount - 1;
  vectors = (activeCount + 3) >> 2;
  rest = 0;
  implied = load<i32>(active + (<usize>activeCount << 2));
  rowSums = sums;
  impliedShare = shareAt;
}

// --- slice: messages of a run -------------------------------------------------------------------------------

// acc[pixel][v] (+)= sum over corners of weight * row[v], for `n` (1..6) vectors from one chunk of the row.
// @ts-ignore: decorator
@inline
function slice(n: i32, c: i32, id: usize, weight: usize, count: i32, values: usize, stride: usize,
  acc: usize, accStride: usize, add: bool): void {
  for (let p = 0; p < count; p++) {
    let a0 = f32x4.splat(0), a1 = f32x4.splat(0), a2 = f32x4.splat(0);
    let a3 = f32x4.splat(0), a4 = f32x4.splat(0), a5 = f32x4.splat(0);
    if (add) {
      a0 = v128.load(acc);
      if (n > 1) a1 = v128.load(acc, 16);
      if (n > 2) a2 = v128.load(acc, 32);
      if (n > 3) a3 = v128.load(acc, 48);
      if (n > 4) a4 = v128.load(acc, 64);
      if (n > 5) a5 = v128.load(acc, 80);
    }
    if (n == 1) {
      a0 = f32x4.add(a0, f32x4.mul(v128.load32_splat(weight), v128.load(values + <usize>load<u32>(id) * stride)));
      a1 = f32x4.mul(v128.load32_splat(weight, 4), v128.load(values + <usize>load<u32>(id, 4) * stride));
      a0 = f32x4.add(a0, f32x4.mul(v128.load32_splat(weight, 8), v128.load(values + <usize>load<u32>(id, 8) * stride)));
      if (c == 6) {
        a1 = f32x4.add(a1, f32x4.mul(v128.load32_splat(weight, 12), v128.load(values + <usize>load<u32>(id, 12) * stride)));
        a0 = f32x4.add(a0, f32x4.mul(v128.load32_splat(weight, 16), v128.load(values + <usize>load<u32>(id, 16) * stride)));
        a1 = f32x4.add(a1, f32x4.mul(v128.load32_splat(weight, 20), v128.load(values + <usize>load<u32>(id, 20) * stride)));
        id += 24;
        weight += 24;
      } else {
        id += 12;
        weight += 12;
      }
      v128.store(acc, f32x4.add(a0, a1));
    } else {
      for (let r = 0; r < c; r++) {
        const from = values + <usize>load<u32>(id) * stride;
        const w = v128.load32_splat(weight);
        a0 = f32x4.add(a0, f32x4.mul(w, v128.load(from)));
        if (n > 1) a1 = f32x4.add(a1, f32x4.mul(w, v128.load(from, 16)));
        if (n > 2) a2 = f32x4.add(a2, f32x4.mul(w, v128.load(from, 32)));
        if (n > 3) a3 = f32x4.add(a3, f32x4.mul(w, v128.load(from, 48)));
        if (n > 4) a4 = f32x4.add(a4, f32x4.mul(w, v128.load(from, 64)));
        if (n > 5) a5 = f32x4.add(a5, f32x4.mul(w, v128.load(from, 80)));
        id += 4;
        weight += 4;
      }
      v128.store(acc, a0);
      if (n > 1) v128.store(acc, a1, 16);
      if (n > 2) v128.store(acc, a2, 32);
      if (n > 3) v128.store(acc, a3, 48);
      if (n > 4) v128.store(acc, a4, 64);
      if (n > 5) v128.store(acc, a5, 80);
    }
    acc += accStride;
  }
}

// --- splat: Q of a run into the back buffer -------------------------------------------------------------------

// @ts-ignore: decorator
@inline
function accumulate(at: usize, value: v128): void {
  v128.store(at, f32x4.add(v128.load(at), value));
}

// @ts-ignore: decorator
@inline
function splat(n: i32, c: i32, id: usize, weight: usize, count: i32, values: usize, stride: usize,
  q: usize, qStride: usize): void {
  for (let p = 0; p < count; p++) {
    const q0 = v128.load(q);
    let q1 = q0, q2 = q0, q3 = q0, q4 = q0, q5 = q0;
    if (n > 1) q1 = v128.load(q, 16);
    if (n > 2) q2 = v128.load(q, 32);
    if (n > 3) q3 = v128.load(q, 48);
    if (n > 4) q4 = v128.load(q, 64);
    if (n > 5) q5 = v128.load(q, 80);
    if (n == 1) {
      accumulate(values + <usize>load<u32>(id) * stride, f32x4.mul(v128.load32_splat(weight), q0));
      accumulate(values + <usize>load<u32>(id, 4) * stride, f32x4.mul(v128.load32_splat(weight, 4), q0));
      accumulate(values + <usize>load<u32>(id, 8) * stride, f32x4.mul(v128.load32_splat(weight, 8), q0));
      if (c == 6) {
        accumulate(values + <usize>load<u32>(id, 12) * stride, f32x4.mul(v128.load32_splat(weight, 12), q0));
        accumulate(values + <usize>load<u32>(id, 16) * stride, f32x4.mul(v128.load32_splat(weight, 16), q0));
        accumulate(values + <usize>load<u32>(id, 20) * stride, f32x4.mul(v128.load32_splat(weight, 20), q0));
        id += 24;
        weight += 24;
      } else {
        id += 12;
        weight += 12;
      }
    } else {
      for (let r = 0; r < c; r++) {
        const to = values + <usize>load<u32>(id) * stride;
        const w = v128.load32_splat(weight);
        accumulate(to, f32x4.mul(w, q0));
        if (n > 1) accumulate(to + 16, f32x4.mul(w, q1));
        if (n > 2) accumulate(to + 32, f32x4.mul(w, q2));
        if (n > 3) accumulate(to + 48, f32x4.mul(w, q3));
        if (n > 4) accumulate(to + 64, f32x4.mul(w, q4));
        if (n > 5) accumulate(to + 80, f32x4.mul(w, q5));
        id += 4;
        weight += 4;
      }
    }
    q += qStride;
  }
}

// --- blur ---------------------------------------------------------------------------------------------------------

// @ts-ignore: decorator
@inline
function blurred(center: usize, a: usize, b: usize, half: v128, last: bool, factor: v128): v128 {
  const value = f32x4.add(v128.load(center), f32x4.mul(half, f32x4.add(v128.load(a), v128.load(b))));
  return last ? f32x4.mul(value, factor) : value;
}

// One axis; the last one also applies `factor`.
// @ts-ignore: decorator
@inline
function blurAxis(n: i32, last: bool, source: usize, target: usize, pairs: usize, total: u32, stride: usize, factor: v128): void {
  const half = f32x4.splat(0.5);
  let from = source;
  let to = target;
  for (let row: u32 = 1; row < total; row++) {
    from += stride;
    to += stride;
    pairs += 8;
    const a = source + <usize>load<u32>(pairs) * stride;
    const b = source + <usize>load<u32>(pairs, 4) * stride;
    v128.store(to, blurred(from, a, b, half, last, factor));
    if (n > 1) v128.store(to, blurred(from + 16, a + 16, b + 16, half, last, factor), 16);
    if (n > 2) v128.store(to, blurred(from + 32, a + 32, b + 32, half, last, factor), 32);
    if (n > 3) v128.store(to, blurred(from + 48, a + 48, b + 48, half, last, factor), 48);
    if (n > 4) v128.store(to, blurred(from + 64, a + 64, b + 64, half, last, factor), 64);
    if (n > 5) v128.store(to, blurred(from + 80, a + 80, b + 80, half, last, factor), 80);
  }
}

// @ts-ignore: decorator
@inline
function blurAxisOf(n: i32, last: bool, source: usize, target: usize, pairs: usize, total: u32, stride: usize, factor: v128): void {
  if (n == 1) {
    if (stride == 16) blurAxis(1, last, source, target, pairs, total, 16, factor);
    else blurAxis(1, last, source, target, pairs, total, stride, factor);
  } else if (n == 2) blurAxis(2, last, source, target, pairs, total, stride, factor);
  else if (n == 3) blurAxis(3, last, source, target, pairs, total, stride, factor);
  else if (n == 4) blurAxis(4, last, source, target, pairs, total, stride, factor);
  else if (n == 5) blurAxis(5, last, source, target, pairs, total, stride, factor);
  else blurAxis(6, last, source, target, pairs, total, stride, factor);
}

function blurMiddle(n: i32, source: usize, target: usize, pairs: usize, total: u32, stride: usize): void {
  blurAxisOf(n, false, source, target, pairs, total, stride, f32x4.splat(1.0));
}

function blurLast(n: i32, source: usize, target: usize, pairs: usize, total: u32, stride: usize, factor: f32): void {
  blurAxisOf(n, true, source, target, pairs, total, stride, f32x4.splat(factor));
}

/** Blurs what was splatted into every kernel's back buffer; afterwards it is the front buffer, the back one is zero. */
export function blurAll(): void {
  const stride = <usize>vectors << 4;
  for (let i = 0; i < kernelCount; i++) {
    const k = kernelAt(i);
    const c = corners(k);
    const total = rows(k);
    let source = back(k);
    let target = front(k);
    for (let axis = 0; axis < c; axis++) {
      const pairs = neighbours(k) + (<usize>axis * <usize>total << 3);
      for (let first = 0; first < vectors; first += 6) {
        const n = min(6, vectors - first);
        const offset = <usize>first << 4;
        if (axis == c - 1) blurLast(n, source + offset, target + offset, pairs, total, stride, scale(k));
        else blurMiddle(n, source + offset, target + offset, pairs, total, stride);
      }
      const swap = source;
      source = target;
      target = swap;
    }
    if (matrix(k) != 0) applyMatrix(source, total, matrix(k));
    memory.fill(source, 0, stride);
    memory.fill(target, 0, <usize>total * stride);
    setBuffers(k, source, target);
  }
}

// The compatibility matrix commutes with slicing, and lattice points are fewer than pixels. `columns`: one padded
// column per label, with the sign and alpha already in it.
function applyMatrix(values: usize, total: u32, columns: usize): void {
  const stride = <usize>vectors << 4;
  for (let row: u32 = 1; row < total; row++) {
    const at = values + <usize>row * stride;
    memory.copy(work, at, stride);
    for (let v: usize = 0; v < stride; v += 16) {
      let sum = f32x4.splat(0);
      let column = columns + v;
      for (let j = 0; j < activeCount; j++) {
        sum = f32x4.add(sum, f32x4.mul(v128.load32_splat(work + (<usize>j << 2)), v128.load(column)));
        column += stride;
      }
      v128.store(at + v, sum);
    }
  }
}

/** Zeroes the back buffers (before the first splat of a layout) and row 0 of the front ones. */
export function clearBuffers(): void {
  const stride = <usize>vectors << 4;
  for (let i = 0; i < kernelCount; i++) {
    const k = kernelAt(i);
    memory.fill(back(k), 0, <usize>rows(k) * stride);
    memory.fill(front(k), 0, stride);
  }
}

// --- the pass ---------------------------------------------------------------------------------------------------

function sliceChunk(n: i32, c: i32, id: usize, weight: usize, count: i32, values: usize, stride: usize,
  acc: usize, add: bool): void {
  if (c == 6) {
    if (n == 1) {
      if (stride == 16) slice(1, 6, id, weight, count, values, 16, acc, 16, add);
      else slice(1, 6, id, weight, count, values, stride, acc, stride, add);
    } else if (n == 2) slice(2, 6, id, weight, count, values, stride, acc, stride, add);
    else if (n == 3) slice(3, 6, id, weight, count, values, stride, acc, stride, add);
    else if (n == 4) slice(4, 6, id, weight, count, values, stride, acc, stride, add);
    else if (n == 5) slice(5, 6, id, weight, count, values, stride, acc, stride, add);
    else slice(6, 6, id, weight, count, values, stride, acc, stride, add);
  } else {
    if (n == 1) {
      if (stride == 16) slice(1, 3, id, weight, count, values, 16, acc, 16, add);
      else slice(1, 3, id, weight, count, values, stride, acc, stride, add);
    } else if (n == 2) slice(2, 3, id, weight, count, values, stride, acc, stride, add);
    else if (n == 3) slice(3, 3, id, weight, count, values, stride, acc, stride, add);
    else if (n == 4) slice(4, 3, id, weight, count, values, stride, acc, stride, add);
    else if (n == 5) slice(5, 3, id, weight, count, values, stride, acc, stride, add);
    else slice(6, 3, id, weight, count, values, stride, acc, stride, add);
  }
}

function splatChunk(n: i32, c: i32, id: usize, weight: usize, count: i32, values: usize, stride: usize, q: usize): void {
  if (c == 6) {
    if (n == 1) {
      if (stride == 16) splat(1, 6, id, weight, count, values, 16, q, 16);
      else splat(1, 6, id, weight, count, values, stride, q, stride);
    } else if (n == 2) splat(2, 6, id, weight, count, values, stride, q, stride);
    else if (n == 3) splat(3, 6, id, weight, count, values, stride, q, stride);
    else if (n == 4) splat(4, 6, id, weight, count, values, stride, q, stride);
    else if (n == 5) splat(5, 6, id, weight, count, values, stride, q, stride);
    else splat(6, 6, id, weight, count, values, stride, q, stride);
  } else {
    if (n == 1) {
      if (stride == 16) splat(1, 3, id, weight, count, values, 16, q, 16);
      else splat(1, 3, id, weight, count, values, stride, q, stride);
    } else if (n == 2) splat(2, 3, id, weight, count, values, stride, q, stride);
    else if (n == 3) splat(3, 3, id, weight, count, values, stride, q, stride);
    else if (n == 4) splat(4, 3, id, weight, count, values, stride, q, stride);
    else if (n == 5) splat(5, 3, id, weight, count, values, stride, q, stride);
    else splat(6, 3, id, weight, count, values, stride, q, stride);
  }
}

// Four labels of four pixels, from planes to one vector per pixel (or back) is a 4x4 transposition.

// @ts-ignore: decorator
@inline
function loadPlane(slot: i32, p: i32, missing: v128): v128 {
  if (slot >= activeCount) return missing;
  const label = load<i32>(active + (<usize>slot << 2));
  return v128.load(planes + ((<usize>label * <usize>pixels + <usize>p) << 2));
}

// @ts-ignore: decorator
@inline
function storePlane(slot: i32, p: i32, at: usize, value: v128): void {
  if (slot >= activeCount) return;
  const label = load<i32>(active + (<usize>slot << 2));
  v128.store(at + ((<usize>label * <usize>pixels + <usize>p) << 2), value);
}

/** Sum or maximum over the lanes of each of four vectors. */
// @ts-ignore: decorator
@inline
function acrossLanes(a: v128, b: v128, c: v128, d: v128, sum: bool): v128 {
  const ab = transposeLow(a, b);
  const AB = transposeHigh(a, b);
  const cd = transposeLow(c, d);
  const CD = transposeHigh(c, d);
  const x = sum ? f32x4.add(ab, AB) : f32x4.pmax(ab, AB); // a02 b02 a13 b13
  const y = sum ? f32x4.add(cd, CD) : f32x4.pmax(cd, CD);
  const low = v128.shuffle<i64>(x, y, 0, 2);
  const high = v128.shuffle<i64>(x, y, 1, 3);
  return sum ? f32x4.add(low, high) : f32x4.pmax(low, high);
}

/** Q of four pixels, from E and the messages in `acc`, which it replaces. */
// @ts-ignore: decorator
@inline
function softmaxProduct(p: i32, acc: usize, stride: usize, inverse: usize, withMessage: bool): void {
  let sum0 = f32x4.splat(0), sum1 = sum0, sum2 = sum0, sum3 = sum0;
  let all0 = sum0, all1 = sum0, all2 = sum0, all3 = sum0; // sums of messages
  let peak = f32x4.splat(messagePeak);
  let at = acc;
  for (let v = 0; v < vectors; v++) {
    const slot = v << 2;
    const a = loadPlane(slot, p, f32x4.splat(0));
    const b = loadPlane(slot + 1, p, f32x4.splat(0));
    const c = loadPlane(slot + 2, p, f32x4.splat(0));
    const d = loadPlane(slot + 3, p, f32x4.splat(0));
    const ab = transposeLow(a, b);
    const AB = transposeHigh(a, b);
    const cd = transposeLow(c, d);
    const CD = transposeHigh(c, d);
    let e0 = v128.shuffle<i64>(ab, cd, 0, 2);
    let e1 = v128.shuffle<i64>(ab, cd, 1, 3);
    let e2 = v128.shuffle<i64>(AB, CD, 0, 2);
    let e3 = v128.shuffle<i64>(AB, CD, 1, 3);
    if (withMessage) {
      const m0 = v128.load(at);
      const m1 = v128.load(at + stride);
      const m2 = v128.load(at + 2 * stride);
      const m3 = v128.load(at + 3 * stride);
      peak = f32x4.pmax(peak, f32x4.pmax(f32x4.pmax(m0, m1), f32x4.pmax(m2, m3)));
      if (implied >= 0) {
        all0 = f32x4.add(all0, m0);
        all1 = f32x4.add(all1, m1);
        all2 = f32x4.add(all2, m2);
        all3 = f32x4.add(all3, m3);
      }
      e0 = f32x4.mul(e0, exp2(m0));
      e1 = f32x4.mul(e1, exp2(m1));
      e2 = f32x4.mul(e2, exp2(m2));
      e3 = f32x4.mul(e3, exp2(m3));
    }
    sum0 = f32x4.add(sum0, e0);
    sum1 = f32x4.add(sum1, e1);
    sum2 = f32x4.add(sum2, e2);
    sum3 = f32x4.add(sum3, e3);
    v128.store(at, e0);
    v128.store(at + stride, e1);
    v128.store(at + 2 * stride, e2);
    v128.store(at + 3 * stride, e3);
    at += 16;
  }
  let sum = acrossLanes(sum0, sum1, sum2, sum3, true);
  if (implied >= 0) {
    let e = v128.load(planes + ((<usize>implied * <usize>pixels + <usize>p) << 2));
    if (withMessage) {
      const m = f32x4.sub(v128.load(rowSums + (<usize>p << 2)), acrossLanes(all0, all1, all2, all3, true));
      peak = f32x4.pmax(peak, m);
      e = f32x4.mul(e, exp2(m));
    }
    const inv = f32x4.div(f32x4.splat(1.0), f32x4.add(sum, e));
    scaleRows(acc, stride, inv);
    v128.store(inverse, inv);
    v128.store(impliedShare + (<usize>p << 2), f32x4.mul(e, inv));
  } else if (rest != 0) {
    const r = v128.load(rest + (<usize>p << 2));
    sum = f32x4.add(sum, r);
    const inv = f32x4.div(f32x4.splat(1.0), sum);
    restPeak = max(restPeak, horizontalMax(f32x4.mul(r, inv)));
    scaleRows(acc, stride, inv);
    v128.store(inverse, inv);
  } else {
    const inv = f32x4.div(f32x4.splat(1.0), sum);
    scaleRows(acc, stride, inv);
    v128.store(inverse, inv);
  }
  if (withMessage) messagePeak = horizontalMax(peak);
}

// @ts-ignore: decorator
@inline
function scaleRows(acc: usize, stride: usize, inv: v128): void {
  const i0 = v128.shuffle<i32>(inv, inv, 0, 0, 0, 0);
  const i1 = v128.shuffle<i32>(inv, inv, 1, 1, 1, 1);
  const i2 = v128.shuffle<i32>(inv, inv, 2, 2, 2, 2);
  const i3 = v128.shuffle<i32>(inv, inv, 3, 3, 3, 3);
  for (let v = 0; v < vectors; v++) {
    v128.store(acc, f32x4.mul(v128.load(acc), i0));
    v128.store(acc + stride, f32x4.mul(v128.load(acc + stride), i1));
    v128.store(acc + 2 * stride, f32x4.mul(v128.load(acc + 2 * stride), i2));
    v128.store(acc + 3 * stride, f32x4.mul(v128.load(acc + 3 * stride), i3));
    acc += 16;
  }
}

/** The same from X, with the maximum taken out: for messages of any sign and size. */
function softmaxLog(p: i32, acc: usize, stride: usize, inverse: usize, withMessage: bool): void {
  const nothing = f32x4.splat(-1e30);
  let max0 = nothing, max1 = nothing, max2 = nothing, max3 = nothing;
  let at = acc;
  for (let v = 0; v < vectors; v++) {
    const slot = v << 2;
    const a = loadPlane(slot, p, nothing);
    const b = loadPlane(slot + 1, p, nothing);
    const c = loadPlane(slot + 2, p, nothing);
    const d = loadPlane(slot + 3, p, nothing);
    const ab = transposeLow(a, b);
    const AB = transposeHigh(a, b);
    const cd = transposeLow(c, d);
    const CD = transposeHigh(c, d);
    let t0 = v128.shuffle<i64>(ab, cd, 0, 2);
    let t1 = v128.shuffle<i64>(ab, cd, 1, 3);
    let t2 = v128.shuffle<i64>(AB, CD, 0, 2);
    let t3 = v128.shuffle<i64>(AB, CD, 1, 3);
    if (withMessage) {
      t0 = f32x4.add(t0, v128.load(at));
      t1 = f32x4.add(t1, v128.load(at + stride));
      t2 = f32x4.add(t2, v128.load(at + 2 * stride));
      t3 = f32x4.add(t3, v128.load(at + 3 * stride));
    }
    max0 = f32x4.pmax(max0, t0);
    max1 = f32x4.pmax(max1, t1);
    max2 = f32x4.pmax(max2, t2);
    max3 = f32x4.pmax(max3, t3);
    v128.store(at, t0);
    v128.store(at + stride, t1);
    v128.store(at + 2 * stride, t2);
    v128.store(at + 3 * stride, t3);
    at += 16;
  }
  const most = acrossLanes(max0, max1, max2, max3, false);
  let sum0 = f32x4.splat(0), sum1 = sum0, sum2 = sum0, sum3 = sum0;
  const m0 = v128.shuffle<i32>(most, most, 0, 0, 0, 0);
  const m1 = v128.shuffle<i32>(most, most, 1, 1, 1, 1);
  const m2 = v128.shuffle<i32>(most, most, 2, 2, 2, 2);
  const m3 = v128.shuffle<i32>(most, most, 3, 3, 3, 3);
  at = acc;
  for (let v = 0; v < vectors; v++) {
    const e0 = exp2Below(f32x4.sub(v128.load(at), m0));
    const e1 = exp2Below(f32x4.sub(v128.load(at + stride), m1));
    const e2 = exp2Below(f32x4.sub(v128.load(at + 2 * stride), m2));
    const e3 = exp2Below(f32x4.sub(v128.load(at + 3 * stride), m3));
    sum0 = f32x4.add(sum0, e0);
    sum1 = f32x4.add(sum1, e1);
    sum2 = f32x4.add(sum2, e2);
    sum3 = f32x4.add(sum3, e3);
    v128.store(at, e0);
    v128.store(at + stride, e1);
    v128.store(at + 2 * stride, e2);
    v128.store(at + 3 * stride, e3);
    at += 16;
  }
  const inv = f32x4.div(f32x4.splat(1.0), acrossLanes(sum0, sum1, sum2, sum3, true));
  scaleRows(acc, stride, inv);
  v128.store(inverse, inv);
}

// 2^t for t <= 0; exactly 0 below 2^-60.
// @ts-ignore: decorator
@inline
function exp2Below(t: v128): v128 {
  const floor = f32x4.splat(-60.0);
  return v128.and(exp2(f32x4.pmax(floor, t)), f32x4.gt(t, floor));
}

/** Largest Q of each active label (and, in the next vector, the implied one) so far in this pass, kept as one row. */
function trackPeaks(start: i32, acc: usize, count: i32, stride: usize, peaks: usize): void {
  for (let v: usize = 0; v < stride; v += 16) {
    let peak = v128.load(peaks + v);
    let at = acc + v;
    for (let p = 0; p < count; p++) {
      peak = f32x4.pmax(peak, v128.load(at));
      at += stride;
    }
    v128.store(peaks + v, peak);
  }
  if (implied < 0) return;
  let peak = v128.load(peaks + stride);
  for (let p = 0; p < count; p += 4) peak = f32x4.pmax(peak, v128.load(impliedShare + (<usize>(start + p) << 2)));
  v128.store(peaks + stride, f32x4.splat(horizontalMax(peak)));
}

/** Messages of a run's pixels into `acc`, in powers of two. */
function sliceRun(start: i32, count: i32, acc: usize, stride: usize): void {
  if (kernelCount == 0) {
    memory.fill(acc, 0, <usize>count * stride);
    return;
  }
  for (let i = 0; i < kernelCount; i++) {
    const k = kernelAt(i);
    const c = corners(k);
    const at = <usize>start * <usize>c << 2;
    for (let first = 0; first < vectors; first += 6) {
      const offset = <usize>first << 4;
      sliceChunk(min(6, vectors - first), c, ids(k) + at, sliceWeights(k) + at, count, front(k) + offset, stride, acc + offset, i > 0);
    }
  }
}

/**
 * One mean-field update of all pixels, run by run.
 * `withMessage`: slice the front buffers first (without it: Q = softmax(-U)). `splatNext`: splat the new Q into the
 * back buffers. `outPlanes`: where Q goes as planes (may be the energies' own place), or 0. `qRows`: where Q goes in
 * rows of the active labels, or 0; `inversePlane`: where 1/normaliser goes, or 0. `peaks`: where the largest Q of each
 * active label goes (one padded row and a vector for the implied label), or 0.
 */
export function pass(withMessage: bool, splatNext: bool, outPlanes: usize, qRows: usize, inversePlane: usize, peaks: usize): void {
  const stride = <usize>vectors << 4;
  restPeak = 0;
  messagePeak = 0;
  if (peaks != 0) memory.fill(peaks, 0, stride + 16);
  rewind();
  while (nextRun()) {
    const start = runStart();
    const count = runLength();
    const acc = qRows != 0 ? qRows + <usize>start * stride : work;
    const inverse = inversePlane != 0 ? inversePlane + (<usize>start << 2) : inverses;
    if (withMessage) sliceRun(start, count, acc, stride);
    for (let p = 0; p < count; p += 4) {
      const at = acc + <usize>p * stride;
      const inv = inverse + (<usize>p << 2);
      if (productForm) {
        if (withMessage) softmaxProduct(start + p, at, stride, inv, true);
        else softmaxProduct(start + p, at, stride, inv, false);
      } else {
        softmaxLog(start + p, at, stride, inv, withMessage);
      }
    }
    if (peaks != 0) trackPeaks(start, acc, count, stride, peaks);
    if (splatNext) {
      for (let i = 0; i < kernelCount; i++) {
        const k = kernelAt(i);
        const c = corners(k);
        const at = <usize>start * <usize>c << 2;
        for (let first = 0; first < vectors; first += 6) {
          const offset = <usize>first << 4;
          splatChunk(min(6, vectors - first), c, ids(k) + at, splatWeights(k) + at, count, back(k) + offset, stride, acc + offset);
        }
      }
    }
    if (outPlanes != 0) writePlanes(start, count, acc, inverse, outPlanes);
  }
}

/** Q of a run, from rows of the active labels to planes of all labels. */
export function writePlanes(start: i32, count: i32, acc: usize, inverse: usize, out: usize): void {
  const stride = <usize>vectors << 4;
  for (let v = 0; v < vectors; v++) {
    for (let p = 0; p < count; p += 4) {
      const at = acc + (<usize>v << 4) + <usize>p * stride;
      const a = v128.load(at);
      const b = v128.load(at + stride);
      const c = v128.load(at + 2 * stride);
      const d = v128.load(at + 3 * stride);
      const ab = transposeLow(a, b);
      const AB = transposeHigh(a, b);
      const cd = transposeLow(c, d);
      const CD = transposeHigh(c, d);
      const slot = v << 2;
      storePlane(slot, start + p, out, v128.shuffle<i64>(ab, cd, 0, 2));
      storePlane(slot + 1, start + p, out, v128.shuffle<i64>(ab, cd, 1, 3));
      storePlane(slot + 2, start + p, out, v128.shuffle<i64>(AB, CD, 0, 2));
      storePlane(slot + 3, start + p, out, v128.shuffle<i64>(AB, CD, 1, 3));
    }
  }
  if (implied >= 0) {
    memory.copy(out + ((<usize>implied * <usize>pixels + <usize>start) << 2), impliedShare + (<usize>start << 2), <usize>count << 2);
    return;
  }
  for (let i = activeCount; i < labelCount; i++) {
    const offset = (<usize>load<i32>(active + (<usize>i << 2)) * <usize>pixels + <usize>start) << 2;
    for (let p: usize = 0; p < <usize>count << 2; p += 16) {
      v128.store(out + offset + p, f32x4.mul(v128.load(planes + offset + p), v128.load(inverse + p)));
    }
  }
}

/** The same for all pixels, from what `pass` stored in rows. */
export function writeAllPlanes(qRows: usize, inversePlane: usize, out: usize): void {
  writePlanes(0, pixels, qRows, inversePlane, out);
}

/** KL divergence of the stored Q, whose blurred splat the front buffers hold. */
export function divergence(qRows: usize, inversePlane: usize): f64 {
  const stride = <usize>vectors << 4;
  let total: f64 = 0;
  rewind();
  while (nextRun()) {
    const start = runStart();
    const count = runLength();
    sliceRun(start, count, work, stride);
    for (let p = 0; p < count; p += 4) {
      // A group's padding pixels are left out by masking their lanes.
      const inside = i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(realPixels - start - p));
      let sum = f32x4.splat(0);
      let messages = f32x4.splat(0);
      for (let v = 0; v < vectors; v++) {
        const at = (<usize>v << 4) + <usize>p * stride;
        for (let lane = 0; lane < 4; lane++) {
          const slot = (v << 2) + lane;
          if (slot >= activeCount) break;
          // Gather one label of four pixels: this is a diagnostic, not the fast path.
          const offset = (<usize>lane << 2) + at;
          const q = column(qRows + <usize>start * stride + offset, stride);
          const message = column(work + offset, stride);
          const energy = loadPlane(slot, start + p, f32x4.splat(0));
          messages = f32x4.add(messages, message);
          sum = f32x4.add(sum, v128.and(divergenceTerm(q, energy, message), inside));
        }
      }
      if (implied >= 0) {
        const at = <usize>(start + p) << 2;
        const message = f32x4.sub(v128.load(rowSums + at), messages);
        const energy = v128.load(planes + ((<usize>implied * <usize>pixels) << 2) + at);
        sum = f32x4.add(sum, v128.and(divergenceTerm(v128.load(impliedShare + at), energy, message), inside));
      }
      if (rest != 0) {
        const inv = v128.load(inversePlane + (<usize>(start + p) << 2));
        const share = f32x4.mul(v128.load(rest + (<usize>(start + p) << 2)), inv);
        sum = f32x4.add(sum, v128.and(f32x4.mul(share, log2(inv)), inside));
      }
      total += sumLanes(sum, 4);
    }
  }
  return total * 0.6931471805599453 + energyOffset;
}

// Q (log2 Q - log2 E - message), with X in the place of log2 E in the log form; 0 where Q is.
function divergenceTerm(q: v128, energy: v128, message: v128): v128 {
  const gain = productForm ? log2(f32x4.div(q, f32x4.pmax(energy, f32x4.splat(1e-37)))) : f32x4.sub(log2(q), energy);
  return v128.and(f32x4.mul(q, f32x4.sub(gain, message)), f32x4.gt(q, f32x4.splat(1e-30)));
}

// @ts-ignore: decorator
@inline
function column(at: usize, stride: usize): v128 {
  return f32x4(load<f32>(at), load<f32>(at + stride), load<f32>(at + 2 * stride), load<f32>(at + 3 * stride));
}

/** Largest value of each plane at `from`, into the list of peaks. */
export function planePeaks(from: usize): void {
  for (let l: usize = 0; l < <usize>labelCount; l++) {
    const at = from + ((l * <usize>pixels) << 2);
    let peak = f32x4.splat(0);
    for (let p: usize = 0; p < <usize>pixels << 2; p += 16) peak = f32x4.pmax(peak, v128.load(at + p));
    store<f32>(labelPeaks + (l << 2), horizontalMax(peak));
  }
}

/** Argmax over planes, lowest label first: bytes at `out`. */
export function argmaxPlanes(from: usize, labels: i32, padded: i32, out: usize): void {
  const plane = <usize>padded << 2;
  for (let p = 0; p < padded; p += 4) {
    let at = from + (<usize>p << 2);
    let best = v128.load(at);
    let index = i32x4.splat(0);
    for (let l = 1; l < labels; l++) {
      at += plane;
      const value = v128.load(at);
      index = v128.bitselect(i32x4.splat(l), index, f32x4.gt(value, best));
      best = f32x4.pmax(best, value);
    }
    store<u8>(out + <usize>p, <u8>i32x4.extract_lane(index, 0));
    store<u8>(out + <usize>p, <u8>i32x4.extract_lane(index, 1), 1);
    store<u8>(out + <usize>p, <u8>i32x4.extract_lane(index, 2), 2);
    store<u8>(out + <usize>p, <u8>i32x4.extract_lane(index, 3), 3);
  }
}
