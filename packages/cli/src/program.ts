import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { addCrfCommand } from './commands/crf.js';
import { addDataCommands } from './commands/data.js';
import { addDoctorCommand } from './commands/doctor.js';
import { addEvaluateCommand } from './commands/evaluate.js';
import { addPredictCommand } from './commands/predict.js';
import { addReportCommand } from './commands/report.js';
import { addRunCommands } from './commands/run.js';
import { addWeightsCommands } from './commands/weights.js';
import { example } from './example.js';

/** The command line of `auxseg`. */
export function createProgram(signal: AbortSignal): Command {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  const program = new Command('auxseg')
    .description('Weakly supervised semantic segmentation from image labels and saliency (AuxSegNet).')
    .version(version)
    .exitOverride()
    .showHelpAfterError('(add --help for the options and an example)')
    .configureHelp({ showGlobalOptions: true })
    .addHelpText(
      'after',
      example('auxseg demo', 'auxseg run recipes/voc-animals.yaml --data DIR --out runs/voc-animals'),
    );
  addRunCommands(program, signal);
  addPredictCommand(program, signal);
  addEvaluateCommand(program);
  addDataCommands(program, signal);
  addWeightsCommands(program);
  addCrfCommand(program, signal);
  addReportCommand(program);
  addDoctorCommand(program);
  return program;
}
