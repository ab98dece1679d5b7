import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { TrainerError } from '../trainer-error.js';
import type { StepLogger } from '../types.js';
import { writeFileAtomic } from './write-file-atomic.js';

export interface FileStepLoggerOptions {
  /** The JSON-lines file, shared by the phases of a run. */
  path: string;
  /** Name of this training in the file, such as `stage-1`. */
  phase: string;
  /** Milliseconds since 1970; `Date.now` by default. */
  now?: () => number;
}

/**
 * Appends a line `{ time, phase, step, totalSteps, epoch, lr, losses, secondsPerStep }` of JSON per step.
 *
 * `rewind` drops this phase's lines after the given step, and a line cut off by a kill, so that a resumed run's log
 * holds each step once.
 * @throws TrainerError DISK_FULL, UNWRITABLE
 */
export function createFileStepLogger(options: FileStepLoggerOptions): StepLogger {
  const { path, phase, now = Date.now } = options;
  return {
    async write({ step, totalSteps, epoch, lr, losses, secondsPerStep }) {
      const time = new Date(now()).toISOString();
      const line = JSON.stringify({ time, phase, step, totalSteps, epoch, lr, losses, secondsPerStep });
      try {
        await mkdir(dirname(path), { recursive: true });
        await appendFile(path, `${line}\n`);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        throw new TrainerError(
          code === 'ENOSPC' ? 'DISK_FULL' : 'UNWRITABLE',
          `Expected to append to ${path}, came ${code}; free some space or check the permissions, then start again: the last checkpoint is kept.`,
          { file: path, cause: code },
          { cause: error },
        );
      }
    },
    async rewind(step) {
      let text: string;
      try {
        text = await readFile(path, 'utf8');
      } catch {
        return;
      }
      const kept = text.split('\n').filter((line) => belongsBefore(line, phase, step));
      const rewound = kept.map((line) => `${line}\n`).join('');
      if (rewound !== text) await writeFileAtomic(path, rewound);
    },
  };
}

function belongsBefore(line: string, phase: string, step: number): boolean {
  if (line === '') return false;
  try {
    const entry = JSON.parse(line) as { phase?: string; step?: number };
    return entry.phase !== phase || (entry.step ?? 0) <= step;
  } catch {
    return false;
  }
}
