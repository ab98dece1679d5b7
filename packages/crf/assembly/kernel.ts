// Descriptor of one pairwise kernel, kept as plain fields in static memory.

export const MAX_KERNELS: i32 = 32;
const KERNEL_BYTES: usize = 64;

const table: usize = memory.data(64 * 32, 16);

// @ts-ignore: decorator
@inline
export function kernelAt(index: i32): usize {
  return table + <usize>index * KERNEL_BYTES;
}

// Corners of a simplex: 3 (Gaussian) or 6 (bilateral).
// @ts-ignore: decorator
@inline
export function corners(k: usize): i32 { return load<i32>(k, 0); }
// Rows of a value buffer: lattice points + 1; row 0 stays zero and stands for "no neighbour".
// @ts-ignore: decorator
@inline
export function rows(k: usize): u32 { return load<u32>(k, 4); }
// Row of each pixel's corner, u32 [paddedPixels, corners].
// @ts-ignore: decorator
@inline
export function ids(k: usize): usize { return load<usize>(k, 8); }
// Weights for splatting and slicing, f32 [paddedPixels, corners]: barycentric times the normalisation of that side.
// @ts-ignore: decorator
@inline
export function splatWeights(k: usize): usize { return load<usize>(k, 12); }
// @ts-ignore: decorator
@inline
export function sliceWeights(k: usize): usize { return load<usize>(k, 16); }
// Rows of both neighbours, u32 [corners, rows, 2].
// @ts-ignore: decorator
@inline
export function neighbours(k: usize): usize { return load<usize>(k, 20); }
// Value buffers, f32 [rows, channels]: `front` is sliced (blurred), `back` is splatted into.
// @ts-ignore: decorator
@inline
export function front(k: usize): usize { return load<usize>(k, 24); }
// @ts-ignore: decorator
@inline
export function back(k: usize): usize { return load<usize>(k, 28); }
// Potts weight times alpha, applied in the last blur.
// @ts-ignore: decorator
@inline
export function scale(k: usize): f32 { return load<f32>(k, 32); }
// Compatibility matrix, columns padded to vectors, or 0 for Potts.
// @ts-ignore: decorator
@inline
export function matrix(k: usize): usize { return load<usize>(k, 36); }

// Per-pixel normalisation that is not folded into the weights (two labels): planes of factors for splatting and slicing,
// f32 [paddedPixels], or 0. Until the first splat has filled them, `mass` is the blurred splat of ones, afterwards 0.
// @ts-ignore: decorator
@inline
export function splatFactors(k: usize): usize { return load<usize>(k, 40); }
// @ts-ignore: decorator
@inline
export function sliceFactors(k: usize): usize { return load<usize>(k, 44); }
// @ts-ignore: decorator
@inline
export function mass(k: usize): usize { return load<usize>(k, 48); }
// @ts-ignore: decorator
@inline
export function setMass(k: usize, m: usize): void { store<usize>(k, m, 48); }

export function setFactors(k: usize, splat: usize, slice: usize, m: usize): void {
  store<usize>(k, splat, 40);
  store<usize>(k, slice, 44);
  store<usize>(k, m, 48);
}

export function setLattice(k: usize, c: i32, r: u32, i: usize, splat: usize, slice: usize, n: usize): void {
  store<i32>(k, c, 0);
  store<u32>(k, r, 4);
  store<usize>(k, i, 8);
  store<usize>(k, splat, 12);
  store<usize>(k, slice, 16);
  store<usize>(k, n, 20);
  setFactors(k, 0, 0, 0);
}

export function setBuffers(k: usize, f: usize, b: usize): void {
  store<usize>(k, f, 24);
  store<usize>(k, b, 28);
}

export function setCompatibility(k: usize, s: f32, m: usize): void {
  store<f32>(k, s, 32);
  store<usize>(k, m, 36);
}

/** The filter's constant of Adams et al.: 1 / (1 + 2^-d). */
export function alphaOf(c: i32): f32 {
  return c == 6 ? <f32>(1.0 / (1.0 + 1.0 / 32.0)) : <f32>(1.0 / (1.0 + 1.0 / 4.0));
}
