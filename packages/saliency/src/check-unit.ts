import { SaliencyError } from './errors.js';
import type { SaliencyThresholds } from './types.js';

/** Throws BAD_OPTION unless the value is a number in 0..1. */
export function checkUnit(what: string, value: number): void {
  if (!(typeof value === 'number' && value >= 0 && value <= 1)) {
    throw new SaliencyError('BAD_OPTION', `Expected ${what} to be a number in 0..1, got ${String(value)}.`, {
      what,
      value,
    });
  }
}

/** Throws BAD_OPTION unless 0 <= background <= foreground <= 1. */
export function checkThresholds(source: string, thresholds: SaliencyThresholds): void {
  checkUnit(`${source}'s foreground threshold`, thresholds.foreground);
  checkUnit(`${source}'s background threshold`, thresholds.background);
  if (thresholds.single !== undefined) checkUnit(`${source}'s single threshold`, thresholds.single);
  if (thresholds.background > thresholds.foreground) {
    throw new SaliencyError(
      'BAD_OPTION',
      `Expected ${source}'s background threshold (${thresholds.background}) not above its foreground threshold (${thresholds.foreground}).`,
      { source, thresholds },
    );
  }
}
