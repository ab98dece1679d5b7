// Pseudo labels for any other method: they are plain PNGs. This writes labels as a run of AuxSeg does, reads them back the
// way any program can, hands them to a training loop that knows nothing of AuxSeg, and measures them.
//
//   node main.mjs                             labels made here, from the synthetic set
//   node main.mjs runs/demo/stage-3/labels    labels of a run of yours: what is in them

import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSyntheticDataset } from '@auxseg/datasets';
import { readGrayPng, readIndexedPng } from '@auxseg/formats';
import { createPseudoLabelScore } from '@auxseg/metrics';
import { fuseCamAndSaliency, openLabelStore } from '@auxseg/pseudo-label';

const given = process.argv[2];
if (given) {
  await describeFolder(given);
} else {
  const folder = await mkdtemp(join(tmpdir(), 'auxseg-labels-'));
  try {
    const dataset = createSyntheticDataset({ count: 12, size: 96, classes: 3, seed: 6 });
    await writeLabels(folder, dataset);
    await describeFolder(folder);
    await trainElsewhere(folder, dataset);
    await measure(folder, dataset);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** seg/<id>.png and sal/<id>.png, each whole or absent: written to a temporary file, flushed, renamed. */
async function writeLabels(folder, dataset) {
  const store = openLabelStore(folder);
  for (const id of dataset.ids) {
    const saliency = await dataset.saliency(id);
    const { width, height } = saliency;
    await store.writeSaliency(id, saliency);
    await store.writeSegmentation(
      id,
      fuseCamAndSaliency({
        cam: await camOf(dataset, id), // [K,H,W], 0..1
        width,
        height,
        labels: dataset.imageLabels(id), // [K], 1 = in the image
        saliency: saliency.data, // [H,W], 0..1
        camThreshold: 0.2,
        saliencyThreshold: dataset.saliencyThresholds.foreground,
        saliencyBackground: dataset.saliencyThresholds.background,
        id,
      }),
    );
  }
  console.log(`wrote labels of ${dataset.ids.length} images`);
}

/** What any reader of PNGs finds: 8-bit palette images whose values are the classes, 0 = background, 255 = ignore. */
async function describeFolder(folder) {
  const names = (await readdir(join(folder, 'seg'))).filter((name) => name.endsWith('.png')).sort();
  const counts = new Map();
  for (const name of names) {
    const { data } = readIndexedPng(await readFile(join(folder, 'seg', name)));
    for (const value of data) counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  const total = [...counts.values()].reduce((a, b) => a + b, 0);
  console.log(`seg: ${names.length} files`);
  for (const [value, count] of [...counts].sort(([a], [b]) => a - b)) {
    const meaning = value === 0 ? 'background' : value === 255 ? 'ignore' : `class ${value}`;
    console.log(`  ${meaning}: ${((100 * count) / total).toFixed(1)}% of the pixels`);
  }
  const first = readGrayPng(await readFile(join(folder, 'sal', names[0])));
  console.log(`sal: 8-bit grey, ${first.width}x${first.height}, largest value ${Math.max(...first.data)}`);
}

/**
 * The other method: here, per-class colour means, the smallest segmentation model there is. What matters is that it reads two
 * folders of ordinary files (image and label) and skips 255.
 */
async function trainElsewhere(folder, dataset) {
  const numClasses = dataset.classes.length + 1;
  const sums = Array.from({ length: numClasses }, () => ({ pixels: 0, rgb: [0, 0, 0] }));
  for (const id of dataset.ids) {
    const { image } = await dataset.sample(id);
    const label = readIndexedPng(await readFile(join(folder, 'seg', `${id}.png`)));
    label.data.forEach((value, i) => {
      if (value === 255) return;
      sums[value].pixels++;
      for (let c = 0; c < 3; c++) sums[value].rgb[c] += image.data[3 * i + c];
    });
  }
  for (const [k, { pixels, rgb }] of sums.entries()) {
    const name = k === 0 ? 'background' : dataset.classes[k - 1];
    console.log(`mean colour of ${name}: ${rgb.map((sum) => Math.round(sum / pixels)).join(' ')}`);
  }
}

/** Precision: of the labelled pixels, how many are right. Recall: of all pixels, how many are labelled right. */
async function measure(folder, dataset) {
  const store = openLabelStore(folder);
  const score = createPseudoLabelScore(dataset.classes.length + 1);
  for (const id of dataset.ids) {
    score.update((await store.segmentation(id)).data, (await dataset.truth(id)).data);
  }
  const percent = (fraction) => (100 * fraction).toFixed(1);
  console.log(`precision ${percent(score.precision())}, recall ${percent(score.recall())}`);
  console.log(`mIoU ${percent(score.meanIoU())}, ignored ${percent(score.ignoredFraction())}% of the pixels`);
}

/**
 * A stand-in for a classifier's CAMs (../full-pipeline trains one): high on the patterned part of each object, which is all
 * that a classifier looks at, lower on the rest of it.
 */
async function camOf(dataset, id) {
  const [{ data: parts }, { data: truth }] = [await dataset.parts(id), await dataset.truth(id)];
  const cam = new Float32Array(dataset.classes.length * truth.length);
  truth.forEach((value, i) => {
    if (value > 0) cam[(value - 1) * truth.length + i] = parts[i] ? 0.9 : i % 3 === 0 ? 0.1 : 0.3;
  });
  return cam;
}
