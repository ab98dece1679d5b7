import { readdir, readFile } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { createDenseCrfPool, type DenseCrfPool, presets, unaryFromLabels } from '@auxseg/crf';
import { mapConcurrently, readImage } from '@auxseg/datasets';
import {
  type RgbImage,
  readGrayPng,
  readIndexedPng,
  readNpy,
  writeGrayPng,
  writeIndexedPng,
  writeNpy,
} from '@auxseg/formats';
import { CliUsageError } from '../cli-error.js';
import type { Terminal } from '../terminal.js';
import { writeOutput } from '../write-output.js';

/** Options of `auxseg crf`. */
export interface CrfOptions {
  image?: string;
  images?: string;
  unary?: string;
  probabilities?: string;
  maps?: string;
  out: string;
  preset: keyof typeof presets;
  iterations?: string;
  labels?: string;
  gtProb: string;
  workers?: string;
  json?: boolean;
}

/** What one image needs. */
interface CrfTask {
  image: string;
  input: string;
  output: string;
}

/** One task for `--image`, one for each input with `--images`. Throws CliUsageError. */
export async function listTasks(options: CrfOptions): Promise<CrfTask[]> {
  const inputs = [options.unary, options.probabilities, options.maps].filter((value) => value !== undefined);
  if (inputs.length !== 1) {
    throw new CliUsageError(
      `Expected exactly one of --unary, --probabilities and --maps, got ${inputs.length}.`,
    );
  }
  const input = inputs[0];
  wholeNumber(options.iterations, '--iterations', 0);
  wholeNumber(options.workers, '--workers', 1);
  wholeNumber(options.labels, '--labels', 2);
  const gtProb = Number(options.gtProb);
  if (!(gtProb > 0 && gtProb < 1))
    throw new CliUsageError(`Expected --gt-prob to be a number between 0 and 1, got '${options.gtProb}'.`);
  if ((options.image === undefined) === (options.images === undefined)) {
    throw new CliUsageError('Expected either --image FILE or --images DIR.');
  }
  if (options.image !== undefined && !/\.(npy|png)$/.test(options.out)) {
    throw new CliUsageError(`Expected --out to end in .npy (Q) or .png (map), got ${options.out}.`);
  }
  if (options.image !== undefined) return [{ image: options.image, input, output: options.out }];
  const names = await readdir(options.images!).catch((cause) => {
    throw new CliUsageError(
      `Expected a folder of images at ${options.images}, got ${(cause as NodeJS.ErrnoException).code}.`,
    );
  });
  const byId = new Map(names.map((name) => [basename(name, extname(name)), join(options.images!, name)]));
  const inputNames = await readdir(input).catch((cause) => {
    throw new CliUsageError(
      `Expected a folder of .npy or .png files at ${input} (as --images is one), got ${(cause as NodeJS.ErrnoException).code}.`,
    );
  });
  const found = inputNames.filter((name) => /\.(npy|png)$/.test(name)).sort();
  if (found.length === 0) throw new CliUsageError(`Expected .npy or .png files in ${input}, found none.`);
  return found.map((name) => {
    const id = basename(name, extname(name));
    const image = byId.get(id);
    if (image === undefined)
      throw new CliUsageError(`Expected an image of '${id}' in ${options.images}, found none.`);
    return {
      image,
      input: join(input, name),
      output: join(options.out, `${id}.${options.unary ? 'npy' : 'png'}`),
    };
  });
}

/** Wrong use unless the option is absent or an integer of at least `minimum`. */
function wholeNumber(text: string | undefined, option: string, minimum: number): void {
  if (text === undefined || (/^\d+$/.test(text) && Number(text) >= minimum)) return;
  throw new CliUsageError(`Expected ${option} to be an integer >= ${minimum}, got '${text}'.`);
}

/** Runs the tasks on a pool of workers, with progress. */
export async function runTasks(
  tasks: CrfTask[],
  options: CrfOptions,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const workers =
    options.workers === undefined ? (tasks.length > 1 ? undefined : 1) : Number(options.workers);
  const pool = createDenseCrfPool(workers === undefined ? {} : { workers });
  const started = performance.now();
  let done = 0;
  try {
    // Two more than workers keep reading and writing off the critical path.
    await mapConcurrently(tasks, pool.workers + 2, async (task) => {
      signal.throwIfAborted();
      await runTask(task, options, pool).catch((error: Error) => {
        // In a folder the message alone would not say which file it is about.
        if (!error.message.includes(task.input) && !error.message.includes(task.image)) {
          error.message = `${task.input}: ${error.message}`;
        }
        throw error;
      });
      done++;
      const each = (performance.now() - started) / 1000 / done;
      terminal.progress(
        'crf',
        done,
        tasks.length,
        each * (tasks.length - done),
        `${(1 / each).toFixed(1)} images/s`,
      );
    });
  } finally {
    await pool.dispose();
  }
  const seconds = (performance.now() - started) / 1000;
  terminal.printJson({ images: done, seconds, out: options.out });
  terminal.print(
    `${done} image${done === 1 ? '' : 's'}, ${(seconds / done).toFixed(2)} s each: ${options.out}`,
  );
}

async function runTask(task: CrfTask, options: CrfOptions, pool: DenseCrfPool): Promise<void> {
  const image = await readImage(task.image);
  const problem = await readProblem(task.input, image, options);
  const preset = presets[options.preset];
  const q = await pool.infer({
    ...preset,
    ...(options.iterations === undefined ? {} : { iterations: Number(options.iterations) }),
    ...problem,
    width: image.width,
    height: image.height,
    image: image.data,
  });
  await writeOutput(task.output, encode(q, problem.labels, image, task.output, options.maps !== undefined));
}

async function readProblem(
  path: string,
  image: RgbImage,
  options: CrfOptions,
): Promise<{ labels: number; unary?: Float32Array; probabilities?: Float32Array }> {
  const bytes = await readFile(path).catch((cause) => {
    throw new CliUsageError(
      `Expected the CRF's input at ${path}, got ${(cause as NodeJS.ErrnoException).code}.`,
    );
  });
  const { width, height } = image;
  const check = (shape: readonly number[]) => {
    if (shape.length !== 3 || shape[1] !== height || shape[2] !== width) {
      throw new CliUsageError(
        `Expected ${path} to be [labels,${height},${width}] like its image, got [${shape}].`,
      );
    }
  };
  if (options.maps !== undefined) {
    const map = readIndexedPng(bytes);
    check([0, map.height, map.width]);
    const largest = map.data.reduce((a, b) => (b === 255 ? a : Math.max(a, b)), 0);
    const labels = options.labels === undefined ? Math.max(2, largest + 1) : Number(options.labels);
    return { labels, unary: unaryFromLabels(map.data, { labels, gtProb: Number(options.gtProb) }) };
  }
  if (path.endsWith('.png')) {
    if (options.unary !== undefined)
      throw new CliUsageError(
        `Expected energies in .npy files with --unary, got ${path}; a grey PNG of the foreground is --probabilities, a label map --maps.`,
      );
    const grey = readGrayPng(bytes);
    check([2, grey.height, grey.width]);
    const probabilities = new Float32Array(2 * width * height);
    grey.data.forEach((value, i) => {
      probabilities[i] = 1 - value / 255;
      probabilities[width * height + i] = value / 255;
    });
    return { labels: 2, probabilities };
  }
  const array = readNpy(bytes);
  check(array.shape);
  // Number: 64-bit integers come as BigInt.
  const data = Float32Array.from(array.data as Float32Array, Number);
  return options.unary !== undefined
    ? { labels: array.shape[0], unary: data }
    : { labels: array.shape[0], probabilities: data };
}

/** Label maps stay label maps, also those with two labels: one folder has one kind of PNG. */
function encode(
  q: Float32Array,
  labels: number,
  { width, height }: RgbImage,
  path: string,
  fromMaps: boolean,
): Uint8Array {
  if (path.endsWith('.npy')) return writeNpy({ dtype: 'float32', shape: [labels, height, width], data: q });
  const pixels = width * height;
  if (labels > 256)
    throw new CliUsageError(
      `Expected at most 256 labels for a .png of labels, got ${labels} for ${path}; --image with --out Q.npy writes all of them.`,
    );
  if (labels === 2 && !fromMaps) {
    return writeGrayPng({
      width,
      height,
      data: Uint8Array.from(q.subarray(pixels), (p) => Math.round(255 * p)),
    });
  }
  const data = new Uint8Array(pixels);
  for (let i = 0; i < pixels; i++) {
    for (let c = 1; c < labels; c++) if (q[c * pixels + i] > q[data[i] * pixels + i]) data[i] = c;
  }
  return writeIndexedPng({ width, height, data });
}
