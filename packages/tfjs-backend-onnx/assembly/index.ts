// Elementwise kernels that onnxruntime would need several passes for. Pointers are byte offsets, 16-byte aligned, with at
// least 16 bytes of slack behind each area; results replace the first argument.

export * from './winograd';

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

/** Holds v to low..high; NaN stays, and -0 becomes 0 with `zero` 0. The plain min and max take several instructions for NaN and -0. */
// @ts-ignore: decorator
@inline
function clamp(v: v128, low: v128, high: v128, zero: v128): v128 {
  return f32x4.add(f32x4.pmin(f32x4.pmax(v, low), high), zero);
}

/** x * scale + shift per channel, held to low..high; NaN stays. */
export function scaleShift(
  x: usize, scale: usize, shift: usize, rows: i32, channels: i32, low: f32, high: f32,
): void {
  const lows = f32x4.splat(low);
  const highs = f32x4.splat(high);
  const zero = f32x4.splat(low == 0 ? 0 : -0.0);
  const whole = <usize>(channels & ~3) << 2;
  const width = <usize>channels << 2;
  for (let r = 0; r < rows; r++) {
    let i: usize = 0;
    for (; i < whole; i += 16) {
      const v = f32x4.add(f32x4.mul(v128.load(x + i), v128.load(scale + i)), v128.load(shift + i));
      v128.store(x + i, clamp(v, lows, highs, zero));
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

/** Zero for what is below the smallest normal number; compares as integers, since the comparison of such floats is slow as well. */
// @ts-ignore: decorator
@inline
function withoutSubnormals(x: v128): v128 {
  const magnitude = v128.and(x, i32x4.splat(0x7fffffff));
  return v128.and(x, i32x4.gt_s(magnitude, i32x4.splat(0x007fffff)));
}

/** Replaces subnormal numbers by 0. */
export function flushSubnormals(x: usize, n: i32): void {
  for (let i: usize = 0, end = <usize>n << 2; i < end; i += 16) {
    v128.store(x + i, withoutSubnormals(v128.load(x + i)));
  }
}

/**
 * Gradient of the mean cross-entropy from softmax probabilities p, row by row: scale (p - onehot(label)), 0 where the label is
 * `ignored`. In double precision until stored.
 */
export function crossEntropyGradient(
  p: usize, labels: usize, rows: i32, columns: i32, ignored: i32, scale: f64,
): void {
  const scales = f64x2.splat(scale);
  const whole = <usize>(columns & ~3) << 2;
  const width = <usize>columns << 2;
  for (let r = 0; r < rows; r++) {
    const label = load<i32>(labels + (<usize>r << 2));
    if (label == ignored) {
      memory.fill(p, 0, width);
    } else {
      let i: usize = 0;
      for (; i < whole; i += 16) {
        const v = v128.load(p + i);
        const low = f64x2.mul(f64x2.promote_low_f32x4(v), scales);
        const high = f64x2.mul(f64x2.promote_low_f32x4(v128.shuffle<f64>(v, v, 1, 1)), scales);
        v128.store(
          p + i,
          v128.shuffle<f64>(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 2),
        );
      }
      for (; i < width; i += 4) store<f32>(p + i, <f32>(<f64>load<f32>(p + i) * scale));
      const chosen = p + (<usize>label << 2);
      store<f32>(chosen, <f32>(<f64>load<f32>(chosen) - scale));
    }
    p += width;
  }
}

/** (dy - sum(dy * y)) * y, row by row; subnormal results are 0, as they would slow down whoever multiplies them. */
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
      const product = f32x4.mul(f32x4.sub(v128.load(dy + i), all), v128.load(y + i));
      v128.store(dy + i, withoutSubnormals(product));
    }
    for (; i < width; i += 4) {
      const product = (load<f32>(dy + i) - sum) * load<f32>(y + i);
      store<f32>(dy + i, (reinterpret<i32>(product) & 0x7fffffff) > 0x007fffff ? product : 0);
    }
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

/**
 * One step of SGD with momentum: d = g + decay w; v = momentum v + d; w = w - rate v. Replaces w and v. Rounds as the five
 * separate operations would.
 */
export function sgd(w: usize, v: usize, g: usize, n: i32, momentum: f32, decay: f32, rate: f32): void {
  const momenta = f32x4.splat(momentum);
  const decays = f32x4.splat(decay);
  const rates = f32x4.splat(rate);
  for (let i: usize = 0, end = <usize>n << 2; i < end; i += 16) {
    const weight = v128.load(w + i);
    let d = v128.load(g + i);
    if (decay != 0) d = f32x4.add(d, f32x4.mul(weight, decays));
    if (momentum != 0) {
      d = f32x4.add(f32x4.mul(v128.load(v + i), momenta), d);
      v128.store(v + i, d);
    }
    v128.store(w + i, f32x4.sub(weight, f32x4.mul(d, rates)));
  }
}

/** [T][block][columns] -> [columns/block][T][block][block]; whole blocks only. */
export function blockRows(from: usize, to: usize, taps: i32, block: i32, columns: i32): void {
  const width = <usize>columns << 2;
  const blockBytes = <usize>block << 2;
  for (let k: usize = 0; k < width; k += blockBytes) {
    let row = from + k;
    for (let r = 0, rows = taps * block; r < rows; r++) {
      for (let i: usize = 0; i < blockBytes; i += 16) v128.store(to + i, v128.load(row + i));
      to += blockBytes;
      row += width;
    }
  }
}

/** [T][block][columns] -> [columns/block][T reversed][column in block][row in block]; whole blocks only. */
export function blockColumns(from: usize, to: usize, taps: i32, block: i32, columns: i32): void {
  const width = <usize>columns << 2;
  const blockBytes = <usize>block << 2;
  for (let k: usize = 0; k < width; k += blockBytes) {
    for (let t = taps - 1; t >= 0; t--) {
      const corner = from + <usize>(t * block) * width + k;
      for (let c: usize = 0; c < blockBytes; c += 16) {
        for (let j: usize = 0; j < blockBytes; j += 16) {
          // Four rows of four columns, transposed.
          const source = corner + (c >> 2) * width + j;
          const a = v128.load(source);
          const b = v128.load(source + width);
          const d = v128.load(source + 2 * width);
          const e = v128.load(source + 3 * width);
          const ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
          const de = v128.shuffle<f32>(d, e, 0, 4, 1, 5);
          const abHigh = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
          const deHigh = v128.shuffle<f32>(d, e, 2, 6, 3, 7);
          const target = to + (j >> 2) * blockBytes + c;
          v128.store(target, v128.shuffle<f64>(ab, de, 0, 2));
          v128.store(target + blockBytes, v128.shuffle<f64>(ab, de, 1, 3));
          v128.store(target + 2 * blockBytes, v128.shuffle<f64>(abHigh, deHigh, 0, 2));
          v128.store(target + 3 * blockBytes, v128.shuffle<f64>(abHigh, deHigh, 1, 3));
        }
      }
      to += <usize>block * blockBytes;
    }
  }
}
