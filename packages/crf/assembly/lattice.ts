// Building a kernel's permutohedral lattice: simplex of each pixel, lattice points, neighbours, normalisation.
//
// All float32 steps of the geometry are those of the C++ reference (no fused multiply-add, round half to even,
// ties ranked by `di < dj` for i < j), because rounding decides which lattice points exist.
//
// A vertex has integer coordinates k_0..k_d that are congruent mod d+1 and sum to zero, so that d of them tell it.
// With radices m_i that make q -> sum m_i q_i injective and a sum S of radices coprime to d+1, the number
// sum m_i k_i is a unique key, and being linear it makes every step between vertices one addition: to the simplex's
// next vertex (all coordinates +1, one of them - (d+1)) and to a blur neighbour (all -1, one of them + (d+1)).
// One 32-bit key suffices at usual sigmas; wide lattices use two (coordinates 0..2 and 3..4), kept as one 64-bit key.

import { arenaReset, arenaTop, reserve } from "./arena";
import { alphaOf, kernelAt, setFactors, setLattice } from "./kernel";
import { MAGIC, MAGIC_BITS } from "./math";
import { nextRun, rewind, RUN, runLength, runStart, setImageSize } from "./order";

const FIBONACCI: u32 = 0x9e3779b1;
const GOLDEN: u32 = 0x85ebca6b;

// Vertices of a run's pixels, per block of four pixels: keys, second keys, barycentric weights; [6 corners][4 pixels]
// each.
const HIGH_KEYS: usize = 96;
const WEIGHTS: usize = 192;
const VERTICES: usize = 288;
const runVertices: usize = memory.data(288 * (RUN / 4), 16);
// Vertices that the table lacks: addresses of the key and of the row to be written.
const missingList: usize = memory.data(8 * (6 * RUN + 1), 16);
// Features of a block that crosses a row's end.
const blockFeatures: usize = memory.data(32, 16);

// Radices times (d+1), per coordinate, and their plain sums: step of the key where all coordinates grow by one.
const radices: usize = memory.data(24, 16);
const highRadices: usize = memory.data(24, 16);
const scales: usize = memory.data(32, 16); // elevation scale per axis, f32
const extents: usize = memory.data(40, 16); // largest scaled feature per axis, f64
const spans: usize = memory.data(40, 16); // cells per coordinate, f64
let stepAll: u32 = 0;
let highStepAll: u32 = 0;

/** Buckets that a table starts with, as a power of two: twice as many entries as one run may add. */
const FIRST_TABLE: u32 = 9;

// The table: buckets of four slots, 32 bytes (4 keys, 4 rows) or 64 (and 4 high keys, padding), so that a look-up is
// one cache line and vector comparisons instead of a branch per probe. Slots fill in order; row 0 marks an empty one;
// a full bucket overflows into the next.
let table: usize = 0;
let bucketsLog2: u32 = 0;
let count: u32 = 0;
let keys: usize = 0; // u32 by row
let highKeys: usize = 0;

function fround(x: f64): f64 {
  return <f64><f32>x;
}

/** Number of cells that coordinate i spans, with margins for the simplex and for probing one step outside. */
function span(low: f64, high: f64, corner: f64): f64 {
  return Math.floor((high + corner) / corner) - Math.floor((low - corner) / corner) + 3.0;
}

/** Chooses radices; returns 0 when one 32-bit key suffices, 1 for two, -1 when even two are too short. */
function chooseRadices(c: i32): i32 {
  const d = c - 1;
  const corner = <f64>c;
  // Extents of the elevated coordinates: e_i = -i f_i + sum of f_j over j > i, with f_j in 0..extents[j].
  let above: f64 = 0.0;
  for (let i = d; i >= 0; i--) {
    const own = i > 0 ? load<f64>(extents + (<usize>(i - 1) << 3)) : 0.0;
    if (i < d) store<f64>(spans + (<usize>i << 3), span(-(<f64>i) * own, above, corner));
    above += own;
  }
  let product: f64 = corner;
  for (let i = 0; i < d; i++) product *= load<f64>(spans + (<usize>i << 3));
  const limit: f64 = 4294967296.0 - 64.0;
  const wide = product > limit;
  if (wide && c == 3) return -1;
  const split = wide ? 3 : d;
  let radix: f64 = 1.0;
  let sum: f64 = 0.0;
  for (let i = 0; i < split; i++) {
    if (i == split - 1) {
      // The last radix may grow a little: make the sum of radices coprime to d+1.
      while (!coprime(sum + radix, c)) radix += 1.0;
    }
    store<u32>(radices + (<usize>i << 2), <u32><u64>(radix * corner));
    sum += radix;
    radix *= load<f64>(spans + (<usize>i << 3));
  }
  for (let i = split; i < 6; i++) store<u32>(radices + (<usize>i << 2), 0);
  if (radix * corner > limit) return -1;
  stepAll = <u32><u64>sum;
  for (let i = 0; i < 6; i++) store<u32>(highRadices + (<usize>i << 2), 0);
  highStepAll = 0;
  if (!wide) return 0;
  radix = 1.0;
  sum = 0.0;
  for (let i = split; i < d; i++) {
    store<u32>(highRadices + (<usize>i << 2), <u32><u64>(radix * corner));
    sum += radix;
    radix *= load<f64>(spans + (<usize>i << 3));
  }
  if (radix * corner > limit) return -1;
  highStepAll = <u32><u64>sum;
  return 1;
}

function coprime(sum: f64, c: i32): bool {
  const n = <u64>sum;
  return n % 3 != 0 && (c == 3 || n % 2 != 0);
}

// @ts-ignore: decorator
@inline
function bucketOf(key: u32, high: u32, wide: bool): u32 {
  return (wide ? key * FIBONACCI + high * GOLDEN : key * FIBONACCI) >> (32 - bucketsLog2);
}

/** Row of the key in the bucket at `at`, 0 when it is not there: four comparisons at once, no branch. */
// @ts-ignore: decorator
@inline
function rowInBucket(at: usize, key: u32, high: u32, wide: bool): u32 {
  let equal = i32x4.eq(v128.load(at), i32x4.splat(<i32>key));
  if (wide) equal = v128.and(equal, i32x4.eq(v128.load(at, 32), i32x4.splat(<i32>high)));
  const mask = i32x4.bitmask(equal);
  // Empty slots hold key 0 and row 0; they come after the used ones.
  return select<u32>(load<u32>(at + (<usize>(ctz(mask) & 3) << 2), 16), 0, mask != 0);
}

// @ts-ignore: decorator
@inline
function isFull(at: usize): bool {
  return load<u32>(at, 28) != 0;
}

/** Offset of the first empty slot in a bucket that is not full. */
// @ts-ignore: decorator
@inline
function firstEmpty(at: usize): usize {
  return <usize>ctz(i32x4.bitmask(i32x4.eq(v128.load(at, 16), i32x4.splat(0)))) << 2;
}

/** Row of the key, added with a zero value in `values` when absent. */
function searchOrAdd(key: u32, high: u32, wide: bool, bucket: u32, values: usize): u32 {
  const mask = (<u32>1 << bucketsLog2) - 1;
  while (true) {
    const at = table + (<usize>bucket << (wide ? 6 : 5));
    const row = rowInBucket(at, key, high, wide);
    if (row != 0) return row;
    if (!isFull(at)) {
      const added = ++count;
      const slot = at + firstEmpty(at);
      store<u32>(slot, key);
      store<u32>(slot, added, 16);
      if (wide) store<u32>(slot, high, 32);
      store<u32>(keys + (<usize>added << 2), key);
      if (wide) store<u32>(highKeys + (<usize>added << 2), high);
      store<f32>(values + (<usize>added << 2), 0.0);
      return added;
    }
    bucket = (bucket + 1) & mask;
  }
}

function search(key: u32, high: u32, wide: bool, bucket: u32): u32 {
  const mask = (<u32>1 << bucketsLog2) - 1;
  while (true) {
    const at = table + (<usize>bucket << (wide ? 6 : 5));
    const row = rowInBucket(at, key, high, wide);
    if (row != 0 || !isFull(at)) return row;
    bucket = (bucket + 1) & mask;
  }
}

/** Makes a table of 2^log2 empty buckets at the arena's top and enters all rows. */
function makeTable(log2: u32, wide: bool): void {
  bucketsLog2 = log2;
  const bytes = <u64>(wide ? 64 : 32) << log2;
  table = reserve(bytes);
  memory.fill(table, 0, <usize>bytes);
  const mask = (<u32>1 << log2) - 1;
  for (let row: u32 = 1; row <= count; row++) {
    const key = load<u32>(keys + (<usize>row << 2));
    const high: u32 = wide ? load<u32>(highKeys + (<usize>row << 2)) : 0;
    let bucket = bucketOf(key, high, wide);
    while (isFull(table + (<usize>bucket << (wide ? 6 : 5)))) bucket = (bucket + 1) & mask;
    let at = table + (<usize>bucket << (wide ? 6 : 5));
    at += firstEmpty(at);
    store<u32>(at, key);
    store<u32>(at, row, 16);
    if (wide) store<u32>(at, high, 32);
  }
}

// @ts-ignore: decorator
@inline
function pick(rank: v128, wanted: i32, value: v128): v128 {
  return v128.and(i32x4.eq(rank, i32x4.splat(wanted)), value);
}

/** Simplex of four pixels in five dimensions; features already times the elevation scales. */
// @ts-ignore: decorator
@inline
function simplex5(cx: v128, cy: v128, cr: v128, cg: v128, cb: v128, wide: bool, out: usize): void {
  const inverse = f32x4.splat(<f32>(1.0 / 6.0));
  const magic = f32x4.splat(MAGIC);
  const six = f32x4.splat(6.0);
  // Elevate, from the last axis to the first as the reference sums.
  const e5 = f32x4.sub(f32x4.splat(0), f32x4.mul(f32x4.splat(5.0), cb));
  let sum = cb;
  const e4 = f32x4.sub(sum, f32x4.mul(f32x4.splat(4.0), cg));
  sum = f32x4.add(sum, cg);
  const e3 = f32x4.sub(sum, f32x4.mul(f32x4.splat(3.0), cr));
  sum = f32x4.add(sum, cr);
  const e2 = f32x4.sub(sum, f32x4.mul(f32x4.splat(2.0), cy));
  sum = f32x4.add(sum, cy);
  const e1 = f32x4.sub(sum, cx);
  const e0 = f32x4.add(sum, cx);

  // Nearest vertex of remainder 0: s_i = magic + round(e_i / 6).
  let s0 = f32x4.add(f32x4.mul(inverse, e0), magic);
  let s1 = f32x4.add(f32x4.mul(inverse, e1), magic);
  let s2 = f32x4.add(f32x4.mul(inverse, e2), magic);
  let s3 = f32x4.add(f32x4.mul(inverse, e3), magic);
  let s4 = f32x4.add(f32x4.mul(inverse, e4), magic);
  let s5 = f32x4.add(f32x4.mul(inverse, e5), magic);
  const base = i32x4.splat(MAGIC_BITS);
  let n0 = i32x4.sub(s0, base);
  let n1 = i32x4.sub(s1, base);
  let n2 = i32x4.sub(s2, base);
  let n3 = i32x4.sub(s3, base);
  let n4 = i32x4.sub(s4, base);
  const n5 = i32x4.sub(s5, base);
  s0 = f32x4.mul(f32x4.sub(s0, magic), six);
  s1 = f32x4.mul(f32x4.sub(s1, magic), six);
  s2 = f32x4.mul(f32x4.sub(s2, magic), six);
  s3 = f32x4.mul(f32x4.sub(s3, magic), six);
  s4 = f32x4.mul(f32x4.sub(s4, magic), six);
  s5 = f32x4.mul(f32x4.sub(s5, magic), six);
  const d0 = f32x4.sub(e0, s0);
  const d1 = f32x4.sub(e1, s1);
  const d2 = f32x4.sub(e2, s2);
  const d3 = f32x4.sub(e3, s3);
  const d4 = f32x4.sub(e4, s4);
  const d5 = f32x4.sub(e5, s5);

  // Ranks start at the sum of the rounded coordinates, which moves the point back onto the plane. A comparison mask
  // is -1 where true: the smaller of a pair gets +1, written as r_i -= c, r_j += 1 + c (the ones are added here).
  const off = i32x4.add(i32x4.add(i32x4.add(n0, n1), i32x4.add(n2, n3)), i32x4.add(n4, n5));
  let r0 = off;
  let r1 = i32x4.add(off, i32x4.splat(1));
  let r2 = i32x4.add(off, i32x4.splat(2));
  let r3 = i32x4.add(off, i32x4.splat(3));
  let r4 = i32x4.add(off, i32x4.splat(4));
  let r5 = i32x4.add(off, i32x4.splat(5));
  let c = f32x4.lt(d0, d1); r0 = i32x4.sub(r0, c); r1 = i32x4.add(r1, c);
  c = f32x4.lt(d0, d2); r0 = i32x4.sub(r0, c); r2 = i32x4.add(r2, c);
  c = f32x4.lt(d0, d3); r0 = i32x4.sub(r0, c); r3 = i32x4.add(r3, c);
  c = f32x4.lt(d0, d4); r0 = i32x4.sub(r0, c); r4 = i32x4.add(r4, c);
  c = f32x4.lt(d0, d5); r0 = i32x4.sub(r0, c); r5 = i32x4.add(r5, c);
  c = f32x4.lt(d1, d2); r1 = i32x4.sub(r1, c); r2 = i32x4.add(r2, c);
  c = f32x4.lt(d1, d3); r1 = i32x4.sub(r1, c); r3 = i32x4.add(r3, c);
  c = f32x4.lt(d1, d4); r1 = i32x4.sub(r1, c); r4 = i32x4.add(r4, c);
  c = f32x4.lt(d1, d5); r1 = i32x4.sub(r1, c); r5 = i32x4.add(r5, c);
  c = f32x4.lt(d2, d3); r2 = i32x4.sub(r2, c); r3 = i32x4.add(r3, c);
  c = f32x4.lt(d2, d4); r2 = i32x4.sub(r2, c); r4 = i32x4.add(r4, c);
  c = f32x4.lt(d2, d5); r2 = i32x4.sub(r2, c); r5 = i32x4.add(r5, c);
  c = f32x4.lt(d3, d4); r3 = i32x4.sub(r3, c); r4 = i32x4.add(r4, c);
  c = f32x4.lt(d3, d5); r3 = i32x4.sub(r3, c); r5 = i32x4.add(r5, c);
  c = f32x4.lt(d4, d5); r4 = i32x4.sub(r4, c); r5 = i32x4.add(r5, c);

  // Wrap ranks into 0..5; the coordinate moves one cell along.
  const zero = i32x4.splat(0);
  const five = i32x4.splat(5);
  const sixes = i32x4.splat(6);
  let lt = i32x4.lt_s(r0, zero); let gt = i32x4.gt_s(r0, five);
  r0 = i32x4.add(r0, i32x4.sub(v128.and(lt, sixes), v128.and(gt, sixes)));
  n0 = i32x4.sub(i32x4.add(n0, gt), lt);
  const v0 = f32x4.mul(f32x4.sub(e0, f32x4.add(s0, f32x4.sub(v128.and(lt, six), v128.and(gt, six)))), inverse);
  lt = i32x4.lt_s(r1, zero); gt = i32x4.gt_s(r1, five);
  r1 = i32x4.add(r1, i32x4.sub(v128.and(lt, sixes), v128.and(gt, sixes)));
  n1 = i32x4.sub(i32x4.add(n1, gt), lt);
  const v1 = f32x4.mul(f32x4.sub(e1, f32x4.add(s1, f32x4.sub(v128.and(lt, six), v128.and(gt, six)))), inverse);
  lt = i32x4.lt_s(r2, zero); gt = i32x4.gt_s(r2, five);
  r2 = i32x4.add(r2, i32x4.sub(v128.and(lt, sixes), v128.and(gt, sixes)));
  n2 = i32x4.sub(i32x4.add(n2, gt), lt);
  const v2 = f32x4.mul(f32x4.sub(e2, f32x4.add(s2, f32x4.sub(v128.and(lt, six), v128.and(gt, six)))), inverse);
  lt = i32x4.lt_s(r3, zero); gt = i32x4.gt_s(r3, five);
  r3 = i32x4.add(r3, i32x4.sub(v128.and(lt, sixes), v128.and(gt, sixes)));
  n3 = i32x4.sub(i32x4.add(n3, gt), lt);
  const v3 = f32x4.mul(f32x4.sub(e3, f32x4.add(s3, f32x4.sub(v128.and(lt, six), v128.and(gt, six)))), inverse);
  lt = i32x4.lt_s(r4, zero); gt = i32x4.gt_s(r4, five);
  r4 = i32x4.add(r4, i32x4.sub(v128.and(lt, sixes), v128.and(gt, sixes)));
  n4 = i32x4.sub(i32x4.add(n4, gt), lt);
  const v4 = f32x4.mul(f32x4.sub(e4, f32x4.add(s4, f32x4.sub(v128.and(lt, six), v128.and(gt, six)))), inverse);
  lt = i32x4.lt_s(r5, zero); gt = i32x4.gt_s(r5, five);
  r5 = i32x4.add(r5, i32x4.sub(v128.and(lt, sixes), v128.and(gt, sixes)));
  const v5 = f32x4.mul(f32x4.sub(e5, f32x4.add(s5, f32x4.sub(v128.and(lt, six), v128.and(gt, six)))), inverse);

  // The offset value and the radix of the coordinate that has each rank.
  const w0 = v128.or(v128.or(v128.or(pick(r0, 0, v0), pick(r1, 0, v1)), v128.or(pick(r2, 0, v2), pick(r3, 0, v3))), v128.or(pick(r4, 0, v4), pick(r5, 0, v5)));
  const w1 = v128.or(v128.or(v128.or(pick(r0, 1, v0), pick(r1, 1, v1)), v128.or(pick(r2, 1, v2), pick(r3, 1, v3))), v128.or(pick(r4, 1, v4), pick(r5, 1, v5)));
  const w2 = v128.or(v128.or(v128.or(pick(r0, 2, v0), pick(r1, 2, v1)), v128.or(pick(r2, 2, v2), pick(r3, 2, v3))), v128.or(pick(r4, 2, v4), pick(r5, 2, v5)));
  const w3 = v128.or(v128.or(v128.or(pick(r0, 3, v0), pick(r1, 3, v1)), v128.or(pick(r2, 3, v2), pick(r3, 3, v3))), v128.or(pick(r4, 3, v4), pick(r5, 3, v5)));
  const w4 = v128.or(v128.or(v128.or(pick(r0, 4, v0), pick(r1, 4, v1)), v128.or(pick(r2, 4, v2), pick(r3, 4, v3))), v128.or(pick(r4, 4, v4), pick(r5, 4, v5)));
  const w5 = v128.or(v128.or(v128.or(pick(r0, 5, v0), pick(r1, 5, v1)), v128.or(pick(r2, 5, v2), pick(r3, 5, v3))), v128.or(pick(r4, 5, v4), pick(r5, 5, v5)));
  v128.store(out, f32x4.add(w5, f32x4.sub(f32x4.splat(1.0), w0)), WEIGHTS);
  v128.store(out, f32x4.sub(w4, w5), WEIGHTS + 16);
  v128.store(out, f32x4.sub(w3, w4), WEIGHTS + 32);
  v128.store(out, f32x4.sub(w2, w3), WEIGHTS + 48);
  v128.store(out, f32x4.sub(w1, w2), WEIGHTS + 64);
  v128.store(out, f32x4.sub(w0, w1), WEIGHTS + 80);

  const m0 = v128.load32_splat(radices);
  const m1 = v128.load32_splat(radices, 4);
  const m2 = v128.load32_splat(radices, 8);
  const step = i32x4.splat(<i32>stepAll);
  if (wide) {
    let key = i32x4.add(i32x4.add(i32x4.mul(n0, m0), i32x4.mul(n1, m1)), i32x4.mul(n2, m2));
    v128.store(out, key);
    key = i32x4.sub(i32x4.add(key, step), v128.or(v128.or(pick(r0, 5, m0), pick(r1, 5, m1)), pick(r2, 5, m2)));
    v128.store(out, key, 16);
    key = i32x4.sub(i32x4.add(key, step), v128.or(v128.or(pick(r0, 4, m0), pick(r1, 4, m1)), pick(r2, 4, m2)));
    v128.store(out, key, 32);
    key = i32x4.sub(i32x4.add(key, step), v128.or(v128.or(pick(r0, 3, m0), pick(r1, 3, m1)), pick(r2, 3, m2)));
    v128.store(out, key, 48);
    key = i32x4.sub(i32x4.add(key, step), v128.or(v128.or(pick(r0, 2, m0), pick(r1, 2, m1)), pick(r2, 2, m2)));
    v128.store(out, key, 64);
    key = i32x4.sub(i32x4.add(key, step), v128.or(v128.or(pick(r0, 1, m0), pick(r1, 1, m1)), pick(r2, 1, m2)));
    v128.store(out, key, 80);
    const h3 = v128.load32_splat(highRadices, 12);
    const h4 = v128.load32_splat(highRadices, 16);
    const highStep = i32x4.splat(<i32>highStepAll);
    key = i32x4.add(i32x4.mul(n3, h3), i32x4.mul(n4, h4));
    v128.store(out, key, HIGH_KEYS);
    key = i32x4.sub(i32x4.add(key, highStep), v128.or(pick(r3, 5, h3), pick(r4, 5, h4)));
    v128.store(out, key, HIGH_KEYS + 16);
    key = i32x4.sub(i32x4.add(key, highStep), v128.or(pick(r3, 4, h3), pick(r4, 4, h4)));
    v128.store(out, key, HIGH_KEYS + 32);
    key = i32x4.sub(i32x4.add(key, highStep), v128.or(pick(r3, 3, h3), pick(r4, 3, h4)));
    v128.store(out, key, HIGH_KEYS + 48);
    key = i32x4.sub(i32x4.add(key, highStep), v128.or(pick(r3, 2, h3), pick(r4, 2, h4)));
    v128.store(out, key, HIGH_KEYS + 64);
    key = i32x4.sub(i32x4.add(key, highStep), v128.or(pick(r3, 1, h3), pick(r4, 1, h4)));
    v128.store(out, key, HIGH_KEYS + 80);
  } else {
    const m3 = v128.load32_splat(radices, 12);
    const m4 = v128.load32_splat(radices, 16);
    let key = i32x4.add(
      i32x4.add(i32x4.add(i32x4.mul(n0, m0), i32x4.mul(n1, m1)), i32x4.add(i32x4.mul(n2, m2), i32x4.mul(n3, m3))),
      i32x4.mul(n4, m4));
    v128.store(out, key);
    key = i32x4.sub(i32x4.add(key, step), v128.or(v128.or(v128.or(pick(r0, 5, m0), pick(r1, 5, m1)), v128.or(pick(r2, 5, m2), pick(r3, 5, m3))), pick(r4, 5, m4)));
    v128.store(out, key, 16);
    key = i32x4.sub(i32x4.add(key, step), v128.or(v128.or(v128.or(pick(r0, 4, m0), pick(r1, 4, m1)), v128.or(pick(r2, 4, m2), pick(r3, 4, m3))), pick(r4, 4, m4)));
    v128.store(out, key, 32);
    key = i32x4.sub(i32x4.add(key, step), v128.or(v128.or(v128.or(pick(r0, 3, m0), pick(r1, 3, m1)), v128.or(pick(r2, 3, m2), pick(r3, 3, m3))), pick(r4, 3, m4)));
    v128.store(out, key, 48);
    key = i32x4.sub(i32x4.add(key, step), v128.or(v128.or(v128.or(pick(r0, 2, m0), pick(r1, 2, m1)), v128.or(pick(r2, 2, m2), pick(r3, 2, m3))), pick(r4, 2, m4)));
    v128.store(out, key, 64);
    key = i32x4.sub(i32x4.add(key, step), v128.or(v128.or(v128.or(pick(r0, 1, m0), pick(r1, 1, m1)), v128.or(pick(r2, 1, m2), pick(r3, 1, m3))), pick(r4, 1, m4)));
    v128.store(out, key, 80);
  }
}

/** Simplex of four pixels in two dimensions. */
// @ts-ignore: decorator
@inline
function simplex2(cx: v128, cy: v128, out: usize): void {
  const inverse = f32x4.splat(<f32>(1.0 / 3.0));
  const magic = f32x4.splat(MAGIC);
  const three = f32x4.splat(3.0);
  const e2 = f32x4.sub(f32x4.splat(0), f32x4.mul(f32x4.splat(2.0), cy));
  const e1 = f32x4.sub(cy, cx);
  const e0 = f32x4.add(cy, cx);
  let s0 = f32x4.add(f32x4.mul(inverse, e0), magic);
  let s1 = f32x4.add(f32x4.mul(inverse, e1), magic);
  let s2 = f32x4.add(f32x4.mul(inverse, e2), magic);
  const base = i32x4.splat(MAGIC_BITS);
  let n0 = i32x4.sub(s0, base);
  let n1 = i32x4.sub(s1, base);
  const n2 = i32x4.sub(s2, base);
  s0 = f32x4.mul(f32x4.sub(s0, magic), three);
  s1 = f32x4.mul(f32x4.sub(s1, magic), three);
  s2 = f32x4.mul(f32x4.sub(s2, magic), three);
  const d0 = f32x4.sub(e0, s0);
  const d1 = f32x4.sub(e1, s1);
  const d2 = f32x4.sub(e2, s2);
  const off = i32x4.add(i32x4.add(n0, n1), n2);
  let r0 = off;
  let r1 = i32x4.add(off, i32x4.splat(1));
  let r2 = i32x4.add(off, i32x4.splat(2));
  let c = f32x4.lt(d0, d1); r0 = i32x4.sub(r0, c); r1 = i32x4.add(r1, c);
  c = f32x4.lt(d0, d2); r0 = i32x4.sub(r0, c); r2 = i32x4.add(r2, c);
  c = f32x4.lt(d1, d2); r1 = i32x4.sub(r1, c); r2 = i32x4.add(r2, c);
  const zero = i32x4.splat(0);
  const two = i32x4.splat(2);
  const threes = i32x4.splat(3);
  let lt = i32x4.lt_s(r0, zero); let gt = i32x4.gt_s(r0, two);
  r0 = i32x4.add(r0, i32x4.sub(v128.and(lt, threes), v128.and(gt, threes)));
  n0 = i32x4.sub(i32x4.add(n0, gt), lt);
  const v0 = f32x4.mul(f32x4.sub(e0, f32x4.add(s0, f32x4.sub(v128.and(lt, three), v128.and(gt, three)))), inverse);
  lt = i32x4.lt_s(r1, zero); gt = i32x4.gt_s(r1, two);
  r1 = i32x4.add(r1, i32x4.sub(v128.and(lt, threes), v128.and(gt, threes)));
  n1 = i32x4.sub(i32x4.add(n1, gt), lt);
  const v1 = f32x4.mul(f32x4.sub(e1, f32x4.add(s1, f32x4.sub(v128.and(lt, three), v128.and(gt, three)))), inverse);
  lt = i32x4.lt_s(r2, zero); gt = i32x4.gt_s(r2, two);
  r2 = i32x4.add(r2, i32x4.sub(v128.and(lt, threes), v128.and(gt, threes)));
  const v2 = f32x4.mul(f32x4.sub(e2, f32x4.add(s2, f32x4.sub(v128.and(lt, three), v128.and(gt, three)))), inverse);
  const w0 = v128.or(v128.or(pick(r0, 0, v0), pick(r1, 0, v1)), pick(r2, 0, v2));
  const w1 = v128.or(v128.or(pick(r0, 1, v0), pick(r1, 1, v1)), pick(r2, 1, v2));
  const w2 = v128.or(v128.or(pick(r0, 2, v0), pick(r1, 2, v1)), pick(r2, 2, v2));
  v128.store(out, f32x4.add(w2, f32x4.sub(f32x4.splat(1.0), w0)), WEIGHTS);
  v128.store(out, f32x4.sub(w1, w2), WEIGHTS + 16);
  v128.store(out, f32x4.sub(w0, w1), WEIGHTS + 32);
  const m0 = v128.load32_splat(radices);
  const m1 = v128.load32_splat(radices, 4);
  const step = i32x4.splat(<i32>stepAll);
  let key = i32x4.add(i32x4.mul(n0, m0), i32x4.mul(n1, m1));
  v128.store(out, key);
  key = i32x4.sub(i32x4.add(key, step), v128.or(pick(r0, 2, m0), pick(r1, 2, m1)));
  v128.store(out, key, 16);
  key = i32x4.sub(i32x4.add(key, step), v128.or(pick(r0, 1, m0), pick(r1, 1, m1)));
  v128.store(out, key, 32);
}

// Enters one corner of a pixel without a branch: a vertex that the table does not hold yet gets row 0 for now, and its
// place goes on the list of missing ones. (One in ten is missing, in no order that a processor could predict.)
// @ts-ignore: decorator
@inline
function enterCorner(r: usize, wide: bool, from: usize, idOut: usize, weightOut: usize, values: usize, missing: usize): usize {
  const key = load<u32>(from + (r << 4));
  const high: u32 = wide ? load<u32>(from + (r << 4), HIGH_KEYS) : 0;
  const bucket = bucketOf(key, high, wide);
  const row = rowInBucket(table + (<usize>bucket << (wide ? 6 : 5)), key, high, wide);
  const weight = load<f32>(from + (r << 4), WEIGHTS);
  store<u32>(idOut + (r << 2), row);
  store<f32>(weightOut + (r << 2), weight);
  const value = values + (<usize>row << 2);
  store<f32>(value, load<f32>(value) + weight);
  store<u32>(missing, <u32>(from + (r << 4)));
  store<u32>(missing, <u32>(idOut + (r << 2)), 4);
  return missing + (<usize>(row == 0) << 3);
}

/** Enters the vertices of a run's blocks; writes rows and weights of its pixels, and splats a one into `values`. */
// @ts-ignore: decorator
@inline
function enterRun(c: usize, wide: bool, blocks: i32, idOut: usize, weightOut: usize, values: usize): void {
  let from = runVertices;
  let missing = missingList;
  for (let block = 0; block < blocks; block++) {
    for (let lane = 0; lane < 4; lane++) {
      missing = enterCorner(0, wide, from, idOut, weightOut, values, missing);
      missing = enterCorner(1, wide, from, idOut, weightOut, values, missing);
      missing = enterCorner(2, wide, from, idOut, weightOut, values, missing);
      if (c == 6) {
        missing = enterCorner(3, wide, from, idOut, weightOut, values, missing);
        missing = enterCorner(4, wide, from, idOut, weightOut, values, missing);
        missing = enterCorner(5, wide, from, idOut, weightOut, values, missing);
      }
      from += 4;
      idOut += c << 2;
      weightOut += c << 2;
    }
    from += VERTICES - 16;
  }
  for (let at = missingList; at < missing; at += 8) {
    const vertex = <usize>load<u32>(at);
    const key = load<u32>(vertex);
    const high: u32 = wide ? load<u32>(vertex, HIGH_KEYS) : 0;
    const row = searchOrAdd(key, high, wide, bucketOf(key, high, wide), values);
    store<u32>(<usize>load<u32>(at, 4), row);
    const value = values + (<usize>row << 2);
    store<f32>(value, load<f32>(value) + load<f32>(vertex, WEIGHTS));
  }
}

// Bytes of R, G or B of four pixels, spread to the low byte of each 32-bit lane.
// @ts-ignore: decorator
@inline
function channel(bytes: v128, index: i32): v128 {
  const pattern = index == 0
    ? i8x16(0, 16, 16, 16, 3, 16, 16, 16, 6, 16, 16, 16, 9, 16, 16, 16)
    : index == 1
      ? i8x16(1, 16, 16, 16, 4, 16, 16, 16, 7, 16, 16, 16, 10, 16, 16, 16)
      : i8x16(2, 16, 16, 16, 5, 16, 16, 16, 8, 16, 16, 16, 11, 16, 16, 16);
  return f32x4.convert_i32x4_u(i8x16.swizzle(bytes, pattern));
}

/** Pixels of the padding weigh nothing, so that the passes need no tail. */
function clearPadding(c: usize, lanes: i32, out: usize): void {
  for (let r: usize = 0; r < c; r++) {
    for (let lane = lanes; lane < 4; lane++) store<f32>(out + (r << 4) + (<usize>lane << 2), 0, WEIGHTS);
  }
}

// @ts-ignore: decorator
@inline
function place(c: usize, wide: bool, width: i32, pixels: i32, image: usize, sigmas: usize, scales: usize,
  columnTable: usize, idOut: usize, weightOut: usize, values: usize): void {
  const sy = load<f32>(sigmas, 4);
  const scaleY = load<f32>(scales, 4);
  const sr = v128.load32_splat(sigmas, 8);
  const sg = v128.load32_splat(sigmas, 12);
  const sb = v128.load32_splat(sigmas, 16);
  const scaleR = v128.load32_splat(scales, 8);
  const scaleG = v128.load32_splat(scales, 12);
  const scaleB = v128.load32_splat(scales, 16);
  rewind();
  while (nextRun()) {
    const first = runStart();
    const last = first + runLength();
    let y = first / width;
    let x = first - y * width;
    let cy = f32x4.splat(<f32>y / sy * scaleY);
    let out = runVertices;
    for (let pixel = first; pixel < last; pixel += 4) {
    const lanes = min(4, pixels - pixel);
    let cx: v128;
    let cyBlock = cy;
    if (x + 4 <= width && lanes == 4) {
      cx = v128.load(columnTable + (<usize>x << 2));
      x += 4;
      if (x == width) {
        x = 0;
        y++;
        cy = f32x4.splat(<f32>y / sy * scaleY);
      }
    } else {
      // The group crosses a row's end (or the image's, where the features are zero).
      v128.store(blockFeatures, f32x4.splat(0));
      v128.store(blockFeatures, f32x4.splat(0), 16);
      for (let lane = 0; lane < lanes; lane++) {
        store<f32>(blockFeatures + (<usize>lane << 2), load<f32>(columnTable + (<usize>x << 2)));
        store<f32>(blockFeatures + (<usize>lane << 2), f32x4.extract_lane(cy, 0), 16);
        if (++x == width) {
          x = 0;
          y++;
          cy = f32x4.splat(<f32>y / sy * scaleY);
        }
      }
      cx = v128.load(blockFeatures);
      cyBlock = v128.load(blockFeatures, 16);
    }
    if (c == 6) {
      const bytes = v128.load(image + <usize>pixel * 3);
      simplex5(
        cx, cyBlock,
        f32x4.mul(f32x4.div(channel(bytes, 0), sr), scaleR),
        f32x4.mul(f32x4.div(channel(bytes, 1), sg), scaleG),
        f32x4.mul(f32x4.div(channel(bytes, 2), sb), scaleB),
        wide, out,
      );
    } else {
      simplex2(cx, cyBlock, out);
    }
    if (lanes < 4) clearPadding(c, lanes, out);
    out += VERTICES;
    }
    if (count + 6 * RUN > <u32>2 << bucketsLog2) makeTable(bucketsLog2 + 1, wide);
    enterRun(c, wide, (last - first) >> 2, idOut + (<usize>first * c << 2), weightOut + (<usize>first * c << 2), values);
  }
}

function place6(width: i32, pixels: i32, image: usize, sigmas: usize, scales: usize, columnTable: usize,
  idOut: usize, weightOut: usize, values: usize): void {
  place(6, false, width, pixels, image, sigmas, scales, columnTable, idOut, weightOut, values);
}

function place6Wide(width: i32, pixels: i32, image: usize, sigmas: usize, scales: usize, columnTable: usize,
  idOut: usize, weightOut: usize, values: usize): void {
  place(6, true, width, pixels, image, sigmas, scales, columnTable, idOut, weightOut, values);
}

function place3(width: i32, pixels: i32, sigmas: usize, scales: usize, columnTable: usize,
  idOut: usize, weightOut: usize, values: usize): void {
  place(3, false, width, pixels, 0, sigmas, scales, columnTable, idOut, weightOut, values);
}

// Links a row to its neighbour along one axis: the key is one addition away. A missing neighbour is row 0, whose own
// entries are put right at the end.
// @ts-ignore: decorator
@inline
function linkAxis(axis: usize, wide: bool, row: u32, key: u32, high: u32, pairs: usize, size: usize): void {
  const probe = key + load<u32>(radices + (axis << 2)) - stepAll;
  const highProbe: u32 = wide ? high + load<u32>(highRadices + (axis << 2)) - highStepAll : 0;
  const bucket = bucketOf(probe, highProbe, wide);
  const at = table + (<usize>bucket << (wide ? 6 : 5));
  let found = rowInBucket(at, probe, highProbe, wide);
  // One branch that is hardly ever taken, instead of two of which the first is a coin toss.
  if (<u32>(found == 0) & <u32>isFull(at)) found = search(probe, highProbe, wide, bucket);
  const list = pairs + axis * size;
  store<u32>(list + (<usize>row << 3), found);
  store<u32>(list + (<usize>found << 3), row, 4);
}

/** Fills the neighbour pairs: one look-up per point and axis, since the other neighbour is the inverse. */
// @ts-ignore: decorator
@inline
function link(c: usize, wide: bool, pairs: usize): void {
  const total = count + 1;
  const size = <usize>total << 3;
  memory.fill(pairs, 0, size * c);
  for (let row: u32 = 1; row < total; row++) {
    const key = load<u32>(keys + (<usize>row << 2));
    const high: u32 = wide ? load<u32>(highKeys + (<usize>row << 2)) : 0;
    linkAxis(0, wide, row, key, high, pairs, size);
    linkAxis(1, wide, row, key, high, pairs, size);
    linkAxis(2, wide, row, key, high, pairs, size);
    if (c == 6) {
      linkAxis(3, wide, row, key, high, pairs, size);
      linkAxis(4, wide, row, key, high, pairs, size);
      linkAxis(5, wide, row, key, high, pairs, size);
    }
  }
  for (let axis: usize = 0; axis < c; axis++) store<u64>(pairs + axis * size, 0);
}

function linkNeighbours(c: i32, wide: bool, pairs: usize): void {
  if (c == 3) link(3, false, pairs);
  else if (wide) link(6, true, pairs);
  else link(6, false, pairs);
}

/** One channel, one axis: out = in + (n1 + n2) / 2. */
function blurAxis1(source: usize, target: usize, pairs: usize, total: u32): void {
  store<f32>(target, 0);
  for (let row: u32 = 1; row < total; row++) {
    const pair = pairs + (<usize>row << 3);
    const sum = load<f32>(source + (<usize>load<u32>(pair) << 2)) + load<f32>(source + (<usize>load<u32>(pair, 4) << 2));
    store<f32>(target + (<usize>row << 2), load<f32>(source + (<usize>row << 2)) + <f32>0.5 * sum);
  }
}

/** Blurs one channel along all axes; returns the buffer that holds the result. */
export function blur1(c: i32, a: usize, b: usize, pairs: usize, total: u32): usize {
  for (let axis = 0; axis < c; axis++) {
    blurAxis1(a, b, pairs + (<usize>axis * <usize>total << 3), total);
    const swap = a;
    a = b;
    b = swap;
  }
  return a;
}

/**
 * Builds kernel `index` at the arena's top, which afterwards lies behind the finished lattice.
 * `normalization`: 0 none, 1 before, 2 after, 3 symmetric. `sigmas`: 2 or 5 float32 values. `folded`: the normalisation
 * goes into the weights and the scratch is given back; otherwise the first splat of two labels computes it (one pass over
 * the pixels less) and the scratch stays.
 * Returns the number of lattice points, or 0 when the sigmas are too small for the keys.
 */
export function buildKernel(
  index: i32, c: i32, width: i32, height: i32, image: usize, sigmas: usize, normalization: i32,
  folded: bool,
): u32 {
  const pixels = width * height;
  const padded = (pixels + 3) & ~3;
  setImageSize(width, height);
  const entries = <u64>padded * <u64>c;

  const d = c - 1;
  const deviation = fround(Math.sqrt(2.0 / 3.0) * <f64>c);
  for (let i = 0; i < d; i++) {
    const s = <f32>(1.0 / Math.sqrt(<f64>((i + 1) * (i + 2))) * deviation);
    store<f32>(scales + (<usize>i << 2), s);
    const extent = i == 0 ? width - 1 : i == 1 ? height - 1 : 255;
    store<f64>(extents + (<usize>i << 3), (<f64>extent / <f64>load<f32>(sigmas + (<usize>i << 2))) * <f64>s);
  }
  const keyKind = chooseRadices(c);
  if (keyKind < 0) return 0;
  const wide = keyKind == 1;

  const idOut = reserve(entries << 2);
  const weightOut = reserve(entries << 2);
  let sliceOut = weightOut;
  if (folded && (normalization == 1 || normalization == 2)) sliceOut = reserve(entries << 2);

  // Scratch from here on.
  const mark = arenaTop();
  const columnTable = reserve(<u64>(width + 4) << 2);
  for (let x = 0; x < width; x++) {
    store<f32>(columnTable + (<usize>x << 2), <f32>x / load<f32>(sigmas) * load<f32>(scales));
  }
  let valuesA = reserve((entries + 1) << 2);
  keys = reserve((entries + 1) << 2);
  if (wide) highKeys = reserve((entries + 1) << 2);
  count = 0;
  makeTable(FIRST_TABLE, wide);
  if (c == 3) place3(width, pixels, sigmas, scales, columnTable, idOut, weightOut, valuesA);
  else if (wide) place6Wide(width, pixels, image, sigmas, scales, columnTable, idOut, weightOut, valuesA);
  else place6(width, pixels, image, sigmas, scales, columnTable, idOut, weightOut, valuesA);
  store<f32>(valuesA, 0);

  const total = count + 1;
  const pairBytes = (<usize>total << 3) * <usize>c;
  let pairs = reserve(<u64>pairBytes);
  linkNeighbours(c, wide, pairs);

  if (!folded) {
    setLattice(kernelAt(index), c, total, idOut, weightOut, weightOut, pairs);
    if (normalization == 0) return count;
    const mass = blur1(c, valuesA, reserve(<u64>total << 2), pairs, total);
    const factors = reserve(<u64>padded << 2);
    setFactors(kernelAt(index), normalization == 2 ? 0 : factors, normalization == 1 ? 0 : factors, mass);
    return count;
  }

  if (normalization != 0) {
    const valuesB = reserve(<u64>total << 2);
    const mass = blur1(c, valuesA, valuesB, pairs, total);
    const alpha = alphaOf(c);
    for (let pixel = 0; pixel < pixels; pixel++) {
      const at = <usize>pixel * <usize>c << 2;
      let sum: f32 = 0.0;
      for (let r: usize = 0; r < <usize>c; r++) {
        const id = load<u32>(idOut + at + (r << 2));
        sum += load<f32>(weightOut + at + (r << 2)) * load<f32>(mass + (<usize>id << 2));
      }
      sum *= alpha;
      const factor = normalization == 3 ? <f32>1.0 / sqrt<f32>(sum + <f32>1e-20) : <f32>1.0 / (sum + <f32>1e-20);
      for (let r: usize = 0; r < <usize>c; r++) {
        const weight = load<f32>(weightOut + at + (r << 2));
        // Before: the splat is scaled; after: the slice; symmetric: both, so that they share one array.
        if (normalization != 3) store<f32>(sliceOut + at + (r << 2), normalization == 2 ? weight * factor : weight);
        if (normalization != 2) store<f32>(weightOut + at + (r << 2), weight * factor);
      }
    }
    if (sliceOut != weightOut) {
      for (let i = <usize>pixels * <usize>c; i < <usize>padded * <usize>c; i++) store<f32>(sliceOut + (i << 2), 0);
    }
  }

  // Keep only the pairs, moved down over the scratch.
  arenaReset(mark);
  const kept = reserve(<u64>pairBytes);
  memory.copy(kept, pairs, pairBytes);
  setLattice(kernelAt(index), c, total, idOut, weightOut, sliceOut, kept);
  return count;
}
