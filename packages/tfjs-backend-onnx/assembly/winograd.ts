// The transforms of Winograd's F(2x2, 3x3), Lavin and Gray 2016, in two passes each: along the columns of a tile, over whole rows
// of memory, then along its rows. Two passes keep few streams of memory open; sixteen would evict one another from the cache.
// Pointers, strides and steps are in bytes, counts in floats; counts and channels are multiples of four.

/** Input, first pass: out[0..3] = B^T (r0, r1, r2, r3). */
export function winogradInputRows(
  r0: usize, r1: usize, r2: usize, r3: usize, out: usize, stride: usize, n: i32,
): void {
  for (let i: usize = 0, end = <usize>n << 2; i < end; i += 16) {
    const a = v128.load(r0 + i);
    const b = v128.load(r1 + i);
    const c = v128.load(r2 + i);
    const d = v128.load(r3 + i);
    const to = out + i;
    v128.store(to, f32x4.sub(a, c));
    v128.store(to + stride, f32x4.add(b, c));
    v128.store(to + 2 * stride, f32x4.sub(c, b));
    v128.store(to + 3 * stride, f32x4.sub(b, d));
  }
}

/** Input, second pass: of each tile's four pixels, `pixel` apart, their B^T to four planes; tiles start `tile` apart. */
export function winogradInputColumns(
  from: usize, to: usize, tiles: i32, channels: i32, pixel: usize, tile: usize, plane: usize,
): void {
  const width = <usize>channels << 2;
  for (let t = 0; t < tiles; t++) {
    for (let i: usize = 0; i < width; i += 16) {
      const source = from + i;
      const a = v128.load(source);
      const b = v128.load(source + pixel);
      const c = v128.load(source + 2 * pixel);
      const d = v128.load(source + 3 * pixel);
      v128.store(to + i, f32x4.sub(a, c));
      v128.store(to + i + plane, f32x4.add(b, c));
      v128.store(to + i + 2 * plane, f32x4.sub(c, b));
      v128.store(to + i + 3 * plane, f32x4.sub(b, d));
    }
    from += tile;
    to += width;
  }
}

/** Result, first pass: out[0..1] = A^T (m[0], m[1], m[2], m[3]), which lie `plane` apart. */
export function winogradOutputRows(m: usize, plane: usize, out: usize, stride: usize, n: i32): void {
  for (let i: usize = 0, end = <usize>n << 2; i < end; i += 16) {
    const source = m + i;
    const b = v128.load(source + plane);
    const c = v128.load(source + 2 * plane);
    v128.store(out + i, f32x4.add(v128.load(source), f32x4.add(b, c)));
    v128.store(out + i + stride, f32x4.sub(f32x4.sub(b, c), v128.load(source + 3 * plane)));
  }
}

/**
 * Result, second pass: of each tile's four values, `stride` apart, A^T to two pixels, `pixel` apart, plus bias and held to low..high; NaN
 * stays. The pixels of the tiles start `tile` apart.
 */
export function winogradOutputColumns(
  from: usize, stride: usize, to: usize, tiles: i32, channels: i32, pixel: usize, tile: usize, bias: usize,
  low: f32, high: f32,
): void {
  const width = <usize>channels << 2;
  const lows = f32x4.splat(low);
  const highs = f32x4.splat(high);
  const zero = f32x4.splat(low == 0 ? 0 : -0.0);
  for (let t = 0; t < tiles; t++) {
    for (let i: usize = 0; i < width; i += 16) {
      const source = from + i;
      const shift = v128.load(bias + i);
      const b = v128.load(source + stride);
      const c = v128.load(source + 2 * stride);
      const first = f32x4.add(f32x4.add(v128.load(source), f32x4.add(b, c)), shift);
      const second = f32x4.add(f32x4.sub(f32x4.sub(b, c), v128.load(source + 3 * stride)), shift);
      v128.store(to + i, f32x4.add(f32x4.pmin(f32x4.pmax(first, lows), highs), zero));
      v128.store(to + i + pixel, f32x4.add(f32x4.pmin(f32x4.pmax(second, lows), highs), zero));
    }
    from += width;
    to += tile;
  }
}

/** Gradient of the result, first pass: out[0..3] = A (r0, r1). */
export function winogradGradientRows(r0: usize, r1: usize, out: usize, stride: usize, n: i32): void {
  for (let i: usize = 0, end = <usize>n << 2; i < end; i += 16) {
    const a = v128.load(r0 + i);
    const b = v128.load(r1 + i);
    const to = out + i;
    v128.store(to, a);
    v128.store(to + stride, f32x4.add(a, b));
    v128.store(to + 2 * stride, f32x4.sub(a, b));
    v128.store(to + 3 * stride, f32x4.neg(b));
  }
}

/** Gradient of the result, second pass: of each tile's two pixels, `pixel` apart, A of them to four planes. */
export function winogradGradientColumns(
  from: usize, to: usize, tiles: i32, channels: i32, pixel: usize, tile: usize, plane: usize,
): void {
  const width = <usize>channels << 2;
  for (let t = 0; t < tiles; t++) {
    for (let i: usize = 0; i < width; i += 16) {
      const a = v128.load(from + i);
      const b = v128.load(from + i + pixel);
      v128.store(to + i, a);
      v128.store(to + i + plane, f32x4.add(a, b));
      v128.store(to + i + 2 * plane, f32x4.sub(a, b));
      v128.store(to + i + 3 * plane, f32x4.neg(b));
    }
    from += tile;
    to += width;
  }
}

/** Filter, either pass: out[0..3] = G (a, b, c). */
export function winogradFilter(a: usize, b: usize, c: usize, out: usize, stride: usize, n: i32): void {
  const half = f32x4.splat(0.5);
  for (let i: usize = 0, end = <usize>n << 2; i < end; i += 16) {
    const first = v128.load(a + i);
    const last = v128.load(c + i);
    const outer = f32x4.mul(f32x4.add(first, last), half);
    const middle = f32x4.mul(v128.load(b + i), half);
    const to = out + i;
    v128.store(to, first);
    v128.store(to + stride, f32x4.add(outer, middle));
    v128.store(to + 2 * stride, f32x4.sub(outer, middle));
    v128.store(to + 3 * stride, last);
  }
}

/** Gradient of the filter, either pass: out[0..2] = G^T (m[0], m[1], m[2], m[3]), which lie `plane` apart. */
export function winogradFilterGradient(m: usize, plane: usize, out: usize, stride: usize, n: i32): void {
  const half = f32x4.splat(0.5);
  for (let i: usize = 0, end = <usize>n << 2; i < end; i += 16) {
    const b = v128.load(m + i + plane);
    const c = v128.load(m + i + 2 * plane);
    const both = f32x4.mul(f32x4.add(b, c), half);
    const to = out + i;
    v128.store(to, f32x4.add(v128.load(m + i), both));
    v128.store(to + stride, f32x4.mul(f32x4.sub(b, c), half));
    v128.store(to + 2 * stride, f32x4.add(both, v128.load(m + i + 3 * plane)));
  }
}

/** to += from. */
export function accumulate(from: usize, to: usize, n: i32): void {
  for (let i: usize = 0, end = <usize>n << 2; i < end; i += 16) {
    v128.store(to + i, f32x4.add(v128.load(to + i), v128.load(from + i)));
  }
}
