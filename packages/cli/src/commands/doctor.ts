import type { Command } from 'commander';
import { example } from '../example.js';

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
      const { doctor } = await import('../actions/doctor.js');
      await doctor(options);
    });
}
