// Mean field over two labels with Potts weights: one channel, D = Q0 - Q1, is all that the messages need, since
// Q0 = 1 / (1 + 2^-t) with t = (U1 - U0 + sum of w filter(D)) / ln 2.

import { reserve } from "./arena";
import {
  alphaOf, back, corners, front, ids, kernelAt, mass, neighbours, rows, scale, setBuffers, setMass, sliceFactors, sliceWeights,
  splatFactors, splatWeights,
} from "./kernel";
import { nextRun, rewind, RUN, runLength, runStart, setImageSize } from "./order";
import { LN2, LOG2E, exp2, log2, sumLanes } from "./math";

let realPixels: i32 = 0;
let pixels: i32 = 0; // padded to a multiple of 4
let kernelCount: i32 = 0;
let planes: usize = 0; // [2][pixels]: the energies, later Q
let start: usize = 0; // (U1 - U0) / ln 2 per pixel
let work: usize = 0;
let scaled: usize = 0; // a run of one kernel, before or after its factors
let energyOffset: f64 = 0; // sum over pixels of U0

export function setTwoLabels(width: i32, height: i32, kernels: i32, planesAt: usize): void {
  setImageSize(width, height);
  realPixels = width * height;
  pixels = (realPixels + 3) & ~3;
  kernelCount = kernels;
  planes = planesAt;
  start = reserve(<u64>pixels << 2);
  work = reserve(<u64>RUN << 2);
  scaled = reserve(<u64>RUN << 2);
}

/** Reads the planes; `kind`, `floor`, `low`, `high` as in the general case. Returns 0 when a value is out of range. */
export function prepareTwo(kind: i32, floor: f32, low: f32, high: f32): i32 {
  const lows = f32x4.splat(low);
  const highs = f32x4.splat(high);
  let good = i32x4.splat(-1);
  const plane = <usize>pixels << 2;
  energyOffset = 0;
  for (let p: usize = 0; p < plane; p += 16) {
    const u0 = v128.load(planes + p);
    const u1 = v128.load(planes + p + plane);
    good = v128.and(good, v128.and(f32x4.ge(u0, lows), f32x4.le(u0, highs)));
    good = v128.and(good, v128.and(f32x4.ge(u1, lows), f32x4.le(u1, highs)));
    let t: v128;
    let first = u0;
    if (kind == 0) {
      t = f32x4.mul(f32x4.sub(u1, u0), f32x4.splat(LOG2E));
    } else {
      const bottom = f32x4.splat(floor);
      const top = f32x4.splat(1.0);
      const l0 = log2(f32x4.pmin(f32x4.pmax(u0, bottom), top));
      const l1 = log2(f32x4.pmin(f32x4.pmax(u1, bottom), top));
      t = f32x4.sub(l0, l1);
      first = f32x4.mul(l0, f32x4.splat(-LN2));
    }
    energyOffset += sumLanes(first, realPixels - <i32>(p >> 2));
    v128.store(start + p, t);
  }
  return v128.all_true<i32>(good) ? 1 : 0;
}

// --- slice and splat of one channel ------------------------------------------------------------------------------

// @ts-ignore: decorator
@inline
function value(id: usize, weight: usize, corner: usize, values: usize): f32 {
  return load<f32>(weight + (corner << 2)) * load<f32>(values + (<usize>load<u32>(id + (corner << 2)) << 2));
}

// @ts-ignore: decorator
@inline
function slice(c: i32, id: usize, weight: usize, count: i32, values: usize, acc: usize, add: bool): void {
  for (let p = 0; p < count; p++) {
    let a: f32 = add ? load<f32>(acc) : 0.0;
    let b = value(id, weight, 1, values);
    a += value(id, weight, 0, values);
    a += value(id, weight, 2, values);
    if (c == 6) {
      b += value(id, weight, 3, values);
      a += value(id, weight, 4, values);
      b += value(id, weight, 5, values);
    }
    store<f32>(acc, a + b);
    id += <usize>c << 2;
    weight += <usize>c << 2;
    acc += 4;
  }
}

function slice6(id: usize, weight: usize, count: i32, values: usize, acc: usize, add: bool): void {
  slice(6, id, weight, count, values, acc, add);
}

function slice3(id: usize, weight: usize, count: i32, values: usize, acc: usize, add: bool): void {
  slice(3, id, weight, count, values, acc, add);
}

// @ts-ignore: decorator
@inline
function accumulate(id: usize, weight: usize, corner: usize, values: usize, d: f32): void {
  const at = values + (<usize>load<u32>(id + (corner << 2)) << 2);
  store<f32>(at, load<f32>(at) + load<f32>(weight + (corner << 2)) * d);
}

// @ts-ignore: decorator
@inline
function splat(c: i32, id: usize, weight: usize, count: i32, values: usize, q: usize): void {
  for (let p = 0; p < count; p++) {
    const d = load<f32>(q);
    accumulate(id, weight, 0, values, d);
    accumulate(id, weight, 1, values, d);
    accumulate(id, weight, 2, values, d);
    if (c == 6) {
      accumulate(id, weight, 3, values, d);
      accumulate(id, weight, 4, values, d);
      accumulate(id, weight, 5, values, d);
    }
    id += <usize>c << 2;
    weight += <usize>c << 2;
    q += 4;
  }
}

function splat6(id: usize, weight: usize, count: i32, values: usize, q: usize): void {
  splat(6, id, weight, count, values, q);
}

function splat3(id: usize, weight: usize, count: i32, values: usize, q: usize): void {
  splat(3, id, weight, count, values, q);
}

function blurAxis(source: usize, target: usize, pairs: usize, total: u32, factor: f32): void {
  for (let row: u32 = 1; row < total; row++) {
    pairs += 8;
    const sum = load<f32>(source + (<usize>load<u32>(pairs) << 2)) + load<f32>(source + (<usize>load<u32>(pairs, 4) << 2));
    store<f32>(target + (<usize>row << 2), factor * (load<f32>(source + (<usize>row << 2)) + <f32>0.5 * sum));
  }
}

/** Zeroes the back buffers and row 0 of the front ones. */
export function clearTwo(): void {
  for (let i = 0; i < kernelCount; i++) {
    const k = kernelAt(i);
    memory.fill(back(k), 0, <usize>rows(k) << 2);
    store<f32>(front(k), 0);
  }
}

/** Blurs the back buffers into the front ones. `weighted`: with the kernel's scale, otherwise plainly. */
export function blurTwo(weighted: bool): void {
  for (let i = 0; i < kernelCount; i++) {
    const k = kernelAt(i);
    const c = corners(k);
    let source = back(k);
    let target = front(k);
    for (let axis = 0; axis < c; axis++) {
      blurAxis(source, target, neighbours(k) + (<usize>axis * <usize>rows(k) << 3), rows(k), axis == c - 1 && weighted ? scale(k) : 1.0);
      const swap = source;
      source = target;
      target = swap;
    }
    memory.fill(target, 0, <usize>rows(k) << 2);
    setBuffers(k, source, target);
  }
}

function sliceKernel(k: usize, first: i32, count: i32, values: usize, acc: usize, add: bool): void {
  const at = <usize>first * <usize>corners(k) << 2;
  if (corners(k) == 6) slice6(ids(k) + at, sliceWeights(k) + at, count, values, acc, add);
  else slice3(ids(k) + at, sliceWeights(k) + at, count, values, acc, add);
}

function sliceRun(first: i32, count: i32): void {
  if (kernelCount == 0) memory.fill(work, 0, <usize>count << 2);
  for (let i = 0; i < kernelCount; i++) {
    const k = kernelAt(i);
    if (sliceFactors(k) == 0) {
      sliceKernel(k, first, count, front(k), work, i > 0);
      continue;
    }
    sliceKernel(k, first, count, front(k), scaled, false);
    const factors = sliceFactors(k) + (<usize>first << 2);
    for (let p: usize = 0; p < <usize>count << 2; p += 16) {
      const part = f32x4.mul(v128.load(scaled + p), v128.load(factors + p));
      v128.store(work + p, i > 0 ? f32x4.add(v128.load(work + p), part) : part);
    }
  }
}

/** Fills the run's normalisation factors from the kernel's mass, while the run's rows and weights are near anyway. */
function normalizeRun(k: usize, first: i32, count: i32): void {
  sliceKernel(k, first, count, mass(k), scaled, false);
  const symmetric = splatFactors(k) == sliceFactors(k);
  const factors = max(splatFactors(k), sliceFactors(k)) + (<usize>first << 2);
  const alpha = f32x4.splat(alphaOf(corners(k)));
  const one = f32x4.splat(1.0);
  for (let p: usize = 0; p < <usize>count << 2; p += 16) {
    const sum = f32x4.add(f32x4.mul(v128.load(scaled + p), alpha), f32x4.splat(1e-20));
    v128.store(factors + p, f32x4.div(one, symmetric ? f32x4.sqrt(sum) : sum));
  }
}

function splatRun(first: i32, count: i32, from: usize): void {
  for (let i = 0; i < kernelCount; i++) {
    const k = kernelAt(i);
    const at = <usize>first * <usize>corners(k) << 2;
    let values = from;
    if (mass(k) != 0) normalizeRun(k, first, count);
    if (splatFactors(k) != 0) {
      const factors = splatFactors(k) + (<usize>first << 2);
      for (let p: usize = 0; p < <usize>count << 2; p += 16) {
        v128.store(scaled + p, f32x4.mul(v128.load(from + p), v128.load(factors + p)));
      }
      values = scaled;
    }
    if (corners(k) == 6) splat6(ids(k) + at, splatWeights(k) + at, count, back(k), values);
    else splat3(ids(k) + at, splatWeights(k) + at, count, back(k), values);
  }
}

/** All runs have been splatted once: the normalisation factors are known. */
function splatDone(): void {
  for (let i = 0; i < kernelCount; i++) setMass(kernelAt(i), 0);
}

/**
 * One mean-field update. `withMessage`: slice first (without it: Q = softmax(-U)); `splatNext`: splat the new D;
 * `outPlanes`: where Q0 and Q1 go, or 0; `dPlane`: where D goes, or 0.
 */
export function passTwo(withMessage: bool, splatNext: bool, outPlanes: usize, dPlane: usize): void {
  const plane = <usize>pixels << 2;
  const one = f32x4.splat(1.0);
  const limit = f32x4.splat(120.0);
  rewind();
  while (nextRun()) {
    const first = runStart();
    const count = runLength();
    if (withMessage) sliceRun(first, count);
    const at = <usize>first << 2;
    for (let p: usize = 0; p < <usize>count << 2; p += 16) {
      let t = v128.load(start + at + p);
      if (withMessage) t = f32x4.add(t, v128.load(work + p));
      // Beyond 2^120 one label's share is far below float32's resolution of the other's.
      const x = exp2(f32x4.pmin(limit, f32x4.pmax(f32x4.neg(limit), f32x4.neg(t)))); // Q1 / Q0
      const inverse = f32x4.div(one, f32x4.add(one, x));
      const d = f32x4.mul(f32x4.sub(one, x), inverse);
      if (outPlanes != 0) {
        v128.store(outPlanes + at + p, inverse);
        v128.store(outPlanes + at + p + plane, f32x4.mul(x, inverse));
      }
      if (dPlane != 0) v128.store(dPlane + at + p, d);
      v128.store(work + p, d);
    }
    if (splatNext) splatRun(first, count, work);
  }
  if (splatNext) splatDone();
}

/** Splats a plane of ones: with `blurTwo` and `sumSliced` it gives the kernels' row sums. */
export function splatOnes(): void {
  for (let p = 0; p < RUN; p++) store<f32>(work + (<usize>p << 2), 1.0);
  rewind();
  while (nextRun()) splatRun(runStart(), runLength(), work);
  splatDone();
}

/** Splats a plane of D. */
export function splatPlane(dPlane: usize): void {
  rewind();
  while (nextRun()) splatRun(runStart(), runLength(), dPlane + (<usize>runStart() << 2));
  splatDone();
}

/** Writes the sliced values as a plane. */
export function slicePlane(out: usize): void {
  rewind();
  while (nextRun()) {
    sliceRun(runStart(), runLength());
    memory.copy(out + (<usize>runStart() << 2), work, <usize>runLength() << 2);
  }
}

/** Sum over pixels of the sliced values times the plane `by` (or 1 when 0). */
export function sumSliced(by: usize): f64 {
  let total: f64 = 0;
  rewind();
  while (nextRun()) {
    const first = runStart();
    const count = runLength();
    sliceRun(first, count);
    for (let p: usize = 0; p < <usize>count << 2; p += 16) {
      let v = v128.load(work + p);
      if (by != 0) v = f32x4.mul(v, v128.load(by + (<usize>first << 2) + p));
      total += sumLanes(v, realPixels - first - <i32>(p >> 2));
    }
  }
  return total;
}

/** Sum over pixels of Q ln Q + U Q, from the stored D. */
export function energyTwo(dPlane: usize): f64 {
  let total: f64 = 0;
  const half = f32x4.splat(0.5);
  const one = f32x4.splat(1.0);
  const tiny = f32x4.splat(1e-30);
  for (let p: usize = 0; p < <usize>pixels << 2; p += 16) {
    const d = v128.load(dPlane + p);
    const q0 = f32x4.mul(half, f32x4.add(one, d));
    const q1 = f32x4.mul(half, f32x4.sub(one, d));
    let v = f32x4.mul(q0, log2(f32x4.pmax(q0, tiny)));
    v = f32x4.add(v, f32x4.mul(q1, f32x4.add(log2(f32x4.pmax(q1, tiny)), v128.load(start + p))));
    total += sumLanes(v, realPixels - <i32>(p >> 2));
  }
  return total * 0.6931471805599453 + energyOffset;
}
