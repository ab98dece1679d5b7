import type { PipelineEvent } from '@auxseg/auxsegnet/pipeline';

/** Where a command writes: results to `out`, everything about its progress to `err`. */
export interface Terminal {
  readonly json: boolean;
  /** One line of result for people; nothing with --json. */
  print(line?: string): void;
  /** The result for machines; nothing without --json. */
  printJson(value: unknown): void;
  note(line: string): void;
  progress(label: string, done: number, total: number, etaSeconds: number, text?: string): void;
  /** Ends a progress line. */
  clear(): void;
}

/** Progress lines of a program that is not on a terminal come this far apart. */
const PLAIN_INTERVAL_MS = 15_000;
/** Redrawing more often than this makes a terminal flicker. */
const REDRAW_INTERVAL_MS = 100;
const BAR_CELLS = 24;

export function createTerminal({ json }: { json: boolean }): Terminal {
  const interactive = process.stderr.isTTY === true;
  let drawn = false;
  let last = 0;
  const clear = () => {
    if (drawn) process.stderr.write('\r\x1b[2K');
    drawn = false;
  };
  return {
    json,
    print(line = '') {
      clear();
      if (!json) process.stdout.write(`${line}\n`);
    },
    printJson(value) {
      clear();
      if (json) process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
    },
    note(line) {
      clear();
      process.stderr.write(`${line}\n`);
    },
    progress(label, done, total, etaSeconds, text = '') {
      const now = performance.now();
      const finished = done >= total;
      if (now - last < (interactive ? REDRAW_INTERVAL_MS : PLAIN_INTERVAL_MS) && !(finished && interactive))
        return;
      last = now;
      const left = finished ? '' : `, ${formatSeconds(etaSeconds)} left`;
      const counts = `${done}/${total}`;
      if (interactive) {
        const filled = Math.round((BAR_CELLS * done) / Math.max(1, total));
        const bar = '█'.repeat(filled) + '░'.repeat(BAR_CELLS - filled);
        process.stderr.write(`\r\x1b[2K  ${label} ${bar} ${counts}${left}  ${text}`);
        drawn = true;
      } else process.stderr.write(`  ${label} ${counts}${left}  ${text}\n`);
    },
    clear,
  };
}

/** '42 s', '3 min 05 s', '2 h 10 min'. */
export function formatSeconds(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, '0')} min`;
}

/** Shows pipeline events. */
export function pipelineListener(terminal: Terminal): (event: PipelineEvent) => void {
  return (event) => {
    switch (event.type) {
      case 'step-start':
        terminal.note(`> ${event.step}: ${event.description}`);
        break;
      case 'step-skip':
        terminal.note(`= ${event.step}: done before`);
        break;
      case 'step-done':
        terminal.note(
          `  ${event.step}: ${formatSeconds(event.seconds)}${event.result ? `; ${event.result}` : ''}`,
        );
        break;
      case 'progress':
        terminal.progress(event.step, event.done, event.total, event.etaSeconds, event.text);
        break;
      case 'note':
        terminal.note(`  ${event.text}`);
        break;
    }
  };
}

/** A table with right-aligned numbers, as monospaced text. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((_, column) => Math.max(...[header, ...rows].map((row) => row[column].length)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])))
      .join('  ')
      .trimEnd();
  return [line(header), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(line)].join('\n');
}
