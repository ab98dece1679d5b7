import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

/** Runs an example as its README says and returns what it printed. */
function run(name: string): string {
  const result = spawnSync(process.execPath, [join('examples', name, 'main.mjs')], {
    encoding: 'utf8',
    timeout: 170_000,
  });
  expect({ status: result.status, error: result.stderr.slice(-1500) }).toMatchObject({ status: 0 });
  return result.stdout;
}

const numberAfter = (text: string, pattern: RegExp) => Number(pattern.exec(text)?.[1]);

test('crf-only: the CRF mends the noisy mask', () => {
  const out = run('crf-only');
  expect(numberAfter(out, /after:\s+mIoU ([\d.]+)/)).toBeGreaterThan(
    numberAfter(out, /before:\s+mIoU ([\d.]+)/) + 5,
  );
});

test('pseudo-labels-elsewhere: plain PNGs, scored', () => {
  const out = run('pseudo-labels-elsewhere');
  expect(out).toContain('8-bit grey');
  expect(numberAfter(out, /precision ([\d.]+)/)).toBeGreaterThan(90);
});

test('swap-saliency: three sources measured, none like another', () => {
  const out = run('swap-saliency');
  const errors = [...out.matchAll(/^(unsupervised\(combined\)|files|centre)\s+([\d.]+)/gm)].map(
    (match) => match[2],
  );
  expect(new Set(errors).size).toBe(3);
});

test('swap-affinity: the module conforms, a broken one does not, and both trainings learn', () => {
  const out = run('swap-affinity');
  expect(out).toContain('shared affinity: conforms');
  expect(out).toMatch(/broken affinity: \S+/);
  const pairs = [...out.matchAll(/([\d.]+) -> ([\d.]+)/g)];
  expect(pairs.length).toBeGreaterThanOrEqual(2);
  for (const [, first, last] of pairs) expect(Number(last)).toBeLessThan(Number(first));
});

test('full-pipeline: from image labels to a scored prediction', () => {
  const out = run('full-pipeline');
  const [, first, last] = /classifier: \d+ steps, loss ([\d.]+) -> ([\d.]+)/.exec(out) ?? [];
  expect(Number(last)).toBeLessThan(Number(first));
  expect(out).toMatch(/labels 0: precision [\d.]+, recall [\d.]+, mIoU [\d.]+/);
  expect(numberAfter(out, /validation 2: mIoU initial ([\d.]+)/)).toBeGreaterThan(0);
});
