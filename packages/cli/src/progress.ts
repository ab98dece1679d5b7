import type { Terminal } from './terminal.js';

/** Progress with the time left, from counts; work that was done before (`skipped`) does not count for the speed. */
export function progressOf(
  terminal: Terminal,
  label: string,
  unit = 'images',
): (done: number, total: number, skipped?: number) => void {
  const started = performance.now();
  return (done, total, skipped = 0) => {
    const each = (performance.now() - started) / 1000 / Math.max(1, done - skipped);
    terminal.progress(label, done, total, each * (total - done), `${(1 / each).toFixed(0)} ${unit}/s`);
  };
}
