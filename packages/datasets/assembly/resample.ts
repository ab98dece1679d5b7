// The inner loops of apply-transform.ts, bit for bit the same arithmetic: bilinear resizing of RGB bytes with 11-bit weights (as OpenCV),
// then one table look-up per byte. The host lays out memory behind heapBase() and passes byte addresses.

/** First address the host may use. */
export function heapBase(): usize {
  return __heap_base;
}

// One source row, resized horizontally to `to` (i32, 3 a pixel; the fourth lane of each store is overwritten by the next pixel).
function horizontal(row: usize, low: usize, high: usize, weights: usize, width: i32, to: usize): void {
  for (let i = 0; i < width; i++) {
    const a = v128.load32_zero(row + <usize>load<i32>(low + (<usize>i << 2)));
    const b = v128.load32_zero(row + <usize>load<i32>(high + (<usize>i << 2)));
    // R0 R1 G0 G1 B0 B1 as 16-bit, times (low weight, high weight) pairs, summed pairwise.
    const pairs = i16x8.extend_low_i8x16_u(i8x16.shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 0, 0, 0, 0, 0, 0, 0, 0));
    const w = v128.load32_splat(weights + (<usize>i << 2));
    v128.store(to, i32x4.shr_s(i32x4.dot_i16x8_s(pairs, w), 4));
    to += 12;
  }
}

/**
 * Fills `out` (f32, rows of width * 3) from an image of bytes.
 * low, high: byte offsets of the two neighbours of each column; weights: low | high << 16 of each column;
 * rowLow, rowHigh, rowWeight: the same for rows; table: f32 [3,256]; upper, lower: scratch of (width * 3 + 4) i32 each.
 */
export function resample(
  source: usize,
  stride: i32,
  low: usize,
  high: usize,
  weights: usize,
  rowLow: usize,
  rowHigh: usize,
  rowWeight: usize,
  width: i32,
  height: i32,
  table: usize,
  upper: usize,
  lower: usize,
  out: usize,
): void {
  let upperRow = -1;
  let lowerRow = -1;
  const n = width * 3;
  const bytes = <usize>n << 2;
  const green = table + 1024;
  const blue = table + 2048;
  const two = i32x4.splat(2);
  for (let j = 0; j < height; j++) {
    const a = load<i32>(rowLow + (<usize>j << 2));
    const b = load<i32>(rowHigh + (<usize>j << 2));
    if (a != upperRow) {
      if (a == lowerRow) {
        const swap = upper;
        upper = lower;
        lower = swap;
        lowerRow = upperRow;
      } else {
        horizontal(source + <usize>a * <usize>stride, low, high, weights, width, upper);
      }
      upperRow = a;
    }
    const q = load<i32>(rowWeight + (<usize>j << 2));
    let other = upper;
    if (q != 0) {
      if (b != lowerRow) {
        horizontal(source + <usize>b * <usize>stride, low, high, weights, width, lower);
        lowerRow = b;
      }
      other = lower;
    }
    const p = i32x4.splat(2048 - q);
    const r = i32x4.splat(q);
    // Four values a step; the pattern of channels repeats every three steps, so twelve values are looked up a turn.
    let i: usize = 0;
    for (; i + 48 <= bytes; i += 48) {
      const v0 = blend(upper + i, other + i, p, r, two);
      const v1 = blend(upper + i, other + i, p, r, two, 16);
      const v2 = blend(upper + i, other + i, p, r, two, 32);
      const o = out + i;
      store<f32>(o, load<f32>(table + (<usize>i32x4.extract_lane(v0, 0) << 2)));
      store<f32>(o, load<f32>(green + (<usize>i32x4.extract_lane(v0, 1) << 2)), 4);
      store<f32>(o, load<f32>(blue + (<usize>i32x4.extract_lane(v0, 2) << 2)), 8);
      store<f32>(o, load<f32>(table + (<usize>i32x4.extract_lane(v0, 3) << 2)), 12);
      store<f32>(o, load<f32>(green + (<usize>i32x4.extract_lane(v1, 0) << 2)), 16);
      store<f32>(o, load<f32>(blue + (<usize>i32x4.extract_lane(v1, 1) << 2)), 20);
      store<f32>(o, load<f32>(table + (<usize>i32x4.extract_lane(v1, 2) << 2)), 24);
      store<f32>(o, load<f32>(green + (<usize>i32x4.extract_lane(v1, 3) << 2)), 28);
      store<f32>(o, load<f32>(blue + (<usize>i32x4.extract_lane(v2, 0) << 2)), 32);
      store<f32>(o, load<f32>(table + (<usize>i32x4.extract_lane(v2, 1) << 2)), 36);
      store<f32>(o, load<f32>(green + (<usize>i32x4.extract_lane(v2, 2) << 2)), 40);
      store<f32>(o, load<f32>(blue + (<usize>i32x4.extract_lane(v2, 3) << 2)), 44);
    }
    const pl = 2048 - q;
    for (; i < bytes; i += 4) {
      const v = (((pl * load<i32>(upper + i)) >> 16) + ((q * load<i32>(other + i)) >> 16) + 2) >> 2;
      const channel = (i >> 2) % 3;
      store<f32>(out + i, load<f32>(table + (channel << 10) + (<usize>v << 2)));
    }
    out += bytes;
  }
}

// @ts-ignore: decorator
@inline
function blend(u: usize, l: usize, p: v128, q: v128, two: v128, offset: usize = 0): v128 {
  const top = i32x4.shr_s(i32x4.mul(p, v128.load(u + offset)), 16);
  const bottom = i32x4.shr_s(i32x4.mul(q, v128.load(l + offset)), 16);
  return i32x4.shr_s(i32x4.add(i32x4.add(top, bottom), two), 2);
}
