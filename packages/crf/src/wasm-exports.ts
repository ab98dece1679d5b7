/** What the SIMD kernel exports (assembly/index.ts); all addresses and sizes are bytes in its memory. */
export interface WasmExports {
  readonly memory: WebAssembly.Memory;
  arenaStart(): number;
  arenaTop(): number;
  arenaReset(mark: number): void;
  reserve(bytes: bigint): number;

  /** Lattice points, or 0 when the sigmas are too small for 64-bit keys. */
  buildKernel(
    index: number,
    corners: number,
    width: number,
    height: number,
    image: number,
    sigmas: number,
    normalization: number,
    folded: number,
  ): number;
  kernelAt(index: number): number;
  corners(kernel: number): number;
  rows(kernel: number): number;
  ids(kernel: number): number;
  splatWeights(kernel: number): number;
  sliceWeights(kernel: number): number;
  neighbours(kernel: number): number;
  setLattice(
    kernel: number,
    corners: number,
    rows: number,
    ids: number,
    splatWeights: number,
    sliceWeights: number,
    neighbours: number,
  ): void;
  setBuffers(kernel: number, front: number, back: number): void;
  setCompatibility(kernel: number, scale: number, matrix: number): void;
  alphaOf(corners: number): number;

  setProblem(
    width: number,
    height: number,
    labels: number,
    kernels: number,
    planes: number,
    product: number,
  ): void;
  prepare(kind: number, floor: number, low: number, high: number, cut: number, sums: number): number;
  setPlanes(planes: number): void;
  activeList(): number;
  peakList(): number;
  planePeaks(planes: number): void;
  setActive(count: number, rest: number, normalized: number): void;
  setImplied(rowSums: number, share: number): void;
  clearBuffers(): void;
  blurAll(): void;
  pass(
    withMessage: number,
    splatNext: number,
    outPlanes: number,
    qRows: number,
    inversePlane: number,
    peaks: number,
  ): void;
  largestMessage(): number;
  largestRest(): number;
  writeAllPlanes(qRows: number, inversePlane: number, outPlanes: number): void;
  divergence(qRows: number, inversePlane: number): number;
  argmaxPlanes(planes: number, labels: number, paddedPixels: number, out: number): void;

  setTwoLabels(width: number, height: number, kernels: number, planes: number): void;
  prepareTwo(kind: number, floor: number, low: number, high: number): number;
  clearTwo(): void;
  blurTwo(weighted: number): void;
  passTwo(withMessage: number, splatNext: number, outPlanes: number, dPlane: number): void;
  splatOnes(): void;
  slicePlane(out: number): void;
  splatPlane(dPlane: number): void;
  sumSliced(by: number): number;
  energyTwo(dPlane: number): number;
}
