#!/usr/bin/env node
// Measures saliency sources against the foreground masks of a VOC-style data set: MAE, max F-beta, S-measure, ms an image on one core.
//
//   nice node bench/saliency/measure.mjs --data DIR [--splits val,train] [--sources mbplus,rbd,combined] [--limit N]
//                                        [--weights MODEL.safetensors] [--maps DIR] [--thresholds] [--json FILE]
//
// `ms` is wall time around map(); `CPU` is the process's user time, which a busy machine disturbs less.
// Foreground = mask value other than 0; 255 is left out everywhere. Needs the built packages (npx tsc --build packages/saliency).
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { createDenseCrf } from '@auxseg/crf';
import { openVocDataset, readImage, readMask } from '@auxseg/datasets';
import { createSaliencyMeasures } from '@auxseg/metrics';
import {
  combineSaliency,
  createConstantSaliency,
  createFileSaliency,
  createOracleSaliency,
  createPredictionSaliency,
  createUnsupervisedSaliency,
  refineSaliency,
} from '@auxseg/saliency';

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    splits: { type: 'string', default: 'val,train' },
    sources: {
      type: 'string',
      default: 'constant,centre,mbplus,rbd,combined,mean,max,product,combined+crf,oracle',
    },
    // For the sources 'prediction' (a stage of a run; measure it on images it was not trained on) and 'files'.
    weights: { type: 'string' },
    backend: { type: 'string', default: 'auto' },
    maps: { type: 'string' },
    limit: { type: 'string' },
    thresholds: { type: 'boolean', default: false },
    json: { type: 'string' },
  },
});
if (!values.data) {
  console.error(
    'Expected --data DIR, a folder with JPEGImages, SegmentationClassAug and ImageSets/Segmentation.',
  );
  process.exit(2);
}

const crf = await createDenseCrf();
const makers = {
  constant: () => createConstantSaliency(0.5),
  // The floor: what one knows without looking at the picture.
  centre: () =>
    createPredictionSaliency({
      name: 'centre',
      predict({ width, height }) {
        const data = new Float32Array(width * height);
        for (let y = 0, i = 0; y < height; y++) {
          for (let x = 0; x < width; x++, i++) {
            data[i] = Math.exp(
              -(((x + 0.5) / width - 0.5) ** 2 + ((y + 0.5) / height - 0.5) ** 2) / (2 * 0.25 ** 2),
            );
          }
        }
        return { width, height, data };
      },
    }),
  mbplus: () => createUnsupervisedSaliency({ method: 'mbplus' }),
  rbd: () => createUnsupervisedSaliency({ method: 'rbd' }),
  combined: () => createUnsupervisedSaliency({ method: 'combined' }),
  mean: () => combineSaliency([makers.mbplus(), makers.rbd()], 'mean'),
  max: () => combineSaliency([makers.mbplus(), makers.rbd()], 'max'),
  product: () => combineSaliency([makers.mbplus(), makers.rbd()], 'product'),
  'mbplus+crf': () => refineSaliency(makers.mbplus(), { crf }),
  'combined+crf': () => refineSaliency(makers.combined(), { crf }),
  oracle: (dataset) => createOracleSaliency(dataset),
  files: () => createFileSaliency({ dir: values.maps }),
  prediction: () => network(),
  'mean(combined,prediction)': () => combineSaliency([makers.combined(), network()], 'mean'),
};
const { createNetworkSaliency } = values.weights ? await import('@auxseg/auxsegnet/pipeline') : {};
if (values.weights) {
  const { useBackend } = await import('@auxseg/runtime');
  console.log(`backend ${(await useBackend(values.backend)).name}`);
}
function network() {
  if (!createNetworkSaliency) throw new Error('Expected --weights FILE for the source prediction.');
  return createNetworkSaliency({ weights: values.weights });
}
const names = values.sources.split(/,(?![^(]*\))/);
for (const name of names) {
  if (!(name in makers)) {
    console.error(`Expected --sources among ${Object.keys(makers).join(', ')}, got ${name}.`);
    process.exit(2);
  }
}

const rows = [];
for (const split of values.splits.split(',')) {
  const dataset = await openVocDataset({ root: values.data, split });
  const ids = dataset.ids.slice(0, values.limit ? Number(values.limit) : undefined);
  const runs = names.map((name) => ({
    name,
    source: makers[name](dataset),
    measures: createSaliencyMeasures(),
    times: [],
    cpuMs: 0,
    // Pixels of the whole split by 8-bit saliency.
    foreground: new Float64Array(256),
    background: new Float64Array(256),
  }));
  for (const id of ids) {
    const image = await readImage(dataset.imageFile(id));
    const mask = await readMask(dataset.maskFile(id));
    for (const run of runs) {
      const start = performance.now();
      const cpuStart = process.cpuUsage().user;
      const map = await run.source.map({ id, image });
      run.times.push(performance.now() - start);
      run.cpuMs += (process.cpuUsage().user - cpuStart) / 1000;
      run.measures.update({ width: map.width, height: map.height, prediction: map.data, truth: mask.data });
      for (let i = 0; i < map.data.length; i++) {
        if (mask.data[i] === 255) continue;
        (mask.data[i] ? run.foreground : run.background)[Math.round(map.data[i] * 255)]++;
      }
    }
  }
  console.log(`\n${split}: ${ids.length} images`);
  console.log('source                     MAE   maxF  (of means)  S     ms median    mean     CPU');
  for (const run of runs) {
    const { mae, maxF, maxFOfMeans, sMeasure } = run.measures.result();
    const times = run.times.toSorted((a, b) => a - b);
    const median = times[times.length >> 1];
    const mean = times.reduce((a, b) => a + b, 0) / times.length;
    rows.push({
      split,
      images: ids.length,
      source: run.name,
      mae,
      maxF,
      maxFOfMeans,
      sMeasure,
      msMedian: median,
      msMean: mean,
      cpuMs: run.cpuMs / ids.length,
    });
    const f = (value) => value.toFixed(3);
    console.log(
      `${run.name.padEnd(25)} ${f(mae)}  ${f(maxF)}  ${f(maxFOfMeans)}      ${f(sMeasure)}  ${median.toFixed(1).padStart(8)}  ${mean.toFixed(1).padStart(6)}  ${(run.cpuMs / ids.length).toFixed(1).padStart(6)}`,
    );
  }
  if (values.thresholds) for (const run of runs) printThresholds(run);
}
crf.dispose();
if (values.json) await writeFile(values.json, `${JSON.stringify(rows, null, 2)}\n`);

/** Over all pixels of the split: what calling "above t" foreground, and "at or below t" background, gets right. */
function printThresholds({ name, source, foreground, background }) {
  const sum = (array, from, to) => array.slice(from, to).reduce((a, b) => a + b, 0);
  const all = sum(foreground, 0) + sum(background, 0);
  console.log(`\n${name}: thresholds ${JSON.stringify(source.thresholds)}`);
  console.log('   t    above: precision  recall    below: pure  share of pixels');
  for (const t of [0.02, 0.04, 0.06, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8]) {
    const level = Math.floor(t * 255) + 1;
    const hit = sum(foreground, level);
    const above = hit + sum(background, level);
    const below = all - above;
    const pure = sum(background, 0, level) / below;
    const percent = (value) => `${(100 * value).toFixed(1)}%`.padStart(6);
    console.log(
      `  ${t.toFixed(2)}           ${percent(hit / above)}  ${percent(hit / sum(foreground, 0))}         ${percent(pure)}  ${percent(below / all)}`,
    );
  }
}
