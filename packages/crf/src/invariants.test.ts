import { describe, expect, test } from '@jest/globals';
import { createDenseCrf } from './create-dense-crf.js';
import { createDenseCrfReference } from './create-dense-crf-reference.js';
import { presets } from './presets.js';
import type { DenseCrfOptions } from './types.js';
import { unaryFromProbabilities } from './unary-from-probabilities.js';

function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296;
  };
}

/** Blobs on a gradient with grain: lattice points are shared as in a photo. */
function scene(width: number, height: number, seed: number): Uint8Array {
  const random = createRandom(seed);
  const cx = width * (0.3 + 0.4 * random());
  const cy = height * (0.3 + 0.4 * random());
  const image = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) {
    const x = i % width;
    const y = Math.floor(i / width);
    const inside = Math.hypot((x - cx) / width, (y - cy) / height) < 0.25;
    for (let c = 0; c < 3; c++)
      image[i * 3 + c] = (inside ? 150 + 30 * c : 60) + (x * 20) / width + random() * 24;
  }
  return image;
}

function problem(
  width: number,
  height: number,
  labels: number,
  seed: number,
  extra: Partial<DenseCrfOptions> = {},
): DenseCrfOptions {
  const random = createRandom(seed);
  const unary = new Float32Array(labels * width * height).map(() => 4 * random());
  return {
    width,
    height,
    labels,
    unary,
    image: scene(width, height, seed),
    ...presets.psa,
    iterations: 3,
    ...extra,
  };
}

function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let largest = a.length === b.length ? 0 : Number.POSITIVE_INFINITY;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i] - b[i]));
  return largest;
}

const wasm = await createDenseCrf({ implementation: 'wasm' });
const exact = await createDenseCrf({ implementation: 'wasm', skipLabels: false });
const plain = createDenseCrfReference();

describe('both implementations agree', () => {
  // Sizes around groups of four, runs of 64, tiles of 64 x 32; label counts around vectors and chunks of six vectors.
  const sizes: [number, number, number][] = [
    [1, 1, 2],
    [2, 1, 3],
    [3, 3, 4],
    [1, 7, 5],
    [63, 5, 2],
    [64, 33, 2],
    [65, 34, 3],
    [67, 4, 6],
    [70, 9, 9],
    [130, 3, 12],
    [33, 40, 13],
    [20, 11, 17],
    [17, 9, 21],
    [12, 10, 25],
    [9, 8, 31],
    [5, 6, 49],
  ];
  test.each(sizes)('%ix%i, %i labels', (width, height, labels) => {
    const options = problem(width, height, labels, width * 7 + height + labels);
    expect(difference(wasm.infer(options), plain.infer(options))).toBeLessThan(5e-6);
  });

  test('three hundred labels have no byte map but a Q', () => {
    const options = problem(4, 3, 300, 3, { iterations: 2 });
    expect(difference(wasm.infer(options), plain.infer(options))).toBeLessThan(5e-6);
    for (const crf of [wasm, plain]) expect(() => crf.inferMap(options)).toThrow(/at most 256 labels/);
  });

  test('probabilities, with zeros and ones', () => {
    const options = problem(31, 12, 3, 5);
    const raw = (options.unary as Float32Array).map((value) => (value < 1 ? 0 : value > 3 ? 1 : value / 4));
    const given = { ...options, unary: undefined, probabilities: raw };
    const q = wasm.infer(given);
    expect(difference(q, plain.infer(given))).toBeLessThan(5e-6);
    const unary = unaryFromProbabilities(raw);
    expect(difference(q, wasm.infer({ ...options, unary }))).toBeLessThan(5e-6);
    const matrix = { sxy: 3, compat: Float32Array.from([-2, 1, 0, 1, -2, 1, 0, 1, -2]) };
    const withMatrix = { ...given, gaussian: matrix };
    expect(difference(wasm.infer(withMatrix), plain.infer(withMatrix))).toBeLessThan(5e-6);
    const two = { ...given, labels: 2, probabilities: raw.slice(0, 2 * 31 * 12) };
    expect(difference(wasm.infer(two), plain.infer(two))).toBeLessThan(5e-6);
    const a = wasm.start(two).step().klDivergence();
    const b = plain.start(two).step().klDivergence();
    expect(Math.abs(a / b - 1)).toBeLessThan(1e-4);
  });

  test('sigmas too small for the keys of the kernel fall back', () => {
    const options = problem(30, 20, 3, 9, { bilateral: { sxy: 0.01, srgb: 0.02, compat: 3 } });
    expect(difference(wasm.infer(options), plain.infer(options))).toBe(0);
    const session = wasm.start(options).step();
    expect(session.iteration).toBe(1);
  });

  test('wide keys', () => {
    const options = problem(50, 40, 3, 10, { bilateral: { sxy: 5, srgb: 1, compat: 3 } });
    const ours = wasm.start(options);
    expect(ours.latticeSizes).toEqual(plain.start(options).latticeSizes);
    expect(difference(wasm.infer(options), plain.infer(options))).toBeLessThan(5e-6);
  });

  test('no kernels: softmax of the energies', () => {
    const options = { ...problem(7, 5, 4, 11), gaussian: undefined, bilateral: undefined };
    const q = wasm.infer(options);
    expect(difference(q, plain.infer(options))).toBeLessThan(1e-6);
    const two = { ...options, labels: 2, unary: (options.unary as Float32Array).slice(0, 70) };
    expect(difference(wasm.infer(two), plain.infer(two))).toBeLessThan(1e-6);
    expect(Math.abs(wasm.start(two).klDivergence() - plain.start(two).klDivergence())).toBeLessThan(1e-3);
  });

  test('energies of any size', () => {
    const options = problem(21, 13, 5, 12);
    const unary = (options.unary as Float32Array).map((value, i) => (value - 2) * 10 ** (i % 7));
    const given = { ...options, unary };
    expect(difference(wasm.infer(given), plain.infer(given))).toBeLessThan(2e-5);
    const two = { ...given, labels: 2, unary: unary.slice(0, 2 * 21 * 13) };
    expect(difference(wasm.infer(two), plain.infer(two))).toBeLessThan(2e-5);
  });
});

describe('invariants', () => {
  test.each([2, 3, 6, 21])('Q sums to one (%i labels)', (labels) => {
    const options = problem(37, 21, labels, labels);
    const q = wasm.infer(options);
    for (let i = 0; i < 37 * 21; i++) {
      let sum = 0;
      for (let l = 0; l < labels; l++) sum += q[l * 37 * 21 + i];
      expect(Math.abs(sum - 1)).toBeLessThan(1e-6);
    }
  });

  test('permuting labels permutes Q', () => {
    const options = problem(29, 17, 5, 20);
    const pixels = 29 * 17;
    const order = [3, 0, 4, 2, 1];
    const unary = new Float32Array(5 * pixels);
    order.forEach((from, to) => {
      unary.set((options.unary as Float32Array).subarray(from * pixels, (from + 1) * pixels), to * pixels);
    });
    const q = wasm.infer(options);
    const permuted = wasm.infer({ ...options, unary });
    // Another order of labels is another order of sums; the bound on Q itself is 1e-5.
    order.forEach((from, to) => {
      const a = q.subarray(from * pixels, (from + 1) * pixels);
      expect(difference(a, permuted.subarray(to * pixels, (to + 1) * pixels))).toBeLessThan(5e-6);
    });
  });

  test('a constant per pixel changes nothing', () => {
    const options = problem(29, 17, 3, 21);
    const pixels = 29 * 17;
    const unary = (options.unary as Float32Array).map((value, i) => value + ((i % pixels) % 5) - 2);
    expect(difference(wasm.infer(options), wasm.infer({ ...options, unary }))).toBeLessThan(2e-6);
  });

  test('runs repeat bit for bit, whatever came before', () => {
    const a = problem(41, 23, 4, 22);
    const b = problem(66, 35, 2, 23);
    const first = wasm.infer(a);
    const other = wasm.infer(b);
    for (let i = 0; i < 3; i++) {
      expect(difference(wasm.infer(a), first)).toBe(0);
      expect(difference(wasm.infer(b), other)).toBe(0);
    }
  });

  test('the inputs stay as they were', () => {
    const options = problem(20, 10, 3, 24);
    const before = [(options.unary as Float32Array).slice(), (options.image as Uint8Array).slice()];
    wasm.infer(options);
    expect(difference(options.unary as Float32Array, before[0])).toBe(0);
    expect(difference(options.image as Uint8Array, before[1])).toBe(0);
  });

  test('map and foreground belong to Q', () => {
    const options = problem(35, 19, 2, 25);
    const q = wasm.infer(options);
    expect(difference(wasm.inferForeground(options), q.subarray(35 * 19))).toBe(0);
    expect(Array.from(wasm.inferMap(options))).toEqual(
      Array.from(q.subarray(35 * 19), (v, i) => +(v > q[i])),
    );
    expect(() => wasm.inferForeground(problem(3, 3, 3, 1))).toThrow(/2 labels/);
  });

  test('a tie goes to the lowest label', () => {
    const options = { width: 5, height: 1, labels: 3, unary: new Float32Array(15), iterations: 0 };
    for (const crf of [wasm, plain]) expect(Array.from(crf.inferMap(options))).toEqual([0, 0, 0, 0, 0]);
  });
});

describe('leaving labels out', () => {
  /** Two or three labels win somewhere; the others have tails of the given size, some of which die out on the way. */
  function peaked(labels: number, tail: number, seed: number): DenseCrfOptions {
    const width = 60;
    const height = 45;
    const random = createRandom(seed);
    const probabilities = new Float32Array(labels * width * height);
    for (let i = 0; i < width * height; i++) {
      const x = i % width;
      let sum = 0;
      for (let l = 0; l < labels; l++) {
        const main = l === 0 || (l === 3 && x > 20) || (l === 5 && x > 40);
        const score = main ? 0.2 + random() : tail * random() ** 2 * (l % 3 === 0 ? 0.05 : 1);
        probabilities[l * width * height + i] = score;
        sum += score;
      }
      for (let l = 0; l < labels; l++) probabilities[l * width * height + i] /= sum;
    }
    return { width, height, labels, probabilities, image: scene(width, height, seed), ...presets.psa };
  }

  test.each([
    [21, 0],
    [21, 1e-4],
    [21, 1e-3],
    [21, 1e-2],
    [21, 0.05],
    [81, 1e-3],
  ])('%i labels, tails of %f', (labels, tail) => {
    for (const preset of [presets.psa, presets.auxsegSegmentation]) {
      const options = { ...peaked(labels, tail, labels + 1), ...preset };
      const q = wasm.infer(options);
      expect(difference(q, exact.infer(options))).toBeLessThanOrEqual(5e-5);
      const session = wasm.start(options);
      for (let i = 0; i < options.iterations; i++) session.step();
      expect(difference(session.q(), q)).toBe(0);
    }
  });
});

describe('sessions', () => {
  test('are independent of each other and of infer', () => {
    const a = problem(30, 20, 3, 30);
    const b = problem(17, 40, 2, 31);
    const first = wasm.start(a);
    const second = wasm.start(b);
    for (let i = 0; i < 3; i++) {
      first.step();
      wasm.infer(b);
      second.step();
    }
    expect(difference(first.q(), wasm.infer(a))).toBe(0);
    expect(difference(second.q(), wasm.infer(b))).toBe(0);
    expect(difference(second.foreground(), wasm.inferForeground(b))).toBe(0);
    first.dispose();
    second.dispose();
  });

  test('the divergence falls', () => {
    for (const labels of [2, 5]) {
      const session = wasm.start({ ...problem(40, 30, labels, 32), ...presets.auxsegSegmentation });
      const values = [session.klDivergence()];
      for (let i = 0; i < 5; i++) values.push(session.step().klDivergence());
      expect(values[5]).toBeLessThan(values[0]);
      session.dispose();
    }
  });

  test('a disposed session or CRF says so', async () => {
    const crf = await createDenseCrf();
    const options = problem(5, 4, 3, 33);
    const session = crf.start(options);
    session.dispose();
    session.dispose();
    for (const use of [
      () => session.step(),
      () => session.q(),
      () => session.map(),
      () => session.klDivergence(),
    ]) {
      expect(use).toThrow(expect.objectContaining({ code: 'disposed' }));
    }
    crf.dispose();
    expect(() => crf.infer(options)).toThrow(expect.objectContaining({ code: 'disposed' }));
    expect(() => crf.start(options)).toThrow(expect.objectContaining({ code: 'disposed' }));
  });

  test('steps in the log form after the product form overflows', () => {
    // Large weights: the first messages are small enough, later ones are not.
    const options = problem(26, 18, 3, 34, {
      gaussian: { sxy: 3, compat: 120 },
      bilateral: { sxy: 30, srgb: 30, compat: 120 },
      iterations: 4,
    });
    const q = wasm.infer(options);
    expect(difference(q, plain.infer(options))).toBeLessThan(1e-5);
    const session = wasm.start(options);
    for (let i = 0; i < 4; i++) session.step();
    expect(session.iteration).toBe(4);
    expect(difference(session.q(), q)).toBeLessThan(1e-5);
  });
});

test('memory stops growing over images of changing size', async () => {
  const { WasmInstance, WasmRun } = await import('./wasm-run.js');
  const { loadWasmModule } = await import('./load-wasm-module.js');
  const { toDenseCrfProblem } = await import('./dense-crf-problem.js');
  const instance = new WasmInstance(await loadWasmModule());
  const sizes: number[] = [];
  for (let i = 0; i < 300; i++) {
    const width = 20 + ((i * 37) % 50);
    const height = 15 + ((i * 23) % 40);
    const options = problem(width, height, 2 + (i % 4), i, { iterations: 1 });
    const run = new WasmRun(instance, toDenseCrfProblem(options), {
      skipLabels: true,
      keep: false,
      logForm: false,
    });
    run.initialize(false);
    run.step(true);
    sizes.push(instance.exports.memory.buffer.byteLength);
  }
  expect(sizes[299]).toBe(sizes[150]);
});
