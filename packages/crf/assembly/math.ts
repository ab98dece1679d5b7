// Vector exponential. Adding 1.5 * 2^23 rounds to an integer (half to even) and leaves it in the low mantissa bits.

export const MAGIC: f32 = 12582912.0;
export const MAGIC_BITS: i32 = 0x4b400000;
export const LOG2E: f32 = 1.4426950408889634;
export const LN2: f32 = 0.6931471805599453;

/**
 * 2^t for |t| < 126, relative error below 2e-7: 2^n * p(f) with p a near-minimax polynomial on [-0.5, 0.5].
 * No clamping: the caller knows its range.
 */
// @ts-ignore: decorator
@inline
export function exp2(t: v128): v128 {
  const shifted = f32x4.add(t, f32x4.splat(MAGIC));
  const f = f32x4.sub(t, f32x4.sub(shifted, f32x4.splat(MAGIC)));
  let p = f32x4.splat(0.00132647);
  p = f32x4.add(f32x4.mul(p, f), f32x4.splat(0.00967151));
  p = f32x4.add(f32x4.mul(p, f), f32x4.splat(0.05550734));
  p = f32x4.add(f32x4.mul(p, f), f32x4.splat(0.24022242));
  p = f32x4.add(f32x4.mul(p, f), f32x4.splat(0.69314698));
  p = f32x4.add(f32x4.mul(p, f), f32x4.splat(1.0));
  // Shifting by 23 drops the magic number's own bits and puts n into the exponent field.
  return i32x4.add(p, i32x4.shl(shifted, 23));
}

/** e^x for |x| < 87. */
// @ts-ignore: decorator
@inline
export function exp(x: v128): v128 {
  return exp2(f32x4.mul(x, f32x4.splat(LOG2E)));
}

/** Largest lane. */
// @ts-ignore: decorator
@inline
export function horizontalMax(v: v128): f32 {
  return max(
    max(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1)),
    max(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)),
  );
}

/** log2(x) for normal x > 0, absolute error about 1e-7 of the larger of 1 and the result. */
// @ts-ignore: decorator
@inline
export function log2(x: v128): v128 {
  // x = m 2^n with m in [sqrt(1/2), sqrt(2)); log2 m = odd series in s = (m-1)/(m+1).
  const shifted = i32x4.sub(x, i32x4.splat(0x3f3504f3));
  const n = f32x4.convert_i32x4_s(i32x4.shr_s(shifted, 23));
  const m = i32x4.add(v128.and(shifted, i32x4.splat(0x007fffff)), i32x4.splat(0x3f3504f3));
  const one = f32x4.splat(1.0);
  const s = f32x4.div(f32x4.sub(m, one), f32x4.add(m, one));
  const z = f32x4.mul(s, s);
  let p = f32x4.splat(<f32>(2.0 / 9.0 * 1.4426950408889634));
  p = f32x4.add(f32x4.mul(p, z), f32x4.splat(<f32>(2.0 / 7.0 * 1.4426950408889634)));
  p = f32x4.add(f32x4.mul(p, z), f32x4.splat(<f32>(2.0 / 5.0 * 1.4426950408889634)));
  p = f32x4.add(f32x4.mul(p, z), f32x4.splat(<f32>(2.0 / 3.0 * 1.4426950408889634)));
  p = f32x4.add(f32x4.mul(p, z), f32x4.splat(<f32>(2.0 * 1.4426950408889634)));
  return f32x4.add(f32x4.mul(p, s), n);
}

// Halves of a 4x4 transposition: a0 b0 a1 b1, and a2 b2 a3 b3.
// @ts-ignore: decorator
@inline
export function transposeLow(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 0, 4, 1, 5);
}

// @ts-ignore: decorator
@inline
export function transposeHigh(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 2, 6, 3, 7);
}

/** Sum of the first `count` lanes (all when more than four), in float64. */
// @ts-ignore: decorator
@inline
export function sumLanes(v: v128, count: i32): f64 {
  let sum = <f64>f32x4.extract_lane(v, 0);
  if (count > 1) sum += <f64>f32x4.extract_lane(v, 1);
  if (count > 2) sum += <f64>f32x4.extract_lane(v, 2);
  if (count > 3) sum += <f64>f32x4.extract_lane(v, 3);
  return sum;
}
