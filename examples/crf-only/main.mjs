// @auxseg/crf and @auxseg/formats alone, without any network: a noisy segmentation of a photograph-like picture goes in, the
// dense CRF straightens it out along the edges of the image, and PNGs of every step are written to ./out beside this file.
// It is what pydensecrf is used for after a segmentation network; the options carry the same names.

import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createDenseCrf } from '@auxseg/crf';
import { writeIndexedPng, writeRgbPng } from '@auxseg/formats';

const [width, height, labels] = [160, 120, 3]; // background, disc, bar
const out = process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), 'out');
const random = createRandom(1);

// ------------------------------------------------------------------------------------- a picture, its truth, a poor guess

const image = new Uint8Array(3 * width * height); // [H,W,3]
const truth = new Uint8Array(width * height); // [H,W]
for (let y = 0; y < height; y++) {
  for (let x = 0; x < width; x++) {
    const i = y * width + x;
    const inDisc = (x - 52) ** 2 + (y - 58) ** 2 < 34 ** 2;
    const inBar = Math.abs((x - 112) * 0.9 + (y - 60) * 0.44) < 13 && y > 14 && y < 108;
    truth[i] = inBar ? 2 : inDisc ? 1 : 0;
    const colour = [
      [92 + x / 3, 124 + y / 8, 104], // grey-green, towards the disc's colour on the right
      [160 - y / 4, 108, 84],
      [84, 104, 144 - y / 4],
    ][truth[i]];
    for (let c = 0; c < 3; c++) image[3 * i + c] = colour[c] + 40 * (random() - 0.5);
  }
}

// Probabilities [labels,H,W] as a coarse network gives them: right in 8x8 blocks on the whole, with blocks that are wrong.
const probabilities = new Float32Array(labels * width * height);
const block = 8;
for (let top = 0; top < height; top += block) {
  for (let left = 0; left < width; left += block) {
    const votes = new Float32Array(labels).fill(1);
    for (let y = top; y < top + block; y++) {
      for (let x = left; x < left + block; x++) votes[truth[y * width + x]] += 0.12;
    }
    if (random() < 0.12) votes[Math.floor(labels * random())] += 9;
    const sum = votes[0] + votes[1] + votes[2];
    for (let y = top; y < top + block; y++) {
      for (let x = left; x < left + block; x++) {
        for (let k = 0; k < labels; k++) probabilities[(k * height + y) * width + x] = votes[k] / sum;
      }
    }
  }
}

// -------------------------------------------------------------------------------------------------------------------- CRF

const crf = await createDenseCrf(); // WASM SIMD, or plain TypeScript where there is none
const problem = {
  width,
  height,
  labels,
  probabilities, // or `unary`: energies
  image,
  gaussian: { sxy: 3, compat: 3 }, // smoothness: pixels, weight
  bilateral: { sxy: 40, srgb: 13, compat: 6 }, // appearance: pixels, 8-bit colour units, weight
};
const before = crf.inferMap({ ...problem, iterations: 0 }); // 0 steps: argmax of what went in
const after = crf.inferMap({ ...problem, iterations: 10 });

console.log(`before: mIoU ${percent(meanIoU(before))}`);
console.log(`after:  mIoU ${percent(meanIoU(after))}`);

// Step by step, watching the free energy that mean field lowers.
const session = crf.start(problem);
const energies = [];
for (let step = 0; step < 5; step++) energies.push(session.step().klDivergence());
session.dispose();
console.log(`KL divergence, first and fifth step: ${energies[0].toFixed(0)} ${energies[4].toFixed(0)}`);
crf.dispose();

// -------------------------------------------------------------------------------------------------------------------- PNG

await mkdir(out, { recursive: true });
await writeFile(join(out, 'image.png'), writeRgbPng({ width, height, data: image }));
for (const [name, data] of Object.entries({ truth, before, after })) {
  await writeFile(join(out, `${name}.png`), writeIndexedPng({ width, height, data })); // palette PNG, VOC colours
}
console.log('wrote image.png, truth.png, before.png, after.png');

/** One confusion-matrix mIoU; `@auxseg/metrics` has it for data sets. */
function meanIoU(map) {
  let sum = 0;
  for (let k = 0; k < labels; k++) {
    let [both, either] = [0, 0];
    for (let i = 0; i < map.length; i++) {
      both += map[i] === k && truth[i] === k ? 1 : 0;
      either += map[i] === k || truth[i] === k ? 1 : 0;
    }
    sum += both / either;
  }
  return sum / labels;
}

function percent(fraction) {
  return (100 * fraction).toFixed(1);
}

/** A small seeded generator (mulberry32), 0..1. */
function createRandom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
