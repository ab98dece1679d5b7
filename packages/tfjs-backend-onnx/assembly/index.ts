// Elementwise kernels that onnxruntime would need several passes for. Pointers are byte offsets, 16-byte aligned, with at
// least 16 bytes of slack behind each area; results replace the first argument.

/** dy where 0 < y < high, else 0. */
export function maskGradient(dy: usize, y: usize, n: i32, high: f32): void {
  const zero = f32x4.splat(0);
  const top = f32x4.splat(high);
  for (let i: usize = 0, end = <usize>n << 2; i < end; i += 16) {
    const v = v128.load(y + i);
    const open = v128.and(f32x4.gt(v, zero), f32x4.lt(v, top));
    v128.store(dy + i, v128.and(v128.load(dy + i), open));
  }
}

/** x * scale + shift per channel, held to low..high; NaN stays. */
export function scaleShift(
  x: usize, scale: usize, shift: usize, rows: i32, channels: i32, low: f32, high: f32,
): void {
  const lows = f32x4.splat(low);
  const highs = f32x4.splat(high);
  const whole = <usize>(channels & ~3) << 2;
  const width = <usize>channels << 2;
  for (let r = 0; r < rows; r++) {
    let i: usize = 0;
    for (; i < whole; i += 16) {
      const v = f32x4.add(f32x4.mul(v128.load(x + i), v128.load(scale + i)), v128.load(shift + i));
      v128.store(x + i, f32x4.min(f32x4.max(v, lows), highs));
    }
    for (; i < width; i += 4) {
      const v = load<f32>(x + i) * load<f32>(scale + i) + load<f32>(shift + i);
      store<f32>(x + i, min<f32>(max<f32>(v, low), high));
    }
    x += width;
  }
}

/** dy * scale per channel where 0 < y < high, else 0. */
export function maskedScale(dy: usize, y: usize, scale: usize, rows: i32, channels: i32, high: f32): void {
  const zero = f32x4.splat(0);
  const top = f32x4.splat(high);
  const whole = <usize>(channels & ~3) << 2;
  const width = <usize>channels << 2;
  for (let r = 0; r < rows; r++) {
    let i: usize = 0;
    for (; i < whole; i += 16) {
      const v = v128.load(y + i);
      const open = v128.and(f32x4.gt(v, zero), f32x4.lt(v, top));
      v128.store(dy + i, v128.and(f32x4.mul(v128.load(dy + i), v128.load(scale + i)), open));
    }
    for (; i < width; i += 4) {
      const v = load<f32>(y + i);
      store<f32>(dy + i, v > 0 && v < high ? load<f32>(dy + i) * load<f32>(scale + i) : 0);
    }
    dy += width;
    y += width;
  }
}

/** (dy - sum(dy * y)) * y, row by row. */
export function softmaxGradient(dy: usize, y: usize, rows: i32, columns: i32): void {
  const whole = <usize>(columns & ~3) << 2;
  const width = <usize>columns << 2;
  for (let r = 0; r < rows; r++) {
    let sums = f32x4.splat(0);
    let i: usize = 0;
    for (; i < whole; i += 16) sums = f32x4.add(sums, f32x4.mul(v128.load(dy + i), v128.load(y + i)));
    let sum =
      f32x4.extract_lane(sums, 0) + f32x4.extract_lane(sums, 1) +
      (f32x4.extract_lane(sums, 2) + f32x4.extract_lane(sums, 3));
    for (; i < width; i += 4) sum += load<f32>(dy + i) * load<f32>(y + i);
    const all = f32x4.splat(sum);
    for (i = 0; i < whole; i += 16) {
      v128.store(dy + i, f32x4.mul(f32x4.sub(v128.load(dy + i), all), v128.load(y + i)));
    }
    for (; i < width; i += 4) store<f32>(dy + i, (load<f32>(dy + i) - sum) * load<f32>(y + i));
    dy += width;
    y += width;
  }
}

/** out = a + (b - a) * t. */
export function interpolate(a: usize, b: usize, t: f32, out: usize, n: i32): void {
  const weight = f32x4.splat(t);
  for (let i: usize = 0, end = <usize>n << 2; i < end; i += 16) {
    const from = v128.load(a + i);
    v128.store(out + i, f32x4.add(from, f32x4.mul(f32x4.sub(v128.load(b + i), from), weight)));
  }
}
