import type { Summary } from '@auxseg/auxsegnet/pipeline';
import { expect, test } from '@jest/globals';
import { summaryTables } from './summary-tables.js';

const score = (meanIoU: number) => ({ meanIoU, perClassIoU: [] });

test('a row for each stage, branch and round; a dash where there is no score', () => {
  const summary = {
    pseudoLabels: [
      { stage: 0, precision: 0.5, recall: 0.25, meanIoU: 0.2, ignoredFraction: 0.1, perClassIoU: [] },
    ],
    validation: [{ stage: 1, initial: score(0.3), refined: score(0.31), refinedCrf: score(0.325) }],
    baselines: [
      { name: 'control', rounds: 1, head: 'initial', ...score(0.2) },
      { name: 'control', rounds: 2, head: 'initial', ...score(0.21) },
      { name: 'control', rounds: 2, head: 'initialCrf', ...score(0.22) },
    ],
    comparisons: [{ name: 'a against b', difference: 0.011, low: -0.002, high: 0.024 }],
  } as unknown as Summary;
  expect(summaryTables(summary).split('\n')).toEqual([
    'Pseudo labels on training images with masks (%)',
    'stage  precision  recall  mIoU  ignored',
    '-----  ---------  ------  ----  -------',
    '0           50.0    25.0  20.0     10.0',
    '',
    'Validation mIoU (%)',
    'network             initial head  refined head  with CRF',
    '------------------  ------------  ------------  --------',
    'AuxSegNet, stage 1          30.0          31.0      32.5',
    'control, round 1            20.0             -         -',
    'control, round 2            21.0             -      22.0',
    '',
    'Differences in mIoU (points; 95% paired bootstrap interval over images: training images for labels, else validation)',
    'comparison   difference      interval',
    '-----------  ----------  ------------',
    'a against b        +1.1  -0.2 .. +2.4',
  ]);
});

test('a run without masks has nothing to print', () => {
  const empty = { pseudoLabels: [], validation: [], baselines: [], comparisons: [] } as unknown as Summary;
  expect(summaryTables(empty)).toBe('');
});
