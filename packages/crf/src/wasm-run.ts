import { DenseCrfError } from './dense-crf-error.js';
import {
  checkValues,
  type DenseCrfProblem,
  type KernelSpec,
  probabilityFloor,
  probabilityTolerance,
} from './dense-crf-problem.js';
import type { WasmExports } from './wasm-exports.js';

/** Kernels that one problem may have (static table in the SIMD kernel). */
export const maxKernels = 32;

/**
 * How much leaving a label out of the filters may change Q in one step. A left-out label lacks a message of at most
 * w q (w the sum of Potts weights, q its largest probability), which moves the normaliser by at most w q^2: the sum of
 * w q^2 over left-out labels stays below this. Several steps add up to well below 5e-5.
 */
const skipTolerance = 2e-6;

/** No label above this probability is left out, whatever the weights. */
const largestSkipped = 1e-3;

/** Messages above 2^118 would overflow the product form's sums over up to 256 labels: the log form takes over. */
const largestProductMessage = 118;

/** Gaussian lattices kept between images: bytes in all, and their number. */
const maxCachedBytes = 24 * 2 ** 20;
const maxCachedLattices = 8;

interface CachedLattice {
  readonly corners: number;
  readonly rows: number;
  readonly ids: number;
  readonly splatWeights: number;
  readonly sliceWeights: number;
  readonly neighbours: number;
}

const normalizationCodes = { none: 0, before: 1, after: 2, symmetric: 3 } as const;

/** One instance of the SIMD kernel: its memory, and the Gaussian lattices cached in it. */
export class WasmInstance {
  readonly exports: WasmExports;
  readonly #cache = new Map<string, CachedLattice>();
  /** End of the cached lattices; everything from here on belongs to the image in work. */
  #cacheEnd: number;

  constructor(module: WebAssembly.Module) {
    this.exports = new WebAssembly.Instance(module).exports as unknown as WasmExports;
    this.#cacheEnd = this.exports.arenaStart();
  }

  reserve(bytes: number): number {
    return this.exports.reserve(BigInt(bytes)) >>> 0;
  }

  floats(at: number, length: number): Float32Array {
    return new Float32Array(this.exports.memory.buffer, at, length);
  }

  bytes(at: number, length: number): Uint8Array {
    return new Uint8Array(this.exports.memory.buffer, at, length);
  }

  /** Forgets the last image and makes the Gaussian lattices of the next one; returns the kernels' sizes so far. */
  begin(problem: DenseCrfProblem): void {
    const { exports } = this;
    const missing = problem.kernels.filter(
      (k) => k.kind === 'gaussian' && !this.#cache.has(cacheKey(problem, k)),
    );
    if (
      missing.length > 0 &&
      (this.#cacheEnd - exports.arenaStart() > maxCachedBytes ||
        this.#cache.size + missing.length > maxCachedLattices)
    ) {
      this.#cache.clear();
      this.#cacheEnd = exports.arenaStart();
    }
    exports.arenaReset(this.#cacheEnd);
    problem.kernels.forEach((kernel, index) => {
      if (kernel.kind !== 'gaussian') return;
      const at = exports.kernelAt(index);
      const key = cacheKey(problem, kernel);
      const known = this.#cache.get(key);
      if (known) {
        exports.setLattice(
          at,
          known.corners,
          known.rows,
          known.ids,
          known.splatWeights,
          known.sliceWeights,
          known.neighbours,
        );
        return;
      }
      this.build(problem, kernel, index, 0, true);
      this.#cache.set(key, {
        corners: exports.corners(at),
        rows: exports.rows(at),
        ids: exports.ids(at),
        splatWeights: exports.splatWeights(at),
        sliceWeights: exports.sliceWeights(at),
        neighbours: exports.neighbours(at),
      });
      this.#cacheEnd = exports.arenaTop() >>> 0;
    });
  }

  build(problem: DenseCrfProblem, kernel: KernelSpec, index: number, image: number, folded: boolean): void {
    // The sigmas stay reserved (a few bytes): the arena only grows from here on.
    const sigmas = this.reserve(32);
    this.floats(sigmas, kernel.sigmas.length).set(kernel.sigmas);
    const points = this.exports.buildKernel(
      index,
      kernel.sigmas.length + 1,
      problem.width,
      problem.height,
      image,
      sigmas,
      normalizationCodes[kernel.normalization],
      folded ? 1 : 0,
    );
    if (points === 0) throw new KeysTooShort();
  }
}

/** Sigmas so small that lattice coordinates do not fit the SIMD kernel's keys: the plain implementation takes over. */
export class KeysTooShort extends Error {}

/** The product form's messages overflowed: start again in the log form. */
export class MessageOverflow extends Error {}

function cacheKey(problem: DenseCrfProblem, kernel: KernelSpec): string {
  return [problem.width, problem.height, ...kernel.sigmas, kernel.normalization].join(' ');
}

interface RunOptions {
  /** Leave labels with negligible probability out of the filters. */
  readonly skipLabels: boolean;
  /** Keep each step's Q, for reading it and for the KL divergence. */
  readonly keep: boolean;
  /** Use the log form even where the product form would do. */
  readonly logForm: boolean;
}

/** Mean field of one problem in an instance; the instance belongs to it until the next `begin`. */
export class WasmRun {
  readonly #instance: WasmInstance;
  readonly #exports: WasmExports;
  readonly #problem: DenseCrfProblem;
  readonly #options: RunOptions;
  readonly #pixels: number;
  readonly #padded: number;
  readonly #twoLabels: boolean;
  readonly #productForm: boolean;
  #planes = 0;
  #sums = 0;
  #rest = 0;
  #qRows = 0;
  #inverse = 0;
  #scratch = 0;
  #out = 0;
  #peaks = 0;
  /** Labels that are not left out, and how many of them are filtered (all, or all but an implied one). */
  #active = 0;
  #filtered = 0;
  #bufferVectors = 0;
  #iteration = 0;
  #blurred = false;
  #relayout = false;
  #dropped = false;
  #finished = false;
  #rowSums: number | null = null;

  constructor(instance: WasmInstance, problem: DenseCrfProblem, options: RunOptions) {
    this.#instance = instance;
    this.#exports = instance.exports;
    this.#problem = problem;
    this.#options = options;
    this.#pixels = problem.width * problem.height;
    this.#padded = (this.#pixels + 3) & ~3;
    this.#twoLabels = problem.labels === 2 && problem.kernels.every((kernel) => kernel.potts !== null);
    this.#productForm =
      !options.logForm &&
      problem.kernels.every(
        (kernel) => kernel.potts !== null && kernel.potts >= 0 && kernel.normalization !== 'none',
      );
    if (problem.kernels.length > maxKernels) {
      throw new DenseCrfError(
        'bad-option',
        `Expected at most ${maxKernels} kernels, got ${problem.kernels.length}.`,
        {
          kernels: problem.kernels.length,
        },
      );
    }
    this.#start();
  }

  get iteration(): number {
    return this.#iteration;
  }

  get latticeSizes(): number[] {
    return this.#problem.kernels.map((_, i) => this.#exports.rows(this.#exports.kernelAt(i)) - 1);
  }

  #start(): void {
    const { width, height, kernels, labels, image } = this.#problem;
    const exports = this.#exports;
    const instance = this.#instance;
    instance.begin(this.#problem);
    this.#planes = instance.reserve(labels * this.#padded * 4);
    this.#load();
    if (this.#twoLabels) {
      exports.setTwoLabels(width, height, kernels.length, this.#planes);
    } else {
      exports.setProblem(width, height, labels, kernels.length, this.#planes, this.#productForm ? 1 : 0);
      this.#sums = instance.reserve(this.#padded * 4);
      this.#rest = instance.reserve(this.#padded * 4);
      this.#peaks = instance.reserve((labels + 8) * 4);
    }
    this.#prepare();

    const bilateral = kernels.some((kernel) => kernel.kind === 'bilateral');
    let imageAt = 0;
    if (bilateral) {
      const bytes = image as Uint8Array;
      // The last group of four pixels reads past the image, and expects zeros there.
      imageAt = instance.reserve(bytes.length + 64);
      const target = instance.bytes(imageAt, bytes.length + 64);
      target.set(bytes);
      target.fill(0, bytes.length);
    }
    kernels.forEach((kernel, index) => {
      if (kernel.kind === 'bilateral') {
        instance.build(this.#problem, kernel, index, imageAt, !this.#twoLabels);
      }
    });
    this.#compatibility();
    if (this.#options.keep) {
      // Two labels: the plane of D and the planes of Q; more: rows of Q and the plane of 1 / normaliser.
      this.#qRows = instance.reserve(this.#padded * 4 * (this.#twoLabels ? 1 : (labels + 3) & ~3));
      if (this.#twoLabels) this.#out = instance.reserve(this.#padded * 8);
      else this.#inverse = instance.reserve(this.#padded * 4);
    }
    if (!this.#twoLabels) {
      this.#chooseActive();
      exports.setActive(this.#active, this.#rest, 0);
    }
    this.#allocateBuffers();
    this.#implyLast();
  }

  /** Lets the last label follow from the others where that saves a vector: 21 labels fill five of them. */
  #implyLast(): void {
    const { width, height, kernels, labels } = this.#problem;
    if (this.#twoLabels || !this.#productForm || kernels.length === 0) return;
    if (this.#active < labels || labels % 4 !== 1) return;
    const exports = this.#exports;
    const rowSums = this.#instance.reserve(this.#padded * 4);
    const share = this.#instance.reserve(this.#padded * 4);
    exports.setTwoLabels(width, height, kernels.length, 0);
    exports.clearTwo();
    exports.splatOnes();
    exports.blurTwo(1);
    exports.slicePlane(rowSums);
    exports.setImplied(rowSums, share);
    this.#filtered = labels - 1;
  }

  #load(): void {
    const { labels, unary, probabilities } = this.#problem;
    const values = (unary ?? probabilities) as Float32Array;
    const target = this.#instance.floats(this.#planes, labels * this.#padded);
    if (this.#padded === this.#pixels) {
      target.set(values);
      return;
    }
    for (let label = 0; label < labels; label++) {
      const at = label * this.#padded;
      target.set(values.subarray(label * this.#pixels, (label + 1) * this.#pixels), at);
      target.fill(this.#problem.unary ? 0 : 1, at + this.#pixels, at + this.#padded);
    }
  }

  #prepare(): void {
    const { kernels, probabilities } = this.#problem;
    const kind = probabilities ? 1 : 0;
    const low = kind ? -probabilityTolerance : -3.4e38;
    const high = kind ? 1 + probabilityTolerance : 3.4e38;
    const weight = kernels.reduce((sum, kernel) => sum + Math.abs(kernel.potts ?? 0), 0);
    // A label's E can be lifted by its messages (up to about 2 w of them): cut only what stays below 2^-40 even so.
    const cut = -Math.min(120, 40 + 2.9 * weight);
    const good = this.#twoLabels
      ? this.#exports.prepareTwo(kind, probabilityFloor, low, high)
      : this.#exports.prepare(kind, probabilityFloor, low, high, cut, this.#sums);
    if (!good) checkValues(this.#problem);
  }

  #compatibility(): void {
    const { kernels, labels } = this.#problem;
    const exports = this.#exports;
    kernels.forEach((kernel, index) => {
      const at = exports.kernelAt(index);
      const alpha = exports.alphaOf(exports.corners(at)) * Math.LOG2E;
      if (kernel.matrix === null) {
        exports.setCompatibility(at, (kernel.potts as number) * alpha, 0);
        return;
      }
      const stride = (labels + 3) & ~3;
      const matrixAt = this.#instance.reserve(labels * stride * 4);
      const target = this.#instance.floats(matrixAt, labels * stride).fill(0);
      for (let j = 0; j < labels; j++) {
        for (let i = 0; i < labels; i++) target[j * stride + i] = -alpha * kernel.matrix[i * labels + j];
      }
      exports.setCompatibility(at, 1, matrixAt);
    });
  }

  /** Which of the labels with these largest probabilities may be left out, given the share of those already out. */
  #negligible(peaks: readonly number[], share = 0): number[] {
    const weight = this.#problem.kernels.reduce((sum, kernel) => sum + (kernel.potts ?? 0), 0);
    const order = peaks.map((_, i) => i).sort((a, b) => peaks[a] - peaks[b] || a - b);
    const out: number[] = [];
    let sum = share * share;
    for (const i of order) {
      sum += peaks[i] * peaks[i];
      if (!(sum * Math.max(weight, 1) < skipTolerance && peaks[i] < largestSkipped)) break;
      out.push(i);
    }
    // At least one label stays.
    return out.slice(0, peaks.length - 1);
  }

  /** Writes the list of labels, the filtered ones first (in ascending order), by their largest probabilities. */
  #chooseActive(): void {
    const { labels } = this.#problem;
    const list = new Int32Array(this.#exports.memory.buffer, this.#exports.activeList(), labels);
    let active = Array.from({ length: labels }, (_, label) => label);
    let others: number[] = [];
    if (this.#options.skipLabels && this.#productForm && !this.#twoLabels) {
      const left = new Set(
        this.#negligible(Array.from(this.#instance.floats(this.#exports.peakList(), labels))),
      );
      others = active.filter((label) => left.has(label));
      active = active.filter((label) => !left.has(label));
    }
    list.set([...active, ...others]);
    this.#active = active.length;
    this.#filtered = active.length;
  }

  #allocateBuffers(): void {
    const exports = this.#exports;
    const vectors = this.#twoLabels ? 1 : (this.#active + 3) >> 2;
    if (vectors <= this.#bufferVectors) return;
    this.#bufferVectors = vectors;
    const rowBytes = this.#twoLabels ? 4 : vectors * 16;
    for (let i = 0; i < this.#problem.kernels.length; i++) {
      const at = exports.kernelAt(i);
      const bytes = (exports.rows(at) + 1) * rowBytes;
      exports.setBuffers(at, this.#instance.reserve(bytes), this.#instance.reserve(bytes));
    }
  }

  /** Computes Q0; with `last`, Q goes to the planes and no step may follow. */
  initialize(last: boolean): void {
    this.#iteration = 0;
    this.#blurred = false;
    if (this.#twoLabels) {
      this.#exports.clearTwo();
      this.#exports.passTwo(0, last ? 0 : 1, last ? this.#planes : this.#out, this.#qRows);
    } else {
      this.#exports.clearBuffers();
      this.#pass(false, last, false);
    }
    this.#finished = last;
  }

  #pass(withMessage: boolean, last: boolean, peaks: boolean): void {
    this.#exports.pass(
      withMessage ? 1 : 0,
      last ? 0 : 1,
      last ? this.#planes : 0,
      last ? 0 : this.#qRows,
      last ? 0 : this.#inverse,
      peaks ? this.#peaks : 0,
    );
  }

  #blur(): void {
    if (this.#blurred) return;
    if (this.#twoLabels) this.#exports.blurTwo(1);
    else this.#exports.blurAll();
    this.#blurred = true;
  }

  /** One mean-field step; with `last`, Q goes to the planes and no step may follow. */
  step(last: boolean): void {
    if (this.#finished) throw new Error('No step may follow the last one.');
    const exports = this.#exports;
    if (this.#relayout) this.#changeLayout();
    this.#blur();
    if (this.#twoLabels) {
      exports.passTwo(1, last ? 0 : 1, last ? this.#planes : this.#out, this.#qRows);
    } else {
      const next = this.#iteration + 1;
      // Labels die out mostly in the first steps: look for them at powers of two.
      const look =
        !last &&
        this.#active > 4 &&
        this.#options.skipLabels &&
        this.#productForm &&
        (next & (next - 1)) === 0;
      this.#pass(true, last, look);
      if (this.#productForm && !(exports.largestMessage() < largestProductMessage))
        throw new MessageOverflow();
      // Messages are >= 0, so a label that was left out from the start only loses share; one that was dropped later
      // could come back.
      if (!last && this.#dropped && exports.largestRest() > largestSkipped) this.#relayout = true;
      else if (look) this.#relayout = this.#vectorsAfterDropping() < (this.#filtered + 3) >> 2;
    }
    this.#iteration++;
    this.#blurred = false;
    this.#finished = last;
  }

  /** Vectors per row if labels that have died out since were dropped. */
  #vectorsAfterDropping(): number {
    const peaks = Array.from(this.#instance.floats(this.#peaks, this.#filtered));
    if (this.#filtered < this.#active) {
      peaks.push(this.#instance.floats(this.#peaks + ((this.#filtered + 3) >> 2) * 16, 1)[0]);
    }
    const share = this.#active < this.#problem.labels ? this.#exports.largestRest() : 0;
    return (this.#active - this.#negligible(peaks, share).length + 3) >> 2;
  }

  /** Chooses the filtered labels again from the current Q, and splats it in the new layout. */
  #changeLayout(): void {
    const exports = this.#exports;
    const { labels } = this.#problem;
    this.#relayout = false;
    this.#dropped = true;
    this.#scratch ||= this.#instance.reserve(labels * this.#padded * 4);
    if (this.#qRows) exports.writeAllPlanes(this.#qRows, this.#inverse, this.#scratch);
    else exports.pass(1, 0, this.#scratch, 0, 0, 0);
    exports.planePeaks(this.#scratch);
    this.#chooseActive();
    this.#allocateBuffers();
    // Q is its own softmax: with Q in the place of E, a pass without messages splats it.
    exports.setPlanes(this.#scratch);
    exports.setActive(this.#active, this.#rest, 1);
    exports.clearBuffers();
    exports.pass(0, 1, 0, 0, 0, 0);
    exports.setPlanes(this.#planes);
    exports.setActive(this.#active, this.#rest, 0);
    this.#blurred = false;
  }

  /** Address of Q as planes. */
  #result(): number {
    if (this.#finished) return this.#planes;
    if (this.#twoLabels) return this.#out;
    this.#out ||= this.#instance.reserve(this.#problem.labels * this.#padded * 4);
    this.#exports.writeAllPlanes(this.#qRows, this.#inverse, this.#out);
    return this.#out;
  }

  q(): Float32Array {
    const { labels } = this.#problem;
    const at = this.#result();
    if (this.#padded === this.#pixels) return this.#instance.floats(at, labels * this.#pixels).slice();
    const out = new Float32Array(labels * this.#pixels);
    for (let label = 0; label < labels; label++) {
      out.set(this.#instance.floats(at + label * this.#padded * 4, this.#pixels), label * this.#pixels);
    }
    return out;
  }

  foreground(): Float32Array {
    return this.#instance.floats(this.#result() + this.#padded * 4, this.#pixels).slice();
  }

  map(): Uint8Array {
    const at = this.#result();
    const mapAt = this.#instance.reserve(this.#padded);
    this.#exports.argmaxPlanes(at, this.#problem.labels, this.#padded, mapAt);
    const map = this.#instance.bytes(mapAt, this.#pixels).slice();
    this.#exports.arenaReset(mapAt);
    return map;
  }

  /** KL divergence of the kept Q. */
  klDivergence(): number {
    const exports = this.#exports;
    if (!this.#twoLabels) {
      this.#blur();
      return exports.divergence(this.#qRows, this.#inverse);
    }
    if (this.#problem.kernels.length === 0) return exports.energyTwo(this.#qRows);
    if (this.#rowSums === null) {
      // Sum over two labels of Q filter(Q) = (filter(1) + D filter(D)) / 2.
      exports.clearTwo();
      exports.splatOnes();
      exports.blurTwo(1);
      this.#rowSums = exports.sumSliced(0);
      exports.clearTwo();
      exports.splatPlane(this.#qRows);
      this.#blurred = false;
    }
    this.#blur();
    const messages = this.#rowSums + exports.sumSliced(this.#qRows);
    return exports.energyTwo(this.#qRows) - 0.5 * Math.LN2 * messages;
  }
}
