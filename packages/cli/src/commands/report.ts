import { join } from 'node:path';
import type { Command } from 'commander';
import { example } from '../example.js';
import { createTerminal } from '../terminal.js';

/** `report`: run directory to HTML. */
export function addReportCommand(program: Command): void {
  program
    .command('report')
    .description('write report.html of a run directory, also while the run goes on')
    .argument('<run>', 'run directory')
    .option('--title <text>', 'title of the page')
    .option('--seed <n>', 'accepted for uniformity; a report draws nothing')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', example('auxseg report runs/demo'))
    .action(async (run: string, options: { title?: string; json?: boolean }) => {
      const terminal = createTerminal({ json: options.json === true });
      const { createReport } = await import('@auxseg/report');
      await createReport({ runDirectory: run, title: options.title });
      const path = join(run, 'report.html');
      terminal.printJson({ report: path });
      terminal.print(path);
    });
}
