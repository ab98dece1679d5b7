// Writes the tables of docs/results.md from a run directory: node scripts/write-results.mjs runs/voc-animals > tables.md
// Every number comes from the run's own summary.json and state.json.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const run = process.argv[2];
if (run === undefined) {
  console.error('Expected a run directory: node scripts/write-results.mjs runs/voc-animals');
  process.exit(2);
}
const summary = JSON.parse(readFileSync(join(run, 'summary.json'), 'utf8'));
const state = JSON.parse(readFileSync(join(run, 'state.json'), 'utf8'));
const percent = (value) => (typeof value === 'number' ? (100 * value).toFixed(1) : '');
const signed = (value) => `${Math.round(1000 * value) >= 0 ? '+' : '−'}${Math.abs(100 * value).toFixed(1)}`;
const table = (header, rows) =>
  [header, header.map((_, i) => (i === 0 ? '---' : '---:')), ...rows]
    .map((row) => `| ${row.join(' | ')} |`)
    .join('\n');
const classes = ['background', ...summary.classes];

console.log('### Pseudo labels on `train` (masks used for scoring only)\n');
console.log(
  table(
    ['stage', 'precision', 'recall', 'mIoU', 'ignored', ...classes],
    summary.pseudoLabels.map((row) => [
      row.stage,
      percent(row.precision),
      percent(row.recall),
      percent(row.meanIoU),
      percent(row.ignoredFraction),
      ...row.perClassIoU.map(percent),
    ]),
  ),
);
console.log('\n### Saliency maps on `train`\n');
console.log(
  table(
    ['stage', 'MAE', 'max F-beta', 'S-measure'],
    summary.saliency.map((row) => [
      row.stage,
      ...[row.mae, row.maxFBeta, row.sMeasure].map((value) => value.toFixed(3)),
    ]),
  ),
);

console.log('\n### Validation mIoU\n');
const rows = summary.validation.map((row) => [
  `AuxSegNet, stage ${row.stage}`,
  row.initial,
  row.refined,
  row.refinedCrf ?? row.initialCrf,
]);
const branches = new Map();
for (const row of summary.baselines) {
  const key = row.rounds > 1 ? `${row.name}, round ${row.rounds}` : row.name;
  branches.set(key, { ...branches.get(key), [row.head]: row });
}
for (const [name, heads] of branches)
  rows.push([name, heads.initial, heads.refined, heads.refinedCrf ?? heads.initialCrf]);
console.log(
  table(
    [
      'network',
      'initial head',
      'refined head',
      'last head + CRF',
      ...classes.map((name) => `${name}, last head`),
    ],
    rows.map(([name, initial, refined, crf]) => [
      name,
      percent(initial?.meanIoU),
      percent(refined?.meanIoU),
      percent(crf?.meanIoU),
      ...(refined ?? initial).perClassIoU.map(percent),
    ]),
  ),
);

console.log('\n### Differences in mIoU, points, with 95% paired bootstrap intervals over images\n');
console.log(
  table(
    ['comparison', 'difference', 'interval', 'verdict'],
    summary.comparisons.map((row) => [
      row.name,
      signed(row.difference),
      `${signed(row.low)} to ${signed(row.high)}`,
      row.low > 0 ? 'better' : row.high < 0 ? 'worse' : 'within noise',
    ]),
  ),
);

const minutes = (seconds) => (seconds / 60).toFixed(1);
console.log('\n### Time\n');
console.log(
  table(
    ['step', 'minutes'],
    state.steps.map(({ name, seconds }) => [name, minutes(seconds)]),
  ),
);
const total = (steps) => minutes(steps.reduce((sum, { seconds }) => sum + seconds, 0));
const controls = state.steps.filter(({ name }) => name.startsWith('branch-'));
const method = state.steps.filter((step) => !controls.includes(step));
console.log(
  `\nThe method itself ${total(method)} minutes, its controls ${total(controls)}, on backend ${state.backend}.`,
);
