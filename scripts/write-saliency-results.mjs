// What each saliency source gives on voc-animals: stage-0 pseudo labels and, with --stages, the network trained on them.
//
//   node scripts/write-saliency-results.mjs --data DIR [--base runs/voc-animals] [--out runs/saliency] [--stages 0|1]
//                                           [--epochs N] [--sources combined,mbplus,...] [--jobs 2] [--print]
//
// Each source is a run of recipes/voc-animals.yaml with one line changed, on the classifier and CAMs of --base (auxseg run --reuse).
// --stages 0 (default) makes maps and labels: minutes. --stages 1 trains one stage for each source, for --epochs in place of the recipe's,
// and predicts val. --jobs sources are in work at once, each with its share of the processors' threads.
// Everything is resumable; a later call goes on. --print only prints the tables from what is there.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { mapConcurrently } from '@auxseg/datasets';

const { values: o } = parseArgs({
  options: {
    data: { type: 'string' },
    base: { type: 'string', default: 'runs/voc-animals' },
    out: { type: 'string', default: 'runs/saliency' },
    stages: { type: 'string', default: '0' },
    sources: { type: 'string' },
    epochs: { type: 'string' },
    jobs: { type: 'string', default: '1' },
    print: { type: 'boolean', default: false },
  },
});
if (!o.data && !o.print) {
  console.error('Expected --data DIR, the voc-animals folder, or --print.');
  process.exit(2);
}

/** Source -> what is set over the recipe. */
const all = {
  combined: ['saliency.method=combined'],
  mbplus: ['saliency.method=mbplus'],
  rbd: ['saliency.method=rbd'],
  'mean of mbplus and rbd': [
    'saliency.source=combine',
    'saliency.sources=[{"source":"unsupervised","method":"mbplus"},{"source":"unsupervised","method":"rbd"}]',
  ],
  'prediction (stage 3 of the base run)': [
    'saliency.source=prediction',
    `saliency.weights=${join(o.base, 'stage-3/model.safetensors')}`,
  ],
  'constant 0.5': ['saliency.source=constant'],
  // It knows only the images with masks: labels are scored on those anyway, but its network sees fewer images.
  'oracle (cheats; 370 images)': ['saliency.source=oracle', 'data.train=train'],
};
const wanted = o.sources?.split(',') ?? Object.keys(all);
const names = Object.keys(all).filter((name) => wanted.includes(name) || wanted.includes(name.split(' ')[0]));
const folderOf = (name) => join(o.out, name.replace(/[^a-z0-9]+/g, '-').replace(/-$/, ''));

if (!o.print) {
  const bin = fileURLToPath(import.meta.resolve('@auxseg/cli/bin', import.meta.url));
  const jobs = Number(o.jobs);
  const shared = ['stages=1', 'branches=[]', 'pictures=0'];
  if (o.epochs) shared.push(`train.epochs=${o.epochs}`);
  if (jobs > 1)
    shared.push(`threads=${Math.max(1, Math.floor(availableParallelism() / jobs))}`, 'train.replicas=1');
  await mapConcurrently(names, jobs, async (name) => {
    const set = [...shared, ...all[name]];
    const args = [
      ...['recipes/voc-animals.yaml', '--data', o.data, '--out', folderOf(name)],
      ...['--reuse', o.base, '--json'],
      ...set.flatMap((value) => ['--set', value]),
    ];
    console.error(`\n${name}`);
    for (const command of o.stages === '0' ? ['pseudo-label'] : ['pseudo-label', 'train']) {
      const child = spawn(process.execPath, [bin, command, ...args], {
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      const [status] = await once(child, 'exit');
      // One source that fails must not stop the others.
      if (status !== 0) {
        console.error(`${name}: ${command} ended with exit code ${status}; its row stays empty`);
        break;
      }
    }
  });
}

const read = (...path) => {
  const file = join(...path);
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
};
const percent = (value) => (typeof value === 'number' ? (100 * value).toFixed(1) : '');
const rows = names.map((name) => {
  const folder = folderOf(name);
  const labels = read(folder, 'stage-0/metrics.json');
  const val = read(folder, 'stage-1/metrics.json')?.validation;
  const p = labels?.pseudoLabels;
  return [
    name,
    labels?.saliency?.mae?.toFixed(3) ?? '',
    percent(p?.precision),
    percent(p?.recall),
    percent(p?.meanIoU),
    percent(p?.ignoredFraction),
    percent(val?.initial?.meanIoU),
    percent(val?.refined?.meanIoU),
    percent(val?.refinedCrf?.meanIoU ?? val?.['refined-crf']?.meanIoU),
  ];
});
const header = [
  'saliency source',
  'MAE on `train`',
  'precision',
  'recall',
  'label mIoU',
  'ignored',
  'val mIoU, initial',
  'refined',
  'refined + CRF',
];
console.log('### Saliency sources: stage-0 pseudo labels on `train`, and the network of stage 1 on `val`\n');
for (const row of [header, header.map((_, i) => (i === 0 ? '---' : '---:')), ...rows])
  console.log(`| ${row.join(' | ')} |`);
