/** How a kernel's response is divided by the kernel's own mass K1 = filter(1). */
export type Normalization = 'none' | 'before' | 'after' | 'symmetric';

/**
 * Label compatibility of one kernel: a number is a Potts weight (message = -w * filtered Q); `labels` values are a
 * diagonal; `labels * labels` values are a full matrix, row-major, used as 0.5 * (M + M^T). A diagonal or a matrix is
 * used with its own sign (message = M * filtered Q), so that -w on the diagonal equals the Potts weight w.
 */
export type Compatibility = number | ArrayLike<number>;

/** Smoothness kernel over pixel positions. */
export interface GaussianKernel {
  /** Standard deviation in pixels, > 0: one number or [x, y]. */
  readonly sxy: number | readonly [number, number];
  readonly compat: Compatibility;
  /** Overrides the options' `normalization` for this kernel. */
  readonly normalization?: Normalization;
}

/** Appearance kernel over pixel positions and colours. */
export interface BilateralKernel extends GaussianKernel {
  /** Standard deviation in 8-bit colour units, > 0: one number or [red, green, blue]. */
  readonly srgb: number | readonly [number, number, number];
}

/** The kernels and steps of a dense CRF, without an image: what a preset holds. */
export interface DenseCrfModel {
  readonly gaussian?: GaussianKernel | readonly GaussianKernel[];
  readonly bilateral?: BilateralKernel | readonly BilateralKernel[];
  /** Mean-field steps, an integer >= 0; 0 returns softmax(-unary). */
  readonly iterations: number;
  /** Default of every kernel; `symmetric` when absent, as in the C++ reference. */
  readonly normalization?: Normalization;
}

/** One inference problem. Exactly one of `unary` and `probabilities` is given. */
export interface DenseCrfOptions extends DenseCrfModel {
  /** Pixels, an integer >= 1. */
  readonly width: number;
  /** Pixels, an integer >= 1. */
  readonly height: number;
  /** Number of labels, an integer >= 2. */
  readonly labels: number;
  /** Energies (negative log-probabilities up to a constant per pixel), [labels, height, width], finite. */
  readonly unary?: Float32Array;
  /** Class probabilities in 0..1, [labels, height, width]; the energy is -ln(max(p, 1e-5)). */
  readonly probabilities?: Float32Array;
  /** RGB bytes, [height, width, 3]; required by a bilateral kernel. */
  readonly image?: Uint8Array | Uint8ClampedArray;
}

/** A problem without `iterations`, for step-wise inference. */
export type DenseCrfStartOptions = Omit<DenseCrfOptions, 'iterations'> & { readonly iterations?: number };

/** Step-wise inference over one image: Q starts as softmax(-unary) and each `step` is one mean-field update. */
export interface DenseCrfSession {
  /** Number of steps taken. */
  readonly iteration: number;
  /** Lattice points of each kernel, Gaussian kernels first (M in the reference's code). */
  readonly latticeSizes: readonly number[];
  /** One mean-field update of all pixels; returns the session. */
  step(): DenseCrfSession;
  /** Current Q, [labels, height, width]; a fresh array. */
  q(): Float32Array;
  /** Current argmax, [height, width]; the lowest label wins ties; at most 256 labels. */
  map(): Uint8Array;
  /** Current Q of label 1, [height, width]; two labels only. */
  foreground(): Float32Array;
  /** KL divergence of Q from the model up to its log partition constant: sum Q ln Q + sum U Q + sum Q message. */
  klDivergence(): number;
  /** Releases the session's memory; using it afterwards throws. */
  dispose(): void;
}

/** Dense CRF inference by mean field with permutohedral-lattice filtering. */
export interface DenseCrf {
  /** Which code runs: the SIMD kernel or plain TypeScript. */
  readonly implementation: 'wasm' | 'reference';
  /** Q after `iterations` steps, [labels, height, width], sums to 1 over labels. */
  infer(options: DenseCrfOptions): Float32Array;
  /** Argmax of Q, [height, width]; the lowest label wins ties; at most 256 labels. */
  inferMap(options: DenseCrfOptions): Uint8Array;
  /** Q of label 1, [height, width]; two labels only. */
  inferForeground(options: DenseCrfOptions): Float32Array;
  /** Step-wise inference; sessions are independent of each other and of `infer`. */
  start(options: DenseCrfStartOptions): DenseCrfSession;
  /** Releases all memory; using the object afterwards throws. */
  dispose(): void;
}
