import type { Command } from 'commander';
import type { VerifyOptions } from '../actions/weights.js';
import { example } from '../example.js';
import { backendOption } from './backend-option.js';

const actions = () => import('../actions/weights.js');

/** `weights inspect | convert | verify`. */
export function addWeightsCommands(program: Command): void {
  const weights = program.command('weights').description('look into, convert and verify weight files');
  weights
    .command('inspect')
    .description(
      'names, shapes, dtypes and number of parameters of a weight file, which preset it fits, and what it lacks',
    )
    .argument('<file>', '.pth, .params, .safetensors or .npz, told by its contents')
    .option('--seed <n>', 'accepted for uniformity')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', example('auxseg weights inspect checkpoint.pth'))
    .action(async (file: string, options: { json?: boolean }) => (await actions()).inspect(file, options));
  weights
    .command('convert')
    .description("convert between weight formats; names and layouts become PyTorch's")
    .argument('<in>', '.pth, .params, .safetensors or .npz, told by its contents')
    .argument('<out>', '.safetensors, .npz, .pth or .params, by its name')
    .option('--keep-names', "keep names and layouts instead of turning MXNet's and ours into PyTorch's")
    .option('--mxnet-names', 'the same, for MXNet files')
    .option('--seed <n>', 'accepted for uniformity')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      example('auxseg weights convert ilsvrc-cls_rna-a1_cls1000_ep-0001.params resnet38.safetensors'),
    )
    .action(
      async (
        input: string,
        output: string,
        options: { keepNames?: boolean; mxnetNames?: boolean; json?: boolean },
      ) => (await actions()).convert(input, output, options),
    );
  weights
    .command('verify')
    .description('does our network compute what a PyTorch run recorded? Exit code 1 beyond the tolerance')
    .requiredOption('--weights <file>', "weights under the authors' names")
    .requiredOption(
      '--reference <file>',
      '.npz with <tag>_x and outputs (docs/reproduce-the-paper.md shows how to record it)',
    )
    .option('--gradients <file>', ".npz with gradients under the authors' parameter names")
    .addOption(backendOption())
    .option('--tolerance <t>', 'largest relative error of an output or loss', '1e-4')
    .option('--gradient-tolerance <t>', 'largest relative norm error of a gradient', '1e-3')
    .option('--strict', 'missing and unexpected parameters are an error', true)
    .option('--no-strict', 'load what fits and list the rest')
    .option('--seed <n>', 'accepted for uniformity')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      example('auxseg weights verify --weights F.pth --reference R.npz --gradients G.npz --json'),
    )
    .action(async (options: VerifyOptions) => (await actions()).verify(options));
}
