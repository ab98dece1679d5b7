import { type Command, Option } from 'commander';
import { example } from '../example.js';
import { numberIn, wholeNumber } from '../option-values.js';
import { backendOption } from './backend-option.js';

type ProfileOptions = Parameters<typeof import('../actions/doctor.js').profile>[0];

/** `doctor`: which backends are there, how fast they are, or why not; and where the time of a training step goes. */
export function addDoctorCommand(program: Command): void {
  program
    .command('doctor')
    .description('list the backends: available or the reason and remedy, and their speed')
    .option('--no-measure', 'do not time convolutions and products')
    .option('--profile', 'instead: time one training step of a preset by kernel')
    .addOption(
      new Option('--preset <name>', 'with --profile')
        .choices(['official', 'paper', 'mobilenet', 'tiny'])
        .default('mobilenet'),
    )
    .addOption(backendOption('with --profile: TensorFlow.js backend'))
    .option('--threads <n>', 'with --profile: threads of each operation', wholeNumber(1, 1024))
    .option(
      '--size <px>',
      "with --profile: side of the images (default: the preset's crop)",
      wholeNumber(1, 8192),
    )
    .option('--batch <n>', "with --profile: images (default: the preset's)", wholeNumber(1, 4096))
    .option('--width <factor>', 'with --profile: channel multiplier of the backbone', numberIn(0.01, 8))
    .option('--seed <n>', 'accepted for uniformity; nothing is drawn')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      example('auxseg doctor --json', 'auxseg doctor --profile --preset mobilenet --size 161 --batch 4'),
    )
    .action(async (options: ProfileOptions & { measure: boolean; profile?: boolean }) => {
      const { doctor, profile } = await import('../actions/doctor.js');
      await (options.profile ? profile(options) : doctor(options));
    });
}
