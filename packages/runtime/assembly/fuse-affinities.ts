// The cross-task fusion of two affinity maps (method.md 2.3), one pass over both maps, forward and backward.
//
// hidden_k = relu(conv3x3([a, b])_k), d = hidden . u + bias, w = sigmoid(d), out = b + w * (a - b), where
// u_k = conv2[k,seg] - conv2[k,sal] and bias = bias[seg] - bias[sal]: a softmax over two channels is the sigmoid of
// their difference.

// Rows are kept in zero-bordered scratch rows of `stride` floats: 4 in front, at least 4 behind.

// @ts-ignore: decorator
@inline
function strideOf(l: i32): i32 {
  return ((l + 15) & ~15) + 8;
}

/** Scratch that forward and backward need, in floats: rings of 3 rows for a, b, and two hidden gradients. */
export function fuseScratchFloats(l: i32): i32 {
  return 14 * strideOf(l) + 36 * 4;
}

// @ts-ignore: decorator
@inline
function expOf(x: v128): v128 {
  // Cephes expf: 2^n times a polynomial on [-ln2/2, ln2/2].
  const bounded = f32x4.pmax(f32x4.pmin(x, f32x4.splat(88)), f32x4.splat(-87));
  // Added to 1.5 * 2^23 a number is rounded, and its integer lies in the low bits.
  const shifted = f32x4.add(f32x4.mul(bounded, f32x4.splat(1.44269504088896341)), f32x4.splat(12582912));
  const n = f32x4.sub(shifted, f32x4.splat(12582912));
  let r = f32x4.sub(bounded, f32x4.mul(n, f32x4.splat(0.693359375)));
  r = f32x4.sub(r, f32x4.mul(n, f32x4.splat(-2.12194440e-4)));
  let p = f32x4.splat(1.9875691500e-4);
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.3981999507e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(8.3334519073e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(4.1665795894e-2));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.6666665459e-1));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(5.0000001201e-1));
  p = f32x4.add(f32x4.mul(p, f32x4.mul(r, r)), f32x4.add(r, f32x4.splat(1)));
  const scale = i32x4.add(i32x4.shl(shifted, 23), i32x4.splat(0x3f800000));
  return f32x4.mul(p, scale);
}

// @ts-ignore: decorator
@inline
function sigmoidOf(x: v128): v128 {
  return f32x4.div(f32x4.splat(1), f32x4.add(f32x4.splat(1), expOf(f32x4.neg(x))));
}

function zeroRow(row: usize, stride: i32): void {
  memory.fill(row, 0, <usize>stride << 2);
}

/** Row `i` of a map into its slot of the ring, or zeros outside the map. The borders were zeroed before. */
function loadRow(map: usize, ring: usize, i: i32, l: i32, stride: i32): void {
  const slot = ring + ((<usize>((i + 3) % 3) * <usize>stride) << 2);
  if (i < 0 || i >= l) {
    zeroRow(slot, stride);
  } else {
    memory.copy(slot + 16, map + ((<usize>i * <usize>l) << 2), <usize>l << 2);
  }
}

// @ts-ignore: decorator
@inline
function slotOf(ring: usize, i: i32, stride: i32): usize {
  return ring + ((<usize>((i + 3) % 3) * <usize>stride) << 2) + 16;
}

/** Splats the 36 weights [3,3,2,2] so that the loops load vectors. */
function splatWeights(weights: usize, splats: usize): void {
  for (let i = 0; i < 36; i++) {
    v128.store(splats + (<usize>i << 4), f32x4.splat(load<f32>(weights + (<usize>i << 2))));
  }
}

/**
 * Adds the 3x3 convolution of two maps to one row of its two outputs. a0, a1, a2 and b0, b1, b2 are the rows of the maps; a row's taps lie `step`
 * bytes apart, and a negative step turns the filter around. The four weights of a tap are [map][output] with `across` 32, and
 * [output][map] with 16.
 */
function convolveRow(
  a0: usize, a1: usize, a2: usize, b0: usize, b1: usize, b2: usize, step: usize, splats: usize, across: usize,
  out0: usize, out1: usize, l: i32,
): void {
  const along = 48 - across;
  // Sixteen numbers of both outputs at a time share the loads of the weights.
  for (let j = 0; j < l; j += 16) {
    const at = <usize>j << 2;
    const to0 = out0 + at;
    const to1 = out1 + at;
    let p0 = v128.load(to0);
    let p1 = v128.load(to1);
    let q0 = v128.load(to0, 16);
    let q1 = v128.load(to1, 16);
    let r0 = v128.load(to0, 32);
    let r1 = v128.load(to1, 32);
    let s0 = v128.load(to0, 48);
    let s1 = v128.load(to1, 48);
    let weights = splats;
    for (let r = 0; r < 3; r++) {
      let a = (r == 0 ? a0 : r == 1 ? a1 : a2) + at - step;
      let b = (r == 0 ? b0 : r == 1 ? b1 : b2) + at - step;
      for (let s = 0; s < 3; s++) {
        const w00 = v128.load(weights);
        const w01 = v128.load(weights + along);
        const w10 = v128.load(weights + across);
        const w11 = v128.load(weights, 48);
        let va = v128.load(a);
        let vb = v128.load(b);
        p0 = f32x4.add(p0, f32x4.add(f32x4.mul(va, w00), f32x4.mul(vb, w10)));
        p1 = f32x4.add(p1, f32x4.add(f32x4.mul(va, w01), f32x4.mul(vb, w11)));
        va = v128.load(a, 16);
        vb = v128.load(b, 16);
        q0 = f32x4.add(q0, f32x4.add(f32x4.mul(va, w00), f32x4.mul(vb, w10)));
        q1 = f32x4.add(q1, f32x4.add(f32x4.mul(va, w01), f32x4.mul(vb, w11)));
        va = v128.load(a, 32);
        vb = v128.load(b, 32);
        r0 = f32x4.add(r0, f32x4.add(f32x4.mul(va, w00), f32x4.mul(vb, w10)));
        r1 = f32x4.add(r1, f32x4.add(f32x4.mul(va, w01), f32x4.mul(vb, w11)));
        va = v128.load(a, 48);
        vb = v128.load(b, 48);
        s0 = f32x4.add(s0, f32x4.add(f32x4.mul(va, w00), f32x4.mul(vb, w10)));
        s1 = f32x4.add(s1, f32x4.add(f32x4.mul(va, w01), f32x4.mul(vb, w11)));
        weights += 64;
        a += step;
        b += step;
      }
    }
    v128.store(to0, p0);
    v128.store(to1, p1);
    v128.store(to0, q0, 16);
    v128.store(to1, q1, 16);
    v128.store(to0, r0, 32);
    v128.store(to1, r1, 32);
    v128.store(to0, s0, 48);
    v128.store(to1, s1, 48);
  }
}

/** Pre-activation of both hidden channels of row i into h0, h1 (row pointers without border). */
function hiddenRow(ringA: usize, ringB: usize, i: i32, l: i32, stride: i32, splats: usize, h0: usize, h1: usize): void {
  const bytes = <usize>(stride - 4) << 2;
  memory.fill(h0, 0, bytes);
  memory.fill(h1, 0, bytes);
  convolveRow(
    slotOf(ringA, i - 1, stride), slotOf(ringA, i, stride), slotOf(ringA, i + 1, stride),
    slotOf(ringB, i - 1, stride), slotOf(ringB, i, stride), slotOf(ringB, i + 1, stride),
    4, splats, 32, h0, h1, l,
  );
}

/** out[l,l] from maps a and b; weights [3,3,2,2]; u0, u1, bias as above. */
export function fuseForward(
  a: usize, b: usize, weights: usize, out: usize, l: i32, u0: f32, u1: f32, bias: f32, scratch: usize,
): void {
  const stride = strideOf(l);
  const row = <usize>stride << 2;
  const splats = scratch;
  const ringA = scratch + 36 * 16;
  const ringB = ringA + 3 * row;
  const h0 = ringB + 3 * row + 16;
  const h1 = h0 + row;
  splatWeights(weights, splats);
  memory.fill(ringA, 0, 8 * row);
  loadRow(a, ringA, -1, l, stride);
  loadRow(b, ringB, -1, l, stride);
  loadRow(a, ringA, 0, l, stride);
  loadRow(b, ringB, 0, l, stride);
  const zero = f32x4.splat(0);
  for (let i = 0; i < l; i++) {
    loadRow(a, ringA, i + 1, l, stride);
    loadRow(b, ringB, i + 1, l, stride);
    hiddenRow(ringA, ringB, i, l, stride, splats, h0, h1);
    const aRow = slotOf(ringA, i, stride);
    const bRow = slotOf(ringB, i, stride);
    const outRow = out + ((<usize>i * <usize>l) << 2);
    let j = 0;
    for (; j < l; j += 4) {
      const at = <usize>j << 2;
      const d = f32x4.add(
        f32x4.splat(bias),
        f32x4.add(
          f32x4.mul(f32x4.pmax(v128.load(h0 + at), zero), f32x4.splat(u0)),
          f32x4.mul(f32x4.pmax(v128.load(h1 + at), zero), f32x4.splat(u1)),
        ),
      );
      const w = sigmoidOf(d);
      const vb = v128.load(bRow + at);
      const fused = f32x4.add(vb, f32x4.mul(w, f32x4.sub(v128.load(aRow + at), vb)));
      if (j + 4 <= l) {
        v128.store(outRow + at, fused);
      } else {
        store<f32>(outRow + at, f32x4.extract_lane(fused, 0));
        if (j + 1 < l) store<f32>(outRow + at + 4, f32x4.extract_lane(fused, 1));
        if (j + 2 < l) store<f32>(outRow + at + 8, f32x4.extract_lane(fused, 2));
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function sumLanes64(v: v128): f64 {
  return (
    (<f64>f32x4.extract_lane(v, 0) + <f64>f32x4.extract_lane(v, 1)) +
    (<f64>f32x4.extract_lane(v, 2) + <f64>f32x4.extract_lane(v, 3))
  );
}

/** sums[39] += row sums of the filter gradient; `map` selects channel 0 or 1 of the first convolution's input. */
function accumulateFilter(ring: usize, g0: usize, g1: usize, i: i32, l: i32, stride: i32, map: i32, sums: usize): void {
  for (let r = 0; r < 3; r++) {
    const source = slotOf(ring, i + r - 1, stride) - 4;
    let a00 = f32x4.splat(0);
    let a01 = f32x4.splat(0);
    let a10 = f32x4.splat(0);
    let a11 = f32x4.splat(0);
    let a20 = f32x4.splat(0);
    let a21 = f32x4.splat(0);
    for (let j = 0; j < l; j += 4) {
      const at = <usize>j << 2;
      // Beyond the row's end the hidden gradients are zero, so whatever is read there does not count.
      const d0 = v128.load(g0 + at);
      const d1 = v128.load(g1 + at);
      const left = v128.load(source + at);
      const mid = v128.load(source + at + 4);
      const right = v128.load(source + at + 8);
      a00 = f32x4.add(a00, f32x4.mul(left, d0));
      a01 = f32x4.add(a01, f32x4.mul(left, d1));
      a10 = f32x4.add(a10, f32x4.mul(mid, d0));
      a11 = f32x4.add(a11, f32x4.mul(mid, d1));
      a20 = f32x4.add(a20, f32x4.mul(right, d0));
      a21 = f32x4.add(a21, f32x4.mul(right, d1));
    }
    const at = sums + (<usize>(r * 12 + map * 2) << 3);
    store<f64>(at, load<f64>(at) + sumLanes64(a00));
    store<f64>(at + 8, load<f64>(at + 8) + sumLanes64(a01));
    store<f64>(at + 32, load<f64>(at + 32) + sumLanes64(a10));
    store<f64>(at + 40, load<f64>(at + 40) + sumLanes64(a11));
    store<f64>(at + 64, load<f64>(at + 64) + sumLanes64(a20));
    store<f64>(at + 72, load<f64>(at + 72) + sumLanes64(a21));
  }
}

/**
 * Adds the input gradient of the first convolution to row i of da and db: the convolution of the hidden gradients with the filter turned
 * around and its channels exchanged. h0 and h1 are scratch, because the rows of the maps have no room for whole vectors.
 */
function addInputGradient(
  ring0: usize, ring1: usize, da: usize, db: usize, i: i32, l: i32, stride: i32, splats: usize, h0: usize, h1: usize,
): void {
  const bytes = <usize>l << 2;
  const daRow = da + <usize>i * bytes;
  const dbRow = db + <usize>i * bytes;
  memory.copy(h0, daRow, bytes);
  memory.copy(h1, dbRow, bytes);
  convolveRow(
    slotOf(ring0, i + 1, stride), slotOf(ring0, i, stride), slotOf(ring0, i - 1, stride),
    slotOf(ring1, i + 1, stride), slotOf(ring1, i, stride), slotOf(ring1, i - 1, stride),
    -4, splats, 16, h0, h1, l,
  );
  memory.copy(daRow, h0, bytes);
  memory.copy(dbRow, h1, bytes);
}

/**
 * Gradients for upstream gradient g[l,l]: da, db [l,l] are written; `sums` (39 float64) is added to: 36 for the first
 * convolution [3,3,2,2], then the sums of dd*hidden_0, dd*hidden_1 and dd, where d is the difference of the logits.
 */
export function fuseBackward(
  a: usize, b: usize, weights: usize, g: usize, da: usize, db: usize, sums: usize,
  l: i32, u0: f32, u1: f32, bias: f32, scratch: usize,
): void {
  const stride = strideOf(l);
  const row = <usize>stride << 2;
  const splats = scratch;
  const ringA = scratch + 36 * 16;
  const ringB = ringA + 3 * row;
  const ring0 = ringB + 3 * row;
  const ring1 = ring0 + 3 * row;
  const h0 = ring1 + 3 * row + 16;
  const h1 = h0 + row;
  splatWeights(weights, splats);
  memory.fill(ringA, 0, 14 * row);
  loadRow(a, ringA, 0, l, stride);
  loadRow(b, ringB, 0, l, stride);
  const zero = f32x4.splat(0);
  const one = f32x4.splat(1);
  for (let i = 0; i < l; i++) {
    loadRow(a, ringA, i + 1, l, stride);
    loadRow(b, ringB, i + 1, l, stride);
    hiddenRow(ringA, ringB, i, l, stride, splats, h0, h1);
    const aRow = slotOf(ringA, i, stride);
    const bRow = slotOf(ringB, i, stride);
    const g0 = slotOf(ring0, i, stride);
    const g1 = slotOf(ring1, i, stride);
    const start = (<usize>i * <usize>l) << 2;
    const gRow = g + start;
    const daRow = da + start;
    const dbRow = db + start;
    let sum0 = f32x4.splat(0);
    let sum1 = f32x4.splat(0);
    let sumD = f32x4.splat(0);
    for (let j = 0; j < l; j += 4) {
      const at = <usize>j << 2;
      const rest = l - j;
      // The last rows of a map may end where the heap does: never read a vector past the end.
      let vg: v128;
      if (rest >= 4) {
        vg = v128.load(gRow + at);
      } else {
        vg = f32x4.replace_lane(zero, 0, load<f32>(gRow + at));
        if (rest > 1) vg = f32x4.replace_lane(vg, 1, load<f32>(gRow + at + 4));
        if (rest > 2) vg = f32x4.replace_lane(vg, 2, load<f32>(gRow + at + 8));
      }
      const p0 = v128.load(h0 + at);
      const p1 = v128.load(h1 + at);
      const r0 = f32x4.pmax(p0, zero);
      const r1 = f32x4.pmax(p1, zero);
      const d = f32x4.add(f32x4.splat(bias), f32x4.add(f32x4.mul(r0, f32x4.splat(u0)), f32x4.mul(r1, f32x4.splat(u1))));
      const w = sigmoidOf(d);
      const difference = f32x4.sub(v128.load(aRow + at), v128.load(bRow + at));
      const ga = f32x4.mul(vg, w);
      const dd = f32x4.mul(f32x4.mul(ga, difference), f32x4.sub(one, w));
      sum0 = f32x4.add(sum0, f32x4.mul(dd, r0));
      sum1 = f32x4.add(sum1, f32x4.mul(dd, r1));
      sumD = f32x4.add(sumD, dd);
      v128.store(g0 + at, v128.and(f32x4.mul(dd, f32x4.splat(u0)), f32x4.gt(p0, zero)));
      v128.store(g1 + at, v128.and(f32x4.mul(dd, f32x4.splat(u1)), f32x4.gt(p1, zero)));
      const gb = f32x4.sub(vg, ga);
      if (rest >= 4) {
        v128.store(daRow + at, ga);
        v128.store(dbRow + at, gb);
      } else {
        store<f32>(daRow + at, f32x4.extract_lane(ga, 0));
        store<f32>(dbRow + at, f32x4.extract_lane(gb, 0));
        if (rest > 1) {
          store<f32>(daRow + at + 4, f32x4.extract_lane(ga, 1));
          store<f32>(dbRow + at + 4, f32x4.extract_lane(gb, 1));
        }
        if (rest > 2) {
          store<f32>(daRow + at + 8, f32x4.extract_lane(ga, 2));
          store<f32>(dbRow + at + 8, f32x4.extract_lane(gb, 2));
        }
      }
    }
    store<f64>(sums + 36 * 8, load<f64>(sums + 36 * 8) + sumLanes64(sum0));
    store<f64>(sums + 37 * 8, load<f64>(sums + 37 * 8) + sumLanes64(sum1));
    store<f64>(sums + 38 * 8, load<f64>(sums + 38 * 8) + sumLanes64(sumD));
    accumulateFilter(ringA, g0, g1, i, l, stride, 0, sums);
    accumulateFilter(ringB, g0, g1, i, l, stride, 1, sums);
    if (i > 0) addInputGradient(ring0, ring1, da, db, i - 1, l, stride, splats, h0, h1);
  }
  // The row below the last has no hidden gradient.
  zeroRow(ring0 + ((<usize>((l + 3) % 3) * <usize>stride) << 2), stride);
  zeroRow(ring1 + ((<usize>((l + 3) % 3) * <usize>stride) << 2), stride);
  addInputGradient(ring0, ring1, da, db, l - 1, l, stride, splats, h0, h1);
}
