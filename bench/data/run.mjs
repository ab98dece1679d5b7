/**
 * Throughput of @auxseg/datasets' loader against a PyTorch DataLoader with OpenCV: same photographs, transforms, batch size and number of workers, in
 * alternating rounds of one run, so that the ratio holds although the machine is shared.
 *
 * node bench/data/run.mjs --data DIR (VOC layout) [--list train_aug] [--workers 1,2] [--images 320] [--rounds 5] [--batch 4] [--crop 321] [--masks 1] [--crop-first 0]
 * Needs python3 with torch, opencv-python and pillow. `--crop-first 1` lets the reference normalise only what it keeps.
 */
import { spawn } from 'node:child_process';
import { availableParallelism, loadavg } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createLoader, openVocDataset, VOC_CLASSES } from '@auxseg/datasets';

const { values: o } = parseArgs({
  options: {
    data: { type: 'string' },
    list: { type: 'string', default: 'train_aug' },
    workers: { type: 'string', default: '1,2' },
    images: { type: 'string', default: '320' },
    rounds: { type: 'string', default: '5' },
    batch: { type: 'string', default: '4' },
    crop: { type: 'string', default: '321' },
    masks: { type: 'string', default: '1' },
    'crop-first': { type: 'string', default: '0' },
  },
});
if (!o.data) {
  console.error('Expected --data DIR, a folder in VOC layout.');
  process.exit(2);
}
const images = Number(o.images);
const batchSize = Number(o.batch);
const voc = await openVocDataset({ root: o.data, split: o.list, labelsFrom: 'none' });
// The masks stand in for pseudo labels, so their VOC numbers are taken as they are.
const dataset = { ...voc, classes: VOC_CLASSES, imageLabels: () => new Uint8Array(VOC_CLASSES.length) };
const ids = Array.from({ length: images }, (_, i) => dataset.ids[i % dataset.ids.length]);

const python = spawn(
  'python3',
  [
    fileURLToPath(new URL('torch_loader.py', import.meta.url)),
    o.data,
    o.list,
    o.crop,
    o.batch,
    o.masks,
    o['crop-first'],
  ],
  { stdio: ['pipe', 'pipe', 'inherit'] },
);
const answers = createInterface({ input: python.stdout })[Symbol.asyncIterator]();

async function runTorch(workers) {
  python.stdin.write(`${workers} ${images}\n`);
  const { value, done } = await answers.next();
  if (done) throw new Error('the PyTorch side ended');
  const [count, seconds] = value.split(' ').map(Number);
  return count / seconds;
}

let epoch = 0;
async function runOurs(workers) {
  const loader = createLoader({
    dataset,
    ids: [...new Set(ids)],
    targets: o.masks === '1' ? { segmentation: { file: dataset.maskFile } } : undefined,
    transform: { flip: true, scale: { min: 0.7, max: 1.3 }, crop: Number(o.crop), normalization: 'imagenet' },
    batchSize,
    seed: 1,
    workers,
    // What DataLoader has: two batches ahead per worker.
    prefetch: 2 * workers,
    dropLast: true,
  });
  const batches = loader.epoch(epoch++)[Symbol.asyncIterator]();
  await batches.next();
  const began = performance.now();
  let count = 0;
  for (let next = await batches.next(); !next.done; next = await batches.next()) count += next.value.count;
  const rate = (count * 1000) / (performance.now() - began);
  await loader.close();
  return rate;
}

const median = (a) => [...a].sort((x, y) => x - y)[a.length >> 1];
console.log(
  `${images} images a round, batch ${batchSize}, crop ${o.crop}, masks ${o.masks}, ${availableParallelism()} cores, load ${loadavg()[0].toFixed(1)}`,
);
for (const workers of o.workers.split(',').map(Number)) {
  await runTorch(workers); // page cache, just-in-time compilation
  await runOurs(workers);
  const pairs = [];
  for (let round = 0; round < Number(o.rounds); round++)
    pairs.push([await runOurs(workers), await runTorch(workers)]);
  const [ours, torch] = [0, 1].map((i) => median(pairs.map((p) => p[i])));
  const ratio = median(pairs.map(([a, b]) => a / b));
  const line = {
    workers,
    oursPerSecond: +ours.toFixed(1),
    torchPerSecond: +torch.toFixed(1),
    medianRatio: +ratio.toFixed(2),
    rounds: pairs.length,
  };
  console.log(JSON.stringify(line));
}
python.stdin.end();
