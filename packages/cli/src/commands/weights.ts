import { writeFile } from 'node:fs/promises';
import { resolveRecipe } from '@auxseg/auxsegnet';
import { type TensorMap, writeNpz, writePyTorchCheckpoint, writeSafetensors } from '@auxseg/formats';
import { useBackend } from '@auxseg/runtime';
import { pyTorchNameOfMxnet } from '@auxseg/backbone';
import type { Command } from 'commander';
import { CliUsageError } from '../cli-error.js';
import { describeOfficialTensors } from '../official-weights.js';
import { example } from '../example.js';
import { readTensors } from '../tensor-file.js';
import { createTerminal, formatTable } from '../terminal.js';
import { verifyWeights } from '../verify-weights.js';
import { backendOption } from './run.js';

/** `weights inspect | convert | verify`. */
export function addWeightsCommands(program: Command): void {
  const weights = program.command('weights').description('look into, convert and verify weight files');
  weights
    .command('inspect')
    .description('names, shapes, dtypes and number of parameters of a weight file')
    .argument('<file>', '.pth, .params, .safetensors or .npz')
    .option('--seed <n>', 'accepted for uniformity')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', example('auxseg weights inspect checkpoint.pth'))
    .action(inspect);
  weights
    .command('convert')
    .description('convert between weight formats, by the files\' extensions')
    .argument('<in>', '.pth, .params, .safetensors or .npz')
    .argument('<out>', '.safetensors, .npz or .pth')
    .option('--mxnet-names', 'keep the names of an MXNet file instead of turning them into PyTorch\'s')
    .option('--seed <n>', 'accepted for uniformity')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', example('auxseg weights convert ilsvrc-cls_rna-a1_cls1000_ep-0001.params resnet38.safetensors'))
    .action(convert);
  weights
    .command('verify')
    .description("does our network compute what a PyTorch run recorded? Exit code 1 beyond the tolerance")
    .requiredOption('--weights <file>', 'weights under the authors\' names')
    .requiredOption('--reference <file>', '.npz with <tag>_x and outputs (docs/reproduce-the-paper.md shows how to record it)')
    .option('--gradients <file>', ".npz with gradients under the authors' parameter names")
    .addOption(backendOption())
    .option('--tolerance <t>', 'largest relative error of an output or loss', '1e-4')
    .option('--gradient-tolerance <t>', 'largest relative norm error of a gradient', '1e-3')
    .option('--no-strict', 'load what fits')
    .option('--seed <n>', 'accepted for uniformity')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', example('auxseg weights verify --weights F.pth --reference R.npz --gradients G.npz --json'))
    .action(verify);
}

async function inspect(file: string, options: { json?: boolean }): Promise<void> {
  const terminal = createTerminal({ json: options.json === true });
  const tensors = await readTensors(file);
  const rows = [...tensors].map(([name, { shape, dtype }]) => ({ name, dtype, shape }));
  const parameters = rows.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  let fits: string | null = null;
  try {
    const { numClasses, config } = describeOfficialTensors(tensors, resolveRecipe({ preset: 'official' }).network, file);
    fits = `preset official (ResNet-38, width ${config.backbone.width}, ${numClasses} classes)`;
  } catch {
    if (tensors.has('Conv1/kernel')) fits = 'preset mobilenet (MobileNetV2, batch norm folded)';
    else if (tensors.has('conv1a_weight')) fits = 'initial weights of preset official (MXNet ResNet-38); convert it first';
  }
  terminal.printJson({ file, tensors: rows, parameters, fits });
  terminal.print(formatTable(['name', 'dtype', 'shape'], rows.map(({ name, dtype, shape }) => [name, dtype, `[${shape.join(', ')}]`])));
  terminal.print(`${rows.length} tensors, ${parameters} parameters; ${fits ? `fits ${fits}` : 'fits none of the presets'}`);
}

async function convert(input: string, output: string, options: { mxnetNames?: boolean; json?: boolean }): Promise<void> {
  const terminal = createTerminal({ json: options.json === true });
  let tensors = await readTensors(input);
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

interface VerifyOptions {
  weights: string;
  reference: string;
  gradients?: string;
  backend?: string;
  tolerance: string;
  gradientTolerance: string;
  strict: boolean;
  json?: boolean;
}

async function verify(options: VerifyOptions): Promise<void> {
  const terminal = createTerminal({ json: options.json === true });
  const backend = await useBackend((options.backend ?? 'auto') as 'auto');
  terminal.note(`backend ${backend.name}: ${backend.reason}`);
  const result = verifyWeights({
    weights: await readTensors(options.weights),
    reference: await readTensors(options.reference),
    gradients: options.gradients === undefined ? null : await readTensors(options.gradients),
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
    formatTable(['output', 'max relative error'], Object.entries(result.outputs).map(([name, error]) => [name, error.toExponential(2)])),
  );
  if (result.losses !== null) terminal.print(`losses: ${result.losses.toExponential(2)}`);
  if (result.gradients) {
    const { count, worst } = result.gradients;
    terminal.print(`${count} gradients; worst ${worst.name}: ${worst.relNormError.toExponential(2)}`);
  }
  terminal.print(ok ? 'within the tolerance' : `beyond the tolerance (${tolerance} outputs, ${gradientTolerance} gradients)`);
  if (!ok) process.exitCode = 1;
}

