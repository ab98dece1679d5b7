import { listBackends } from '@auxseg/runtime';
import type { Command } from 'commander';
import { example } from '../example.js';
import { createTerminal, formatTable } from '../terminal.js';
import { measureBackends } from '../measure-backends.js';

/** `doctor`: which backends are there, how fast they are, or why not. */
export function addDoctorCommand(program: Command): void {
  program
    .command('doctor')
    .description('list the backends: available or the reason and remedy, and their speed')
    .option('--no-measure', 'do not time convolutions and products')
    .option('--seed <n>', 'accepted for uniformity')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', example('auxseg doctor --json'))
    .action(async (options: { measure: boolean; json?: boolean }) => {
      const terminal = createTerminal({ json: options.json === true });
      const backends = await listBackends();
      const rows = await measureBackends(backends, options.measure, (name) => terminal.note(`  timing ${name}`));
      terminal.printJson({ backends: rows });
      const speed = (value: number | null | undefined) => (value == null ? '-' : value.toFixed(1));
      terminal.print(
        formatTable(
          ['backend', 'conv forward', 'conv dX', 'conv dW', 'matMul', ' (GFLOP/s)'],
          rows.map(({ name, available, gflops }) => [
            available ? name : `${name} (not available)`,
            speed(gflops?.convForward),
            speed(gflops?.convGradInput),
            speed(gflops?.convGradFilter),
            speed(gflops?.matMul),
            '',
          ]),
        ),
      );
      for (const { name, reason } of rows) terminal.print(`${name}: ${reason}`);
    });
}
