import { DenseCrfError } from './dense-crf-error.js';
import type {
  BilateralKernel,
  Compatibility,
  DenseCrfStartOptions,
  GaussianKernel,
  Normalization,
} from './types.js';

/** A kernel with every default filled in. */
export interface KernelSpec {
  readonly kind: 'gaussian' | 'bilateral';
  /** [sx, sy] or [sx, sy, sr, sg, sb], as float32 values. */
  readonly sigmas: readonly number[];
  readonly normalization: Normalization;
  /** Potts weight w, where the compatibility is one number. */
  readonly potts: number | null;
  /** Otherwise: symmetrised matrix [labels * labels] (a diagonal is expanded). */
  readonly matrix: Float32Array | null;
}

/** A checked problem: what the implementations compute on. */
export interface DenseCrfProblem {
  readonly width: number;
  readonly height: number;
  readonly labels: number;
  readonly iterations: number;
  readonly unary: Float32Array | null;
  readonly probabilities: Float32Array | null;
  readonly image: Uint8Array | Uint8ClampedArray | null;
  readonly kernels: readonly KernelSpec[];
}

/** Probabilities below this are raised to it before the logarithm (pydensecrf's `unary_from_softmax` default). */
export const probabilityFloor = 1e-5;

/** How far outside 0..1 a probability may lie: resizing and float32 sums overshoot a little. */
export const probabilityTolerance = 1e-3;

/** 2^28 values = 1 GiB of float32: a limit against typing errors; the lattices would need several times that. */
const maxValues = 2 ** 28;

/**
 * A feature larger than this cannot be placed in float32: its lattice coordinates would be off by more than a
 * hundredth of a cell. (Reached by a sigma far below a pixel.)
 */
const maxFeature = 20_000;

/** Weights beyond this overflow float32 in the sums of messages, and Q would be NaN. */
const maxCompat = 1e30;

const normalizations: readonly Normalization[] = ['none', 'before', 'after', 'symmetric'];

function fail(message: string, details: Record<string, unknown>): never {
  throw new DenseCrfError('bad-option', message, details);
}

function show(value: unknown): string {
  if (ArrayBuffer.isView(value)) {
    const view = value as unknown as ArrayLike<number>;
    return `${value.constructor.name}(${view.length ?? value.byteLength})`;
  }
  if (Array.isArray(value)) return value.length <= 8 ? `[${value.join(', ')}]` : `Array(${value.length})`;
  return typeof value === 'string' ? `'${value}'` : String(value);
}

function integer(value: unknown, name: string, minimum: number): number {
  if (!Number.isInteger(value) || (value as number) < minimum) {
    fail(`Expected ${name} to be an integer >= ${minimum}, got ${show(value)}.`, { [name]: value });
  }
  return value as number;
}

function sigmas(value: unknown, name: string, count: 2 | 3): number[] {
  const list = typeof value === 'number' ? new Array<number>(count).fill(value) : value;
  if (!Array.isArray(list) || list.length !== count) {
    fail(`Expected ${name} to be a number or ${count} numbers, got ${show(value)}.`, { [name]: value });
  }
  for (const sigma of list) {
    if (!(sigma > 0) || !Number.isFinite(sigma)) {
      fail(`Expected ${name} to be > 0 and finite (a standard deviation), got ${show(value)}.`, {
        [name]: value,
      });
    }
  }
  return list.map(Math.fround);
}

function checkNormalization(value: unknown, name: string): Normalization {
  if (!normalizations.includes(value as Normalization)) {
    fail(`Expected ${name} to be one of ${normalizations.join(', ')}, got ${show(value)}.`, {
      [name]: value,
    });
  }
  return value as Normalization;
}

function compatibility(
  value: Compatibility | undefined,
  name: string,
  labels: number,
): { potts: number | null; matrix: Float32Array | null } {
  if (typeof value === 'number') {
    if (!(Math.abs(value) <= maxCompat)) {
      fail(`Expected ${name} to be finite, at most ${maxCompat} either way, got ${value}.`, {
        [name]: value,
      });
    }
    return { potts: Math.fround(value), matrix: null };
  }
  const length = value == null ? -1 : value.length;
  if (value == null || (length !== labels && length !== labels * labels)) {
    fail(
      `Expected ${name} to be a number (Potts), ${labels} values (diagonal) or ${labels * labels} values ` +
        `(matrix) for ${labels} labels, got ${show(value)}.`,
      { [name]: value },
    );
  }
  const matrix = new Float32Array(labels * labels);
  for (let i = 0; i < length; i++) {
    if (!(Math.abs(value[i]) <= maxCompat)) {
      fail(
        `Expected ${name} to hold finite numbers, at most ${maxCompat} either way, got ${value[i]} at index ${i}.`,
        { [name]: value[i], index: i },
      );
    }
  }
  if (length === labels) {
    for (let i = 0; i < labels; i++) matrix[i * labels + i] = value[i];
  } else {
    for (let i = 0; i < labels; i++) {
      for (let j = 0; j < labels; j++) {
        matrix[i * labels + j] =
          0.5 * (Math.fround(value[i * labels + j]) + Math.fround(value[j * labels + i]));
      }
    }
  }
  return { potts: null, matrix };
}

function toList<T>(value: T | readonly T[] | undefined | null): readonly T[] {
  if (value == null) return [];
  return Array.isArray(value) ? (value as readonly T[]) : [value as T];
}

function isFloat32(value: unknown): value is Float32Array {
  return ArrayBuffer.isView(value) && Object.prototype.toString.call(value) === '[object Float32Array]';
}

function isBytes(value: unknown): value is Uint8Array {
  if (!ArrayBuffer.isView(value)) return false;
  const tag = Object.prototype.toString.call(value);
  return tag === '[object Uint8Array]' || tag === '[object Uint8ClampedArray]';
}

/**
 * Checks everything about a problem except the values of its large arrays (see `checkValues`), and fills in defaults.
 * Throws DenseCrfError `bad-option`.
 */
export function toDenseCrfProblem(options: DenseCrfStartOptions): DenseCrfProblem {
  if (options === null || typeof options !== 'object') {
    fail(`Expected an options object, got ${show(options)}.`, { options });
  }
  const width = integer(options.width, 'width', 1);
  const height = integer(options.height, 'height', 1);
  const labels = integer(options.labels, 'labels', 2);
  const iterations = integer(options.iterations ?? 0, 'iterations', 0);
  const values = labels * width * height;
  if (values > maxValues) {
    fail(
      `Expected at most ${maxValues} values (labels x height x width), got ${labels}x${height}x${width}.`,
      {
        width,
        height,
        labels,
      },
    );
  }

  const unary = options.unary ?? null;
  const probabilities = options.probabilities ?? null;
  if ((unary === null) === (probabilities === null)) {
    fail(
      `Expected exactly one of unary and probabilities, got ${unary === null ? 'neither' : 'both'}. ` +
        'Pass network outputs after softmax as probabilities, energies as unary.',
      {},
    );
  }
  const name = unary === null ? 'probabilities' : 'unary';
  const given = unary ?? probabilities;
  if (!isFloat32(given) || given.length !== values) {
    fail(
      `Expected ${name} to be a Float32Array of ${values} values ([labels ${labels}, height ${height}, ` +
        `width ${width}]), got ${show(given)}.`,
      { expected: values, actual: (given as { length?: number } | null)?.length, name },
    );
  }

  const fallback = checkNormalization(options.normalization ?? 'symmetric', 'normalization');
  const kernels: KernelSpec[] = [];
  for (const [kind, list] of [
    ['gaussian', toList<GaussianKernel>(options.gaussian)],
    ['bilateral', toList<BilateralKernel>(options.bilateral)],
  ] as const) {
    list.forEach((kernel: GaussianKernel, index) => {
      const at = list.length > 1 ? `${kind}[${index}]` : kind;
      if (kernel === null || typeof kernel !== 'object') {
        fail(`Expected ${at} to be an object with sxy and compat, got ${show(kernel)}.`, { [at]: kernel });
      }
      const all = sigmas(kernel.sxy, `${at}.sxy`, 2);
      const extents = [width - 1, height - 1];
      if (kind === 'bilateral') {
        all.push(...sigmas((kernel as BilateralKernel).srgb, `${at}.srgb`, 3));
        extents.push(255, 255, 255);
      }
      all.forEach((sigma, axis) => {
        if (extents[axis] / sigma > maxFeature) {
          fail(
            `Expected ${at} sigmas of at least ${extents[axis] / maxFeature} for this image, got ${sigma} on axis ` +
              `${axis}: smaller ones leave no pixel with a neighbour (drop the kernel instead).`,
            { [at]: sigma, axis },
          );
        }
      });
      kernels.push({
        kind,
        sigmas: all,
        normalization: checkNormalization(kernel.normalization ?? fallback, `${at}.normalization`),
        ...compatibility(kernel.compat, `${at}.compat`, labels),
      });
    });
  }

  const image = options.image ?? null;
  if (image === null && kernels.some((kernel) => kernel.kind === 'bilateral')) {
    fail(
      `Expected image (RGB bytes, ${height * width * 3} of them) because a bilateral kernel is given, got none.`,
      {
        expected: height * width * 3,
      },
    );
  }
  if (image !== null && (!isBytes(image) || image.length !== width * height * 3)) {
    const channels = isBytes(image) && image.length === width * height * 4;
    fail(
      `Expected image to be a Uint8Array of ${height * width * 3} bytes ([height ${height}, width ${width}, 3]), ` +
        `got ${show(image)}${channels ? '; it looks like RGBA: drop the alpha channel' : ''}.`,
      { expected: height * width * 3, actual: (image as { length?: number }).length },
    );
  }
  return { width, height, labels, iterations, unary, probabilities, image, kernels };
}

/**
 * Reports the first value that is not finite (or, for probabilities, outside 0..1); returns when there is none.
 * Throws DenseCrfError `bad-option` with the value, its label, row and column.
 */
export function checkValues(problem: DenseCrfProblem): void {
  const { width, height, unary, probabilities } = problem;
  const values = (unary ?? probabilities) as Float32Array;
  const low = unary ? -3.5e38 : -probabilityTolerance;
  const high = unary ? 3.5e38 : 1 + probabilityTolerance;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (value >= low && value <= high) continue;
    const name = unary ? 'unary' : 'probabilities';
    const label = Math.floor(i / (width * height));
    const y = Math.floor(i / width) % height;
    const x = i % width;
    const wanted = unary ? 'finite numbers' : 'numbers in 0..1 (apply softmax or sigmoid first)';
    fail(`Expected ${name} to hold ${wanted}, got ${value} at label ${label}, row ${y}, column ${x}.`, {
      name,
      value,
      label,
      x,
      y,
    });
  }
}

/** `infer` has no default number of steps; the check of its range is the problem's. */
export function requireIterations(options: { iterations?: number }): number {
  if (options?.iterations === undefined) {
    throw new DenseCrfError(
      'bad-option',
      'Expected iterations (an integer >= 0), got none; 1 to 10 are usual.',
    );
  }
  return options.iterations;
}

/** A map of bytes needs labels that fit one. */
export function requireByteLabels(labels: number): void {
  if (labels > 256) {
    throw new DenseCrfError(
      'bad-option',
      `Expected at most 256 labels for a map of bytes, got ${labels}; use q().`,
      {
        labels,
      },
    );
  }
}

/** A foreground plane has a meaning for two labels only. */
export function requireTwoLabels(labels: number): void {
  if (labels !== 2) {
    throw new DenseCrfError(
      'bad-option',
      `Expected 2 labels for a foreground plane, got ${labels}; use q().`,
      {
        labels,
      },
    );
  }
}
