import { writeFile } from 'node:fs/promises';
import { resolveRecipe } from '@auxseg/auxsegnet';
import { readTensorFile } from '@auxseg/auxsegnet/pipeline';
import { pyTorchNameOfMxnet } from '@auxseg/backbone';
import { type TensorMap, writeNpz, writePyTorchCheckpoint, writeSafetensors } from '@auxseg/formats';
import { useBackend } from '@auxseg/runtime';
import { CliUsageError } from '../cli-error.js';
import { describeOfficialTensors } from '../official-weights.js';

import { createTerminal, formatTable } from '../terminal.js';
import { verifyWeights } from '../verify-weights.js';

/** Lists what a weight file holds. */
export async function inspect(file: string, options: { json?: boolean }): Promise<void> {
  const terminal = createTerminal({ json: options.json === true });
  const tensors = await readTensorFile(file);
  const rows = [...tensors].map(([name, { shape, dtype }]) => ({ name, dtype, shape }));
  const parameters = rows.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  let fits: string | null = null;
  try {
    const { numClasses, config } = describeOfficialTensors(
      tensors,
      resolveRecipe({ preset: 'official' }).network,
      file,
    );
    fits = `preset official (ResNet-38, width ${config.backbone.width}, ${numClasses} classes)`;
  } catch {
    if (tensors.has('Conv1/kernel')) fits = 'preset mobilenet (MobileNetV2, batch norm folded)';
    else if (tensors.has('conv1a_weight'))
      fits = 'initial weights of preset official (MXNet ResNet-38); convert it first';
  }
  terminal.printJson({ file, tensors: rows, parameters, fits });
  terminal.print(
    formatTable(
      ['name', 'dtype', 'shape'],
      rows.map(({ name, dtype, shape }) => [name, dtype, `[${shape.join(', ')}]`]),
    ),
  );
  terminal.print(
    `${rows.length} tensors, ${parameters} parameters; ${fits ? `fits ${fits}` : 'fits none of the presets'}`,
  );
}

/** Converts between weight formats. */
export async function convert(
  input: string,
  output: string,
  options: { mxnetNames?: boolean; json?: boolean },
): Promise<void> {
  const terminal = createTerminal({ json: options.json === true });
  let tensors = await readTensorFile(input);
  if (input.endsWith('.params') && !options.mxnetNames) tensors = renameMxnet(tensors);
  const writers: Record<string, (tensors: TensorMap) => Uint8Array> = {
    safetensors: writeSafetensors,
    npz: writeNpz,
    pth: writePyTorchCheckpoint,
  };
  const extension = output.slice(output.lastIndexOf('.') + 1);
  const write = writers[extension];
  if (write === undefined) {
    throw new CliUsageError(`Expected the output to end in .safetensors, .npz or .pth, got ${output}.`);
  }
  const bytes = write(tensors);
  await writeFile(output, bytes);
  terminal.printJson({ input, output, tensors: tensors.size, bytes: bytes.length });
  terminal.print(`${tensors.size} tensors, ${(bytes.length / 1e6).toFixed(1)} MB: ${output}`);
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
  const backend = await useBackend((options.backend ?? 'auto') as 'auto');
  terminal.note(`backend ${backend.name}: ${backend.reason}`);
  const result = verifyWeights({
    weights: await readTensorFile(options.weights),
    reference: await readTensorFile(options.reference),
    gradients: options.gradients === undefined ? null : await readTensorFile(options.gradients),
    base: resolveRecipe({ preset: 'official' }).network,
    source: options.weights,
    strict: options.strict,
  });
  const tolerance = Number(options.tolerance);
  const gradientTolerance = Number(options.gradientTolerance);
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
