import { createDenseCrfReference } from './create-dense-crf-reference.js';
import { DenseCrfError } from './dense-crf-error.js';
import {
  type DenseCrfProblem,
  requireByteLabels,
  requireIterations,
  requireTwoLabels,
  toDenseCrfProblem,
} from './dense-crf-problem.js';
import type { DenseCrf, DenseCrfOptions, DenseCrfSession, DenseCrfStartOptions } from './types.js';
import { KeysTooShort, MessageOverflow, WasmInstance, WasmRun } from './wasm-run.js';

function disposed(what: string): DenseCrfError {
  return new DenseCrfError('disposed', `This ${what} was disposed; create a new one.`);
}

/** Traps of the kernel mean one thing only: its memory could not grow. */
function translate(error: unknown, problem: DenseCrfProblem): unknown {
  if (!(error instanceof WebAssembly.RuntimeError) && !(error instanceof RangeError)) return error;
  const { width, height, labels } = problem;
  const translated = new DenseCrfError(
    'out-of-memory',
    `Expected the problem to fit into 4 GiB of WebAssembly memory, but ${labels} labels at ${width}x${height} do ` +
      'not; use a smaller image, fewer labels, or larger sigmas.',
    { width, height, labels },
  );
  translated.cause = error;
  return translated;
}

class WasmSession implements DenseCrfSession {
  readonly #problem: DenseCrfProblem;
  readonly #skipLabels: boolean;
  readonly #release: (instance: WasmInstance) => void;
  #instance: WasmInstance | null;
  #run: WasmRun;

  constructor(
    instance: WasmInstance,
    problem: DenseCrfProblem,
    skipLabels: boolean,
    release: (instance: WasmInstance) => void,
  ) {
    this.#instance = instance;
    this.#problem = problem;
    this.#skipLabels = skipLabels;
    this.#release = release;
    this.#run = this.#begin(instance, false);
  }

  #begin(instance: WasmInstance, logForm: boolean): WasmRun {
    try {
      const run = new WasmRun(instance, this.#problem, { skipLabels: this.#skipLabels, keep: true, logForm });
      run.initialize(false);
      return run;
    } catch (error) {
      throw translate(error, this.#problem);
    }
  }

  #live(): WasmInstance {
    if (this.#instance === null) throw disposed('session');
    return this.#instance;
  }

  get iteration(): number {
    return this.#run.iteration;
  }

  get latticeSizes(): readonly number[] {
    this.#live();
    return this.#run.latticeSizes;
  }

  step(): this {
    const instance = this.#live();
    try {
      this.#run.step(false);
    } catch (error) {
      if (!(error instanceof MessageOverflow)) throw translate(error, this.#problem);
      const steps = this.#run.iteration + 1;
      this.#run = this.#begin(instance, true);
      for (let i = 0; i < steps; i++) this.#run.step(false);
    }
    return this;
  }

  q(): Float32Array {
    this.#live();
    return this.#run.q();
  }

  map(): Uint8Array {
    this.#live();
    requireByteLabels(this.#problem.labels);
    return this.#run.map();
  }

  foreground(): Float32Array {
    this.#live();
    requireTwoLabels(this.#problem.labels);
    return this.#run.foreground();
  }

  klDivergence(): number {
    this.#live();
    return this.#run.klDivergence();
  }

  dispose(): void {
    if (this.#instance !== null) this.#release(this.#instance);
    this.#instance = null;
  }
}

/** Dense CRF on a compiled SIMD kernel. */
export function createDenseCrfWasm(module: WebAssembly.Module, options: { skipLabels: boolean }): DenseCrf {
  const { skipLabels } = options;
  let main: WasmInstance | null = new WasmInstance(module);
  // Sessions own an instance each; one idle instance is kept for the next session.
  let idle: WasmInstance | null = null;
  let live = true;
  const fallback = createDenseCrfReference();

  const run = <T>(
    given: DenseCrfOptions,
    check: (labels: number) => void,
    read: (run: WasmRun) => T,
  ): T | null => {
    if (!live || main === null) throw disposed('dense CRF');
    const problem = toDenseCrfProblem({ ...given, iterations: requireIterations(given) });
    check(problem.labels);
    const attempt = (instance: WasmInstance, logForm: boolean): T => {
      const current = new WasmRun(instance, problem, { skipLabels, keep: false, logForm });
      current.initialize(problem.iterations === 0);
      for (let i = 1; i <= problem.iterations; i++) current.step(i === problem.iterations);
      return read(current);
    };
    try {
      try {
        return attempt(main, false);
      } catch (error) {
        if (!(error instanceof MessageOverflow)) throw error;
        return attempt(main, true);
      }
    } catch (error) {
      if (error instanceof KeysTooShort) return null;
      const translated = translate(error, problem);
      // After a trap the arena's bookkeeping is unknown: take a fresh memory.
      if (translated !== error) main = new WasmInstance(module);
      throw translated;
    }
  };
  const any = (): void => {};

  return {
    implementation: 'wasm',
    infer: (given) => run(given, any, (current) => current.q()) ?? fallback.infer(given),
    inferMap: (given) =>
      run(given, requireByteLabels, (current) => current.map()) ?? fallback.inferMap(given),
    inferForeground: (given) =>
      run(given, requireTwoLabels, (current) => current.foreground()) ?? fallback.inferForeground(given),
    start(given: DenseCrfStartOptions): DenseCrfSession {
      if (!live) throw disposed('dense CRF');
      const problem = toDenseCrfProblem(given);
      const instance = idle ?? new WasmInstance(module);
      idle = null;
      try {
        return new WasmSession(instance, problem, skipLabels, (released) => {
          if (live) idle = released;
        });
      } catch (error) {
        if (error instanceof KeysTooShort) return fallback.start(given);
        throw error;
      }
    },
    dispose(): void {
      live = false;
      main = null;
      idle = null;
    },
  };
}
