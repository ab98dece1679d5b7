import { CommanderError } from 'commander';
import { CliUsageError } from './cli-error.js';
import { createProgram } from './program.js';

/** The commands that keep nothing of a stopped run. */
const STARTS_OVER = /^(data (check|synthesize|convert)|weights|evaluate|report|doctor|crf)\b/;

/**
 * Runs one command line; returns 0 (ok), 1 (failed) or 2 (wrong use). A second SIGINT or SIGTERM ends the process by that
 * signal, which shells show as 130 or 143.
 */
export async function runCli(argv: readonly string[]): Promise<number> {
  const abort = new AbortController();
  const next = STARTS_OVER.test(argv.slice(0, 2).join(' '))
    ? 'The same command starts over.'
    : 'The same command goes on from here.';
  const stop = (signal: NodeJS.Signals) => {
    if (abort.signal.aborted) {
      process.stderr.write(`\n${signal}: stopped at once. ${next}\n`);
      // By the signal itself: exit() would stop threads inside native kernels, which may abort with a core dump.
      process.off(signal, stop);
      process.kill(process.pid, signal);
      return;
    }
    process.stderr.write(`\n${signal}: finishing the current step of work; once more to stop at once.\n`);
    abort.abort(new Error(`Stopped. ${next}`));
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  try {
    await createProgram(abort.signal).parseAsync(argv as string[], { from: 'user' });
    return typeof process.exitCode === 'number' ? process.exitCode : 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    const { message, code, details } = error as Error & { code?: string; details?: Record<string, unknown> };
    const wrongUse = error instanceof CliUsageError || code === 'BAD_RECIPE';
    process.stderr.write(`\nerror: ${message}\n`);
    // Weight files: the message names the first few, and the rest is often what tells the reason.
    for (const key of ['missing', 'unexpected', 'wrong']) {
      const names = details?.[key];
      if (Array.isArray(names) && names.length > 4) process.stderr.write(`${key}: ${names.join(', ')}\n`);
    }
    if (process.env['AUXSEG_DEBUG']) process.stderr.write(`${(error as Error).stack}\n`);
    return wrongUse ? 2 : 1;
  } finally {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  }
}
