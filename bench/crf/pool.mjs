/**
 * Images per second of createDenseCrfPool with one worker, two, and so on, alternating in one run.
 *
 *   node bench/crf/pool.mjs [--workers 1,2] [--images 24] [--rounds 5] [--labels 2] [--json]
 *
 * The machine should be idle: each worker wants a core of its own. `busy` is the share of the cores' time that this process
 * got while it ran; well below workers / cores, something else was running and the figures say little.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { createDenseCrfPool, presets } from '@auxseg/crf';
import { smoothUnary, texturedScene } from './scene.mjs';

const { values: args } = parseArgs({
  options: {
    workers: { type: 'string', default: '1,2' },
    images: { type: 'string', default: '24' },
    rounds: { type: 'string', default: '5' },
    labels: { type: 'string', default: '2' },
    json: { type: 'boolean', default: false },
  },
});
const [width, height] = [500, 375];
const labels = Number(args.labels);
const image = texturedScene(width, height, 7);
const unary = smoothUnary({ width, height, labels, sharpness: 4, seed: 5 });
const preset = labels === 2 ? presets.auxsegSaliency : presets.auxsegSegmentation;
const problem = { width, height, labels, unary, image, ...preset };
const images = Number(args.images);

const pools = args.workers.split(',').map((text) => ({
  workers: Number(text),
  pool: createDenseCrfPool({ workers: Number(text) }),
  rates: [],
  busy: [],
}));
async function time(entry, count) {
  const started = performance.now();
  const before = process.cpuUsage();
  await Promise.all(Array.from({ length: count }, () => entry.pool.infer(problem)));
  const { user, system } = process.cpuUsage(before);
  const ms = performance.now() - started;
  return { rate: (1000 * count) / ms, busy: (user + system) / 1000 / ms };
}
for (const entry of pools) await time(entry, 2 * entry.workers);
for (let round = 0; round < Number(args.rounds); round++) {
  for (const entry of pools) {
    const { rate, busy } = await time(entry, images);
    entry.rates.push(rate);
    entry.busy.push(busy);
  }
}
const median = (list) => list.slice().sort((a, b) => a - b)[list.length >> 1];
const rows = pools.map(({ workers, rates, busy }) => ({
  workers,
  imagesPerSecond: median(rates),
  // Of each round on its own: what else the machine did then hit both.
  speedUp: median(rates.map((rate, i) => rate / pools[0].rates[i])),
  coresBusy: median(busy),
}));
await Promise.all(pools.map(({ pool }) => pool.dispose()));
if (args.json) {
  console.log(JSON.stringify({ width, height, labels, images, cores: availableParallelism(), rows }));
} else {
  console.log(
    `${width}x${height}, ${labels} labels, ${images} images a round, ${availableParallelism()} cores`,
  );
  for (const row of rows) {
    console.log(
      `${row.workers} workers ${row.imagesPerSecond.toFixed(1).padStart(6)} images/s  x${row.speedUp.toFixed(2)}  ` +
        `(${row.coresBusy.toFixed(2)} cores busy)`,
    );
  }
}
