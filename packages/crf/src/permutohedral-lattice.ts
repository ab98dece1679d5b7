/** Sparse permutohedral lattice of one kernel: splat weights per pixel and neighbours per lattice point. */
export interface PermutohedralLattice {
  readonly dimensions: number;
  readonly pixels: number;
  /** Number of lattice points. */
  readonly size: number;
  /** Lattice point of each pixel's simplex corner, [pixels, dimensions + 1]. */
  readonly corners: Int32Array;
  /** Barycentric weight of each corner, [pixels, dimensions + 1]. */
  readonly weights: Float32Array;
  /** Neighbours along each axis, [dimensions + 1, size, 2]; `size` stands for "none" (a point that stays zero). */
  readonly neighbours: Int32Array;
}

const fround = Math.fround;

/** Adding and subtracting 1.5 * 2^23 in float32 rounds to the nearest integer, half to even (|x| < 2^22). */
const roundingMagic = 12_582_912;

/** Open-addressing table of integer coordinate vectors, numbered in order of insertion. */
class CoordinateTable {
  readonly #dimensions: number;
  #keys: Int32Array;
  #slots: Int32Array;
  size = 0;

  constructor(dimensions: number, expected: number) {
    this.#dimensions = dimensions;
    const capacity = 2 ** Math.ceil(Math.log2(Math.max(16, expected * 2)));
    this.#slots = new Int32Array(capacity).fill(-1);
    this.#keys = new Int32Array((capacity / 2 + 1) * dimensions);
  }

  keyAt(id: number, axis: number): number {
    return this.#keys[id * this.#dimensions + axis];
  }

  #home(key: Int32Array, offset: number): number {
    let hash = 0;
    for (let i = 0; i < this.#dimensions; i++) hash = Math.imul(hash + key[offset + i], 0x9e3779b1);
    return (hash ^ (hash >>> 15)) & (this.#slots.length - 1);
  }

  #grow(): void {
    const slots = new Int32Array(this.#slots.length * 2).fill(-1);
    const keys = new Int32Array((slots.length / 2 + 1) * this.#dimensions);
    keys.set(this.#keys);
    this.#slots = slots;
    this.#keys = keys;
    for (let id = 0; id < this.size; id++) {
      let slot = this.#home(keys, id * this.#dimensions);
      while (slots[slot] >= 0) slot = (slot + 1) & (slots.length - 1);
      slots[slot] = id;
    }
  }

  /** Id of the key, or -1; with `create` a missing key is added. */
  find(key: Int32Array, create: boolean): number {
    const dimensions = this.#dimensions;
    if (create && this.size * 2 >= this.#slots.length) this.#grow();
    const slots = this.#slots;
    for (let slot = this.#home(key, 0); ; slot = (slot + 1) & (slots.length - 1)) {
      const id = slots[slot];
      if (id < 0) {
        if (!create) return -1;
        this.#keys.set(key.subarray(0, dimensions), this.size * dimensions);
        slots[slot] = this.size;
        return this.size++;
      }
      let equal = true;
      for (let i = 0; i < dimensions && equal; i++) equal = this.#keys[id * dimensions + i] === key[i];
      if (equal) return id;
    }
  }
}

/** Scale of each elevated axis, in float32 steps (Adams, Baek, Davis 2010, section 3; sqrt(2/3) (d+1) is its sigma). */
export function elevationScales(dimensions: number): Float32Array {
  const deviation = fround(Math.sqrt(2 / 3) * (dimensions + 1));
  return Float32Array.from({ length: dimensions }, (_, i) =>
    fround((1 / Math.sqrt((i + 1) * (i + 2))) * deviation),
  );
}

/**
 * Places pixels in the lattice with the reference's float32 arithmetic.
 * `feature(pixel, axis)` must return float32 values already divided by the kernel's sigmas.
 */
export function createPermutohedralLattice(
  dimensions: number,
  pixels: number,
  feature: (pixel: number, axis: number) => number,
): PermutohedralLattice {
  const d = dimensions;
  const corner = d + 1;
  // The reference works on blocks of four and fills the last block with zero features; their simplex is inserted
  // too, so its points exist (with no pixel on them) and let the blur pass through.
  const padded = Math.ceil(pixels / 4) * 4;
  const corners = new Int32Array(padded * corner);
  const weights = new Float32Array(padded * corner);
  const table = new CoordinateTable(d, pixels);
  const scales = elevationScales(d);
  const inverse = fround(1 / corner);
  const elevated = new Float32Array(corner);
  const remainder = new Float32Array(corner);
  const rank = new Int32Array(corner);
  const barycentric = new Float32Array(d + 2);
  const key = new Int32Array(d);

  for (let pixel = 0; pixel < padded; pixel++) {
    let sum = 0;
    for (let j = d; j > 0; j--) {
      const value = pixel < pixels ? feature(pixel, j - 1) : 0;
      const scaled = fround(value * scales[j - 1]);
      elevated[j] = fround(sum - fround(j * scaled));
      sum = fround(sum + scaled);
    }
    elevated[0] = sum;

    // Nearest lattice point of remainder 0, then how far the coordinate sum is off the plane.
    let off = 0;
    for (let i = 0; i <= d; i++) {
      const rounded = fround(fround(fround(inverse * elevated[i]) + roundingMagic) - roundingMagic);
      remainder[i] = rounded * corner;
      off += rounded;
      rank[i] = 0;
    }
    for (let i = 0; i < d; i++) {
      const di = fround(elevated[i] - remainder[i]);
      for (let j = i + 1; j <= d; j++) {
        if (di < fround(elevated[j] - remainder[j])) rank[i]++;
        else rank[j]++;
      }
    }
    barycentric.fill(0);
    for (let i = 0; i <= d; i++) {
      rank[i] += off;
      if (rank[i] < 0) {
        rank[i] += corner;
        remainder[i] += corner;
      } else if (rank[i] > d) {
        rank[i] -= corner;
        remainder[i] -= corner;
      }
      const v = fround(fround(elevated[i] - remainder[i]) * inverse);
      barycentric[d - rank[i]] += v;
      barycentric[d - rank[i] + 1] -= v;
    }
    barycentric[0] += fround(1 + barycentric[d + 1]);

    for (let r = 0; r <= d; r++) {
      for (let i = 0; i < d; i++) key[i] = remainder[i] + (rank[i] <= d - r ? r : r - corner);
      corners[pixel * corner + r] = table.find(key, true);
      weights[pixel * corner + r] = barycentric[r];
    }
  }

  const size = table.size;
  const neighbours = new Int32Array(corner * size * 2);
  const probe = new Int32Array(d);
  for (let axis = 0; axis <= d; axis++) {
    for (let id = 0; id < size; id++) {
      for (let side = 0; side < 2; side++) {
        const sign = side === 0 ? -1 : 1;
        for (let i = 0; i < d; i++) probe[i] = table.keyAt(id, i) + (i === axis ? -sign * d : sign);
        const found = table.find(probe, false);
        neighbours[(axis * size + id) * 2 + side] = found < 0 ? size : found;
      }
    }
  }
  return {
    dimensions: d,
    pixels,
    size,
    corners: corners.subarray(0, pixels * corner),
    weights: weights.subarray(0, pixels * corner),
    neighbours,
  };
}

/** Filters `channels` interleaved values per pixel, [pixels, channels]: splat, blur along each axis, slice. */
export function filterPermutohedral(
  lattice: PermutohedralLattice,
  values: Float32Array,
  channels: number,
): Float32Array {
  const { dimensions, pixels, size, corners, weights, neighbours } = lattice;
  const corner = dimensions + 1;
  let current = new Float32Array((size + 1) * channels);
  let next = new Float32Array((size + 1) * channels);
  for (let pixel = 0; pixel < pixels; pixel++) {
    for (let r = 0; r < corner; r++) {
      const to = corners[pixel * corner + r] * channels;
      const weight = weights[pixel * corner + r];
      for (let c = 0; c < channels; c++) current[to + c] += weight * values[pixel * channels + c];
    }
  }
  for (let axis = 0; axis < corner; axis++) {
    for (let id = 0; id < size; id++) {
      const a = neighbours[(axis * size + id) * 2] * channels;
      const b = neighbours[(axis * size + id) * 2 + 1] * channels;
      const to = id * channels;
      for (let c = 0; c < channels; c++)
        next[to + c] = current[to + c] + 0.5 * (current[a + c] + current[b + c]);
    }
    [current, next] = [next, current];
  }
  const alpha = fround(1 / (1 + 2 ** -dimensions));
  const out = new Float32Array(pixels * channels);
  for (let pixel = 0; pixel < pixels; pixel++) {
    for (let r = 0; r < corner; r++) {
      const from = corners[pixel * corner + r] * channels;
      const weight = fround(weights[pixel * corner + r] * alpha);
      for (let c = 0; c < channels; c++) out[pixel * channels + c] += weight * current[from + c];
    }
  }
  return out;
}
