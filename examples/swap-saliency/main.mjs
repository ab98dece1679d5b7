// Three saliency sources on the same images: the unsupervised detector, maps from files, and a source of your own. Each is
// measured against the masks, fused with the same class activation maps, and the labels that come out are measured too.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSyntheticDataset } from '@auxseg/datasets';
import { writeGrayPng } from '@auxseg/formats';
import { createPseudoLabelScore, createSaliencyMeasures } from '@auxseg/metrics';
import { fuseCamAndSaliency } from '@auxseg/pseudo-label';
import { createFileSaliency, createUnsupervisedSaliency } from '@auxseg/saliency';

const dataset = createSyntheticDataset({ count: 24, size: 96, classes: 3, seed: 5 });
const folder = await mkdtemp(join(tmpdir(), 'auxseg-saliency-'));

// Files: 8-bit grey PNG of the image's size. Another detector's maps would lie here already; we put the set's own ones.
for (const id of dataset.ids) {
  const { width, height, data } = await dataset.saliency(id);
  const bytes = Uint8Array.from(data, (value) => Math.round(255 * value));
  await writeFile(join(folder, `${id}.png`), writeGrayPng({ width, height, data: bytes }));
}

// Your own source: a name, thresholds that suit its maps, and a function from an image to a map of its size. This one is the
// oldest trick there is, a blob in the middle: objects tend to be where the camera points.
const centre = {
  name: 'centre',
  thresholds: { foreground: 0.6, background: 0.3 },
  async map({ image: { width, height } }) {
    const data = new Float32Array(width * height); // [H,W], 0..1
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const dx = (x + 0.5) / width - 0.5;
        const dy = (y + 0.5) / height - 0.5;
        data[y * width + x] = Math.exp(-(dx * dx + dy * dy) / (2 * 0.25 ** 2));
      }
    }
    return { width, height, data };
  },
};

const sources = [
  createUnsupervisedSaliency({ method: 'combined' }), // photographs alone; 'mbplus' and 'rbd' are its two halves
  createFileSaliency({ dir: folder, thresholds: dataset.saliencyThresholds }),
  centre,
];

console.log('source                    MAE    max F  S       label precision  recall');
for (const source of sources) {
  const measures = createSaliencyMeasures();
  const score = createPseudoLabelScore(dataset.classes.length + 1);
  for (const id of dataset.ids) {
    const { image, labels } = await dataset.sample(id);
    const { width, height } = image;
    const saliency = await source.map({ id, image });
    const truth = (await dataset.truth(id)).data; // for measuring only
    measures.update({ width, height, prediction: saliency.data, truth });
    const label = fuseCamAndSaliency({
      cam: await partsAsCam(id),
      width,
      height,
      labels,
      saliency: saliency.data,
      saliencyThreshold: source.thresholds.foreground,
      saliencyBackground: source.thresholds.background,
      id,
    });
    score.update(label.data, truth);
  }
  const { mae, maxF, sMeasure } = measures.result();
  const row = [mae, maxF, sMeasure].map((value) => value.toFixed(3)).join('  ');
  const [precision, recall] = [score.precision(), score.recall()].map((value) => (100 * value).toFixed(1));
  console.log(`${source.name.padEnd(24)}  ${row}   ${precision.padEnd(15)}  ${recall}`);
  await source.close?.();
}
await rm(folder, { recursive: true });

/**
 * A stand-in for a classifier's class activation maps, so that this example is about saliency alone: 1 on the patterned part
 * that tells the class, falling off around it. Real CAMs are in ../full-pipeline.
 */
async function partsAsCam(id) {
  const [{ width, height, data: parts }, truth] = [await dataset.parts(id), await dataset.truth(id)];
  const cam = new Float32Array(dataset.classes.length * width * height); // [K,H,W]
  const reach = 10; // pixels
  for (let i = 0; i < parts.length; i++) {
    if (parts[i] === 0) continue;
    const plane = cam.subarray((truth.data[i] - 1) * parts.length, truth.data[i] * parts.length);
    const [x, y] = [i % width, Math.floor(i / width)];
    for (let v = Math.max(0, y - reach); v <= Math.min(height - 1, y + reach); v++) {
      for (let u = Math.max(0, x - reach); u <= Math.min(width - 1, x + reach); u++) {
        const near = 1 - Math.hypot(u - x, v - y) / reach;
        if (near > plane[v * width + u]) plane[v * width + u] = near;
      }
    }
  }
  return cam;
}
