import { resolveRecipe } from '@auxseg/auxsegnet';
import { readTensorFile, readWeightsFile } from '@auxseg/auxsegnet/pipeline';
import { pyTorchNameOfMxnet, toPyTorch } from '@auxseg/backbone';
import {
  type TensorMap,
  writeMxnetParams,
  writeNpz,
  writePyTorchCheckpoint,
  writeSafetensors,
} from '@auxseg/formats';
import { useBackend } from '@auxseg/runtime';
import { CliUsageError } from '../cli-error.js';
import { describeLoadReport } from '../official-weights.js';
import { recogniseWeights } from '../recognise-weights.js';
import { createTerminal, formatTable } from '../terminal.js';
import { verifyWeights } from '../verify-weights.js';
import { writeOutput } from '../write-output.js';

/** Lists what a weight file holds, and which network it is of. */
export async function inspect(file: string, options: { json?: boolean }): Promise<void> {
  const terminal = createTerminal({ json: options.json === true });
  const { format, tensors, metadata } = await readWeightsFile(file);
  const rows = [...tensors].map(([name, { shape, dtype }]) => ({ name, dtype, shape }));
  const parameters = rows.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  await useBackend('cpu');
  const { fits, missing, unexpected } = recogniseWeights(tensors, metadata, file);
  terminal.printJson({ file, format, tensors: rows, parameters, fits, missing, unexpected });
  terminal.print(
    formatTable(
      ['name', 'dtype', 'shape'],
      rows.map(({ name, dtype, shape }) => [name, dtype, `[${shape.join(', ')}]`]),
    ),
  );
  terminal.print(
    `${format}: ${rows.length} tensors, ${parameters} parameters; ${fits ? `fits ${fits}` : 'fits none of the presets'}`,
  );
  if (missing.length > 0) terminal.print(`${missing.length} missing: ${missing.join(', ')}`);
  if (unexpected.length > 0) terminal.print(`${unexpected.length} unexpected: ${unexpected.join(', ')}`);
}

const writers: Record<string, (tensors: TensorMap) => Uint8Array> = {
  safetensors: writeSafetensors,
  npz: writeNpz,
  pth: writePyTorchCheckpoint,
  params: writeMxnetParams,
};

/** Converts between weight formats. The input's format is told by its contents, the output's by its name. */
export async function convert(
  input: string,
  output: string,
  options: { keepNames?: boolean; mxnetNames?: boolean; json?: boolean },
): Promise<void> {
  const terminal = createTerminal({ json: options.json === true });
  const extension = output.slice(output.lastIndexOf('.') + 1);
  const write = writers[extension];
  if (write === undefined) {
    throw new CliUsageError(
      `Expected the output to end in ${Object.keys(writers)
        .map((name) => `.${name}`)
        .join(', ')}, got ${output}.`,
    );
  }
  const { format, tensors, metadata } = await readWeightsFile(input);
  const keep = options.keepNames === true || options.mxnetNames === true;
  let renamed = tensors;
  if (!keep && format === 'mxnet') renamed = renameMxnet(tensors);
  if (!keep && metadata['format'] === 'auxseg') renamed = toPyTorchTensors(tensors);
  // MXNet's format has no scalars; what a state dict holds of them are counters of batch normalisations.
  if (extension === 'params') renamed = new Map([...renamed].filter(([, { shape }]) => shape.length > 0));
  if (renamed.size === 0) {
    throw new CliUsageError(
      `Expected tensors of ResNet-38 such as conv1a_weight in ${input}, found ${[...tensors.keys()].slice(0, 4).join(', ') || 'none'}; --keep-names converts them as they are.`,
    );
  }
  // Kept names are of use with what the file says about its network, which only safetensors has room for.
  const bytes =
    keep && format === 'safetensors' && extension === 'safetensors'
      ? writeSafetensors(renamed, metadata)
      : write(renamed);
  await writeOutput(output, bytes);
  const leftOut = tensors.size - renamed.size;
  terminal.printJson({ input, format, output, tensors: renamed.size, leftOut, bytes: bytes.length });
  terminal.print(
    `${renamed.size} tensors${leftOut > 0 ? ` (${leftOut} left out)` : ''}, ${(bytes.length / 1e6).toFixed(1)} MB: ${output}`,
  );
}

/** The authors' names for an ImageNet file's; its classifier is dropped. */
function renameMxnet(tensors: TensorMap): TensorMap {
  const renamed: TensorMap = new Map();
  for (const [name, tensor] of tensors) {
    const own = pyTorchNameOfMxnet(name.replace(/^(arg|aux):/, ''));
    if (own !== undefined) renamed.set(own, tensor);
  }
  return renamed;
}

/** The authors' names and layouts for a file of ours. */
function toPyTorchTensors(tensors: TensorMap): TensorMap {
  const renamed: TensorMap = new Map();
  for (const [name, { shape, data }] of tensors) {
    const own = toPyTorch({ name, shape, data: data as Float32Array });
    if (own === undefined) {
      throw new CliUsageError(
        `Expected weights with a PyTorch counterpart, got ${name} [${shape.join(', ')}]; --keep-names converts them as they are.`,
      );
    }
    renamed.set(own.name, { dtype: 'float32', shape: [...own.shape], data: own.data });
  }
  return renamed;
}

/** Options of `auxseg weights verify`. */
export interface VerifyOptions {
  weights: string;
  reference: string;
  gradients?: string;
  backend?: string;
  tolerance: string;
  gradientTolerance: string;
  strict: boolean;
  json?: boolean;
}

/** Compares our network with what PyTorch recorded. */
export async function verify(options: VerifyOptions): Promise<void> {
  const terminal = createTerminal({ json: options.json === true });
  const tolerance = toleranceOf('--tolerance', options.tolerance);
  const gradientTolerance = toleranceOf('--gradient-tolerance', options.gradientTolerance);
  const backend = await useBackend((options.backend ?? 'auto') as 'auto');
  terminal.note(`backend ${backend.name}: ${backend.reason}`);
  const { report, notCompared, ...result } = verifyWeights({
    weights: await readTensorFile(options.weights),
    reference: await readTensorFile(options.reference),
    gradients: options.gradients === undefined ? null : await readTensorFile(options.gradients),
    base: resolveRecipe({ preset: 'official' }).network,
    source: options.weights,
    strict: options.strict,
  });
  const leftOut = describeLoadReport(report);
  if (leftOut !== null) terminal.note(leftOut);
  if (notCompared.length > 0)
    terminal.note(`not compared, for want of a counterpart: ${notCompared.join(', ')}`);
  const worstOutput = Math.max(...Object.values(result.outputs), result.losses ?? 0);
  const ok = worstOutput <= tolerance && (result.gradients?.worst.relNormError ?? 0) <= gradientTolerance;
  terminal.printJson(result);
  terminal.print(
    formatTable(
      ['output', 'max relative error'],
      Object.entries(result.outputs).map(([name, error]) => [name, error.toExponential(2)]),
    ),
  );
  if (result.losses !== null) terminal.print(`losses: ${result.losses.toExponential(2)}`);
  if (result.gradients) {
    const { count, worst } = result.gradients;
    terminal.print(`${count} gradients; worst ${worst.name}: ${worst.relNormError.toExponential(2)}`);
  }
  terminal.print(
    ok
      ? 'within the tolerance'
      : `beyond the tolerance (${tolerance} outputs, ${gradientTolerance} gradients)`,
  );
  if (!ok) process.exitCode = 1;
}

function toleranceOf(option: string, text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0)) {
    throw new CliUsageError(`Expected ${option} to be a number such as 1e-4, got '${text}'.`);
  }
  return value;
}
