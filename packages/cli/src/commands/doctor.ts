import { examineBackends, listBackends } from '@auxseg/runtime';
import type { Command } from 'commander';
import { example } from '../example.js';
import { createTerminal, formatTable } from '../terminal.js';

/** `doctor`: which backends are there, how fast they are, or why not. */
export function addDoctorCommand(program: Command): void {
  program
    .command('doctor')
    .description('list the backends: available or the reason and remedy, and their speed')
    .option('--no-measure', 'do not time convolutions and products')
    .option('--seed <n>', 'accepted for uniformity; nothing is drawn')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', example('auxseg doctor --json'))
    .action(async (options: { measure: boolean; json?: boolean }) => {
      const terminal = createTerminal({ json: options.json === true });
      const { backends } = options.measure
        ? await examineBackends()
        : { backends: (await listBackends()).map((backend) => ({ ...backend, gflops: null, memoryLimitBytes: null })) };
      terminal.printJson({ backends });
      const number = (value: number | undefined) => (value === undefined ? '-' : value.toFixed(1));
      terminal.print(
        formatTable(
          ['GFLOP/s', 'conv forward', 'conv dX', 'conv dW', 'matMul'],
          backends.map(({ name, available, gflops }) => [
            available ? name : `${name} (not available)`,
            number(gflops?.convForward),
            number(gflops?.convGradInput),
            number(gflops?.convGradFilter),
            number(gflops?.matMul),
          ]),
        ),
      );
      terminal.print();
      for (const { name, reason } of backends) terminal.print(`${name}: ${reason}`);
    });
}
