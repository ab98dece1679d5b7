// SIMD kernels that work inside somebody else's memory: tfjs's wasm heap, or a private one of ours.
// All pointers are byte offsets, all values float32. No statics, no allocation: nothing here owns memory.

/** to[columns, rows] = transpose of from[rows, columns]; `toStride` floats between rows of `to`. */
export function transpose(from: usize, to: usize, rows: i32, columns: i32, toStride: i32): void {
  const rowBytes: usize = <usize>columns << 2;
  const toBytes: usize = <usize>toStride << 2;
  const fullRows = rows & ~3;
  const fullColumns = columns & ~3;
  // Tiles of 32 columns keep the lines that are being written in the cache.
  for (let c0 = 0; c0 < fullColumns; c0 += 32) {
    const c1 = min(c0 + 32, fullColumns);
    for (let r = 0; r < fullRows; r += 4) {
      for (let c = c0; c < c1; c += 4) {
        const p = from + <usize>r * rowBytes + (<usize>c << 2);
        const a = v128.load(p);
        const b = v128.load(p + rowBytes);
        const d = v128.load(p + 2 * rowBytes);
        const e = v128.load(p + 3 * rowBytes);
        const ab0 = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
        const ab1 = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
        const de0 = v128.shuffle<f32>(d, e, 0, 4, 1, 5);
        const de1 = v128.shuffle<f32>(d, e, 2, 6, 3, 7);
        const q = to + <usize>c * toBytes + (<usize>r << 2);
        v128.store(q, v128.shuffle<f32>(ab0, de0, 0, 1, 4, 5));
        v128.store(q + toBytes, v128.shuffle<f32>(ab0, de0, 2, 3, 6, 7));
        v128.store(q + 2 * toBytes, v128.shuffle<f32>(ab1, de1, 0, 1, 4, 5));
        v128.store(q + 3 * toBytes, v128.shuffle<f32>(ab1, de1, 2, 3, 6, 7));
      }
    }
  }
  for (let c = fullColumns; c < columns; c++) {
    for (let r = 0; r < rows; r++) {
      store<f32>(to + <usize>c * toBytes + (<usize>r << 2), load<f32>(from + <usize>r * rowBytes + (<usize>c << 2)));
    }
  }
  for (let r = fullRows; r < rows; r++) {
    for (let c = 0; c < fullColumns; c++) {
      store<f32>(to + <usize>c * toBytes + (<usize>r << 2), load<f32>(from + <usize>r * rowBytes + (<usize>c << 2)));
    }
  }
}

/**
 * Channel-first, zero-padded copy of x[n,h,w,c], split into stride phases:
 * to[phase row, phase column, c, n, mapH, mapW] = x[n, row*sh + phaseRow - top, column*sw + phaseColumn - left, c].
 * `to` must be zero before.
 */
export function packPhases(
  x: usize, to: usize, n: i32, h: i32, w: i32, c: i32,
  sh: i32, sw: i32, top: i32, left: i32, mapH: i32, mapW: i32,
): void {
  const planeFloats = n * mapH * mapW;
  for (let image = 0; image < n; image++) {
    for (let u = 0; u < h; u++) {
      const padded = u + top;
      const row = padded / sh;
      if (row >= mapH) continue;
      const phaseRow = padded - row * sh;
      const source = x + ((<usize>((image * h + u) * w) * <usize>c) << 2);
      if (sw == 1) {
        const count = min(w, mapW - left);
        if (count <= 0) continue;
        const target = to + ((<usize>phaseRow * <usize>c * <usize>planeFloats + <usize>((image * mapH + row) * mapW + left)) << 2);
        transpose(source, target, count, c, planeFloats);
      } else {
        for (let v = 0; v < w; v++) {
          const across = v + left;
          const column = across / sw;
          if (column >= mapW) break;
          const phase = phaseRow * sw + (across - column * sw);
          let target = to + ((<usize>phase * <usize>c * <usize>planeFloats + <usize>((image * mapH + row) * mapW + column)) << 2);
          let p = source + ((<usize>v * <usize>c) << 2);
          for (let a = 0; a < c; a++) {
            store<f32>(target, load<f32>(p));
            p += 4;
            target += <usize>planeFloats << 2;
          }
        }
      }
    }
  }
}

/** Copies a [rows, columns] window out of each of `planes` planes, packed. Strides in floats. */
export function copyWindows(
  from: usize, to: usize, planes: i32, planeStride: i32, rowStride: i32, rows: i32, columns: i32,
): void {
  const rowBytes: usize = <usize>columns << 2;
  for (let plane = 0; plane < planes; plane++) {
    let p = from + ((<usize>plane * <usize>planeStride) << 2);
    for (let r = 0; r < rows; r++) {
      let i: usize = 0;
      const vector = rowBytes & ~15;
      for (; i < vector; i += 16) v128.store(to + i, v128.load(p + i));
      for (; i < rowBytes; i += 4) store<f32>(to + i, load<f32>(p + i));
      to += rowBytes;
      p += <usize>rowStride << 2;
    }
  }
}

/** out[c] (+)= sum over rows of x[rows, columns]. */
export function columnSums(x: usize, out: usize, rows: i32, columns: i32): void {
  const rowBytes: usize = <usize>columns << 2;
  memory.fill(out, 0, rowBytes);
  // Blocks of rows keep the float32 partial sums short.
  for (let r0 = 0; r0 < rows; r0 += 256) {
    const r1 = min(rows, r0 + 256);
    let c: usize = 0;
    for (; c + 16 <= rowBytes; c += 16) {
      let acc = f32x4.splat(0);
      let p = x + <usize>r0 * rowBytes + c;
      for (let r = r0; r < r1; r++) {
        acc = f32x4.add(acc, v128.load(p));
        p += rowBytes;
      }
      v128.store(out + c, f32x4.add(v128.load(out + c), acc));
    }
    for (; c < rowBytes; c += 4) {
      let acc: f32 = 0;
      let p = x + <usize>r0 * rowBytes + c;
      for (let r = r0; r < r1; r++) {
        acc += load<f32>(p);
        p += rowBytes;
      }
      store<f32>(out + c, load<f32>(out + c) + acc);
    }
  }
}

// @ts-ignore: decorator
@inline
function maskOf(y: v128, mode: i32): v128 {
  const positive = f32x4.gt(y, f32x4.splat(0));
  return mode == 2 ? v128.and(positive, f32x4.lt(y, f32x4.splat(6))) : positive;
}

/** dx = dy where the activation (1 relu, 2 relu6) with output y lets it through, else 0. */
export function maskGradient(dy: usize, y: usize, dx: usize, size: i32, mode: i32): void {
  let i = 0;
  for (; i + 4 <= size; i += 4) {
    const at = <usize>i << 2;
    v128.store(dx + at, v128.and(v128.load(dy + at), maskOf(v128.load(y + at), mode)));
  }
  for (; i < size; i++) {
    const at = <usize>i << 2;
    const value = load<f32>(y + at);
    store<f32>(dx + at, value > 0 && (mode != 2 || value < 6) ? load<f32>(dy + at) : 0);
  }
}

/** dx[rows, channels] = dy * scale[channels], masked as maskGradient does unless mode is 0. */
export function maskedScale(dy: usize, y: usize, scale: usize, dx: usize, rows: i32, channels: i32, mode: i32): void {
  const rowBytes: usize = <usize>channels << 2;
  for (let r = 0; r < rows; r++) {
    let c: usize = 0;
    for (; c + 16 <= rowBytes; c += 16) {
      let value = f32x4.mul(v128.load(dy + c), v128.load(scale + c));
      if (mode != 0) value = v128.and(value, maskOf(v128.load(y + c), mode));
      v128.store(dx + c, value);
    }
    for (; c < rowBytes; c += 4) {
      const out = load<f32>(y + c);
      const open = mode == 0 || (out > 0 && (mode != 2 || out < 6));
      store<f32>(dx + c, open ? load<f32>(dy + c) * load<f32>(scale + c) : 0);
    }
    dy += rowBytes;
    dx += rowBytes;
    if (mode != 0) y += rowBytes;
  }
}

// @ts-ignore: decorator
@inline
function sumLanes(v: v128): f32 {
  return (f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1)) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3));
}

/** dx[row] = y[row] * (dy[row] - sum(dy[row] * y[row])), the adjoint of a softmax over rows with result y. */
export function softmaxRowsGradient(dy: usize, y: usize, dx: usize, rows: i32, columns: i32): void {
  const rowBytes: usize = <usize>columns << 2;
  const vector = rowBytes & ~15;
  for (let r = 0; r < rows; r++) {
    let acc0 = f32x4.splat(0);
    let acc1 = f32x4.splat(0);
    let c: usize = 0;
    for (; c + 32 <= rowBytes; c += 32) {
      acc0 = f32x4.add(acc0, f32x4.mul(v128.load(dy + c), v128.load(y + c)));
      acc1 = f32x4.add(acc1, f32x4.mul(v128.load(dy + c + 16), v128.load(y + c + 16)));
    }
    let total = sumLanes(f32x4.add(acc0, acc1));
    for (; c < rowBytes; c += 4) total += load<f32>(dy + c) * load<f32>(y + c);
    const totals = f32x4.splat(total);
    for (c = 0; c < vector; c += 16) {
      v128.store(dx + c, f32x4.mul(v128.load(y + c), f32x4.sub(v128.load(dy + c), totals)));
    }
    for (; c < rowBytes; c += 4) store<f32>(dx + c, load<f32>(y + c) * (load<f32>(dy + c) - total));
    dy += rowBytes;
    y += rowBytes;
    dx += rowBytes;
  }
}

/** First output column whose tap at `offset` (kernel position * dilation - pad) lies inside the row. */
// @ts-ignore: decorator
@inline
function firstInside(offset: i32, stride: i32): i32 {
  return offset >= 0 ? 0 : (-offset + stride - 1) / stride;
}

/** One past the last output column whose tap lies inside a row of `size`. */
// @ts-ignore: decorator
@inline
function endInside(offset: i32, stride: i32, size: i32, outputs: i32): i32 {
  const room = size - 1 - offset;
  return room < 0 ? 0 : min(outputs, room / stride + 1);
}

/** dFilter[kh,kw,c] of a depthwise convolution with multiplier 1. */
export function depthwiseFilterGradient(
  x: usize, dy: usize, out: usize, n: i32, h: i32, w: i32, c: i32, oh: i32, ow: i32,
  kh: i32, kw: i32, sh: i32, sw: i32, top: i32, left: i32, dh: i32, dw: i32,
): void {
  const pixel: usize = <usize>c << 2;
  memory.fill(out, 0, <usize>(kh * kw) * pixel);
  for (let image = 0; image < n; image++) {
    for (let i = 0; i < oh; i++) {
      const dyRow = dy + <usize>((image * oh + i) * ow) * pixel;
      for (let r = 0; r < kh; r++) {
        const u = i * sh + r * dh - top;
        if (u < 0 || u >= h) continue;
        const xRow = x + <usize>((image * h + u) * w) * pixel;
        for (let s = 0; s < kw; s++) {
          const offset = s * dw - left;
          const first = firstInside(offset, sw);
          const end = endInside(offset, sw, w, ow);
          if (first >= end) continue;
          const taps = out + <usize>(r * kw + s) * pixel;
          const xStart = xRow + <usize>(first * sw + offset) * pixel;
          const dyStart = dyRow + <usize>first * pixel;
          const step = <usize>sw * pixel;
          let a: usize = 0;
          for (; a + 32 <= pixel; a += 32) {
            let acc0 = v128.load(taps + a);
            let acc1 = v128.load(taps + a + 16);
            let p = xStart + a;
            let q = dyStart + a;
            for (let j = first; j < end; j++) {
              acc0 = f32x4.add(acc0, f32x4.mul(v128.load(p), v128.load(q)));
              acc1 = f32x4.add(acc1, f32x4.mul(v128.load(p + 16), v128.load(q + 16)));
              p += step;
              q += pixel;
            }
            v128.store(taps + a, acc0);
            v128.store(taps + a + 16, acc1);
          }
          for (; a < pixel; a += 4) {
            let acc = load<f32>(taps + a);
            let p = xStart + a;
            let q = dyStart + a;
            for (let j = first; j < end; j++) {
              acc += load<f32>(p) * load<f32>(q);
              p += step;
              q += pixel;
            }
            store<f32>(taps + a, acc);
          }
        }
      }
    }
  }
}

/** dx[n,h,w,c] of a depthwise convolution with multiplier 1. */
export function depthwiseInputGradient(
  dy: usize, filter: usize, dx: usize, n: i32, h: i32, w: i32, c: i32, oh: i32, ow: i32,
  kh: i32, kw: i32, sh: i32, sw: i32, top: i32, left: i32, dh: i32, dw: i32,
): void {
  const pixel: usize = <usize>c << 2;
  memory.fill(dx, 0, <usize>(n * h * w) * pixel);
  for (let image = 0; image < n; image++) {
    for (let u = 0; u < h; u++) {
      const dxRow = dx + <usize>((image * h + u) * w) * pixel;
      for (let r = 0; r < kh; r++) {
        const reach = u + top - r * dh;
        if (reach < 0 || reach % sh != 0 || reach / sh >= oh) continue;
        const dyRow = dy + <usize>((image * oh + reach / sh) * ow) * pixel;
        for (let s = 0; s < kw; s++) {
          const offset = s * dw - left;
          const first = firstInside(offset, sw);
          const end = endInside(offset, sw, w, ow);
          const taps = filter + <usize>(r * kw + s) * pixel;
          let p = dyRow + <usize>first * pixel;
          let q = dxRow + <usize>(first * sw + offset) * pixel;
          const step = <usize>sw * pixel;
          for (let j = first; j < end; j++) {
            let a: usize = 0;
            for (; a + 16 <= pixel; a += 16) {
              v128.store(q + a, f32x4.add(v128.load(q + a), f32x4.mul(v128.load(p + a), v128.load(taps + a))));
            }
            for (; a < pixel; a += 4) store<f32>(q + a, load<f32>(q + a) + load<f32>(p + a) * load<f32>(taps + a));
            p += pixel;
            q += step;
          }
        }
      }
    }
  }
}

/**
 * Adjoint of a bilinear resize, [n,oh,ow,c] -> [n,h,w,c]. The taps are arrays of `low` (i32), `high` (i32) and
 * `weight` (f32) for each axis; `row` is scratch for w*c floats.
 */
export function resizeGradient(
  dy: usize, dx: usize, n: i32, h: i32, w: i32, oh: i32, ow: i32, c: i32,
  lowRow: usize, highRow: usize, weightRow: usize, lowColumn: usize, highColumn: usize, weightColumn: usize, row: usize,
): void {
  const pixel: usize = <usize>c << 2;
  const rowBytes = <usize>w * pixel;
  memory.fill(dx, 0, <usize>(n * h) * rowBytes);
  for (let image = 0; image < n; image++) {
    for (let i = 0; i < oh; i++) {
      memory.fill(row, 0, rowBytes);
      let p = dy + <usize>((image * oh + i) * ow) * pixel;
      for (let j = 0; j < ow; j++) {
        const at = <usize>j << 2;
        const low = row + <usize>load<i32>(lowColumn + at) * pixel;
        const high = row + <usize>load<i32>(highColumn + at) * pixel;
        const weight = load<f32>(weightColumn + at);
        const rest: f32 = 1 - weight;
        let a: usize = 0;
        if (low != high) {
          for (; a + 16 <= pixel; a += 16) {
            const value = v128.load(p + a);
            v128.store(low + a, f32x4.add(v128.load(low + a), f32x4.mul(value, f32x4.splat(rest))));
            v128.store(high + a, f32x4.add(v128.load(high + a), f32x4.mul(value, f32x4.splat(weight))));
          }
        }
        for (; a < pixel; a += 4) {
          const value = load<f32>(p + a);
          store<f32>(low + a, load<f32>(low + a) + value * rest);
          store<f32>(high + a, load<f32>(high + a) + value * weight);
        }
        p += pixel;
      }
      const at = <usize>i << 2;
      const weight = load<f32>(weightRow + at);
      addScaled(row, dx + <usize>(image * h + load<i32>(lowRow + at)) * rowBytes, rowBytes, 1 - weight);
      if (weight != 0) addScaled(row, dx + <usize>(image * h + load<i32>(highRow + at)) * rowBytes, rowBytes, weight);
    }
  }
}

function addScaled(from: usize, to: usize, bytes: usize, scale: f32): void {
  const scales = f32x4.splat(scale);
  let i: usize = 0;
  for (; i + 16 <= bytes; i += 16) {
    v128.store(to + i, f32x4.add(v128.load(to + i), f32x4.mul(v128.load(from + i), scales)));
  }
  for (; i < bytes; i += 4) store<f32>(to + i, load<f32>(to + i) + load<f32>(from + i) * scale);
}

export { fuseForward, fuseBackward, fuseScratchFloats } from './fuse-affinities';
