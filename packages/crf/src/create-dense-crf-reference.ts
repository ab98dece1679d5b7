import { DenseCrfError } from './dense-crf-error.js';
import {
  checkValues,
  type DenseCrfProblem,
  type KernelSpec,
  probabilityFloor,
  requireByteLabels,
  requireIterations,
  requireTwoLabels,
  toDenseCrfProblem,
} from './dense-crf-problem.js';
import {
  createPermutohedralLattice,
  filterPermutohedral,
  type PermutohedralLattice,
} from './permutohedral-lattice.js';
import type { DenseCrf, DenseCrfSession } from './types.js';

interface Kernel {
  readonly spec: KernelSpec;
  readonly lattice: PermutohedralLattice;
  /** Factor of each pixel before and after the filter; null = 1. */
  readonly before: Float32Array | null;
  readonly after: Float32Array | null;
}

function createKernel(problem: DenseCrfProblem, spec: KernelSpec): Kernel {
  const { width, height } = problem;
  const image = problem.image as Uint8Array;
  const [sx, sy, ...srgb] = spec.sigmas;
  const pixels = width * height;
  const lattice = createPermutohedralLattice(spec.sigmas.length, pixels, (pixel, axis) => {
    if (axis === 0) return Math.fround((pixel % width) / sx);
    if (axis === 1) return Math.fround(Math.floor(pixel / width) / sy);
    return Math.fround(image[pixel * 3 + axis - 2] / srgb[axis - 2]);
  });
  if (spec.normalization === 'none') return { spec, lattice, before: null, after: null };
  const mass = filterPermutohedral(lattice, new Float32Array(pixels).fill(1), 1);
  const symmetric = spec.normalization === 'symmetric';
  const factor = mass.map((value) => 1 / (symmetric ? Math.sqrt(value + 1e-20) : value + 1e-20));
  return {
    spec,
    lattice,
    before: spec.normalization === 'after' ? null : factor,
    after: spec.normalization === 'before' ? null : factor,
  };
}

function scaled(values: Float32Array, factor: Float32Array | null, labels: number): Float32Array {
  if (factor === null) return values;
  return values.map((value, i) => value * factor[(i / labels) | 0]);
}

/** Message of one kernel, [pixels, labels], with the sign that is ADDED to the energy. */
function message(kernel: Kernel, q: Float32Array, labels: number): Float32Array {
  const filtered = filterPermutohedral(kernel.lattice, scaled(q, kernel.before, labels), labels);
  const normalized = scaled(filtered, kernel.after, labels);
  const { potts, matrix } = kernel.spec;
  if (matrix === null) return normalized.map((value) => -(potts as number) * value);
  const out = new Float32Array(normalized.length);
  for (let start = 0; start < out.length; start += labels) {
    for (let i = 0; i < labels; i++) {
      let sum = 0;
      for (let j = 0; j < labels; j++) sum += matrix[i * labels + j] * normalized[start + j];
      out[start + i] = sum;
    }
  }
  return out;
}

/** Row-wise softmax of -energy, [pixels, labels]. */
function softmaxOfNegative(energy: Float32Array, labels: number): Float32Array {
  const q = new Float32Array(energy.length);
  for (let start = 0; start < energy.length; start += labels) {
    let lowest = energy[start];
    for (let i = 1; i < labels; i++) lowest = Math.min(lowest, energy[start + i]);
    let sum = 0;
    for (let i = 0; i < labels; i++) sum += q[start + i] = Math.exp(lowest - energy[start + i]);
    for (let i = 0; i < labels; i++) q[start + i] /= sum;
  }
  return q;
}

class ReferenceSession implements DenseCrfSession {
  readonly #labels: number;
  readonly #pixels: number;
  readonly #unary: Float32Array; // [pixels, labels]
  #q: Float32Array; // [pixels, labels]
  #kernels: readonly Kernel[] | null;
  #iteration = 0;

  constructor(problem: DenseCrfProblem) {
    checkValues(problem);
    const { labels, width, height } = problem;
    this.#labels = labels;
    this.#pixels = width * height;
    this.#unary = new Float32Array(labels * this.#pixels);
    const { unary, probabilities } = problem;
    for (let label = 0; label < labels; label++) {
      for (let pixel = 0; pixel < this.#pixels; pixel++) {
        const from = label * this.#pixels + pixel;
        this.#unary[pixel * labels + label] = unary
          ? unary[from]
          : -Math.log(Math.min(1, Math.max(probabilityFloor, (probabilities as Float32Array)[from])));
      }
    }
    this.#kernels = problem.kernels.map((spec) => createKernel(problem, spec));
    this.#q = softmaxOfNegative(this.#unary, labels);
  }

  #live(): readonly Kernel[] {
    if (this.#kernels === null)
      throw new DenseCrfError('disposed', 'This session was disposed; start a new one.');
    return this.#kernels;
  }

  get iteration(): number {
    return this.#iteration;
  }

  get latticeSizes(): readonly number[] {
    return this.#live().map((kernel) => kernel.lattice.size);
  }

  step(): this {
    const energy = this.#unary.slice();
    for (const kernel of this.#live()) {
      const added = message(kernel, this.#q, this.#labels);
      for (let i = 0; i < energy.length; i++) energy[i] += added[i];
    }
    this.#q = softmaxOfNegative(energy, this.#labels);
    this.#iteration++;
    return this;
  }

  q(): Float32Array {
    this.#live();
    const out = new Float32Array(this.#q.length);
    for (let label = 0; label < this.#labels; label++) {
      for (let pixel = 0; pixel < this.#pixels; pixel++) {
        out[label * this.#pixels + pixel] = this.#q[pixel * this.#labels + label];
      }
    }
    return out;
  }

  map(): Uint8Array {
    this.#live();
    requireByteLabels(this.#labels);
    const out = new Uint8Array(this.#pixels);
    for (let pixel = 0; pixel < this.#pixels; pixel++) {
      const start = pixel * this.#labels;
      let best = 0;
      for (let i = 1; i < this.#labels; i++) if (this.#q[start + i] > this.#q[start + best]) best = i;
      out[pixel] = best;
    }
    return out;
  }

  foreground(): Float32Array {
    this.#live();
    requireTwoLabels(this.#labels);
    return new Float32Array(this.#pixels).map((_, pixel) => this.#q[pixel * 2 + 1]);
  }

  klDivergence(): number {
    let divergence = 0;
    const messages = this.#live().map((kernel) => message(kernel, this.#q, this.#labels));
    for (let i = 0; i < this.#q.length; i++) {
      const q = this.#q[i];
      let term = Math.log(Math.max(q, 1e-20)) + this.#unary[i];
      for (const added of messages) term += added[i];
      divergence += q * term;
    }
    return divergence;
  }

  dispose(): void {
    this.#kernels = null;
    this.#q = new Float32Array(0);
  }
}

/**
 * Dense CRF in plain TypeScript: the semantics that the SIMD kernel is tested against, and its fallback.
 * Same interface as `createDenseCrf`, several times slower. Follows Kraehenbuehl and Koltun (NIPS 2011) as the C++
 * code under pydensecrf computes it.
 */
export function createDenseCrfReference(): DenseCrf {
  let disposed = false;
  const start = (options: Parameters<DenseCrf['start']>[0]): DenseCrfSession => {
    if (disposed) throw new DenseCrfError('disposed', 'This dense CRF was disposed; create a new one.');
    return new ReferenceSession(toDenseCrfProblem(options));
  };
  const run = <T>(options: Parameters<DenseCrf['infer']>[0], read: (session: DenseCrfSession) => T): T => {
    const session = start({ ...options, iterations: requireIterations(options) });
    for (let i = 0; i < options.iterations; i++) session.step();
    return read(session);
  };
  return {
    implementation: 'reference',
    start,
    infer: (options) => run(options, (session) => session.q()),
    inferMap: (options) => run(options, (session) => session.map()),
    inferForeground: (options) => run(options, (session) => session.foreground()),
    dispose: () => {
      disposed = true;
    },
  };
}
