/**
 * Memory that opening a COCO annotation file takes: writes a file of the size asked for, of the make of instances_train2014.json (82,783 images, 80
 * categories, polygons, every 100th region a crowd), opens it in a fresh process and prints that process's peak memory.
 *
 * node bench/data/coco-memory.mjs [--megabytes 500] [--file KEEP.json]
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values: o, positionals } = parseArgs({
  allowPositionals: true,
  options: { megabytes: { type: 'string', default: '500' }, file: { type: 'string' } },
});
const IMAGES = 82783;

if (positionals[0] === 'open') {
  const { openCocoDataset } = await import('@auxseg/datasets');
  const began = performance.now();
  const dataset = await openCocoDataset({
    annotations: positionals[1],
    images: positionals[2],
    include: 'all',
    // The photographs are not there: only the annotations are of interest.
    skipMissing: () => {},
  }).catch((error) => error);
  // Without images the list is empty in the end, which is said after everything was read.
  if (!(dataset instanceof Error && /empty|found none/i.test(dataset.message)) && !dataset.ids) throw dataset;
  const { maxRSS, userCPUTime } = process.resourceUsage();
  console.log(
    JSON.stringify({
      peakMegabytes: Math.round(maxRSS / 1024),
      seconds: +((performance.now() - began) / 1000).toFixed(1),
      cpuSeconds: +(userCPUTime / 1e6).toFixed(1),
      images: dataset.ids?.length,
      classes: dataset.classes?.length,
    }),
  );
} else {
  const folder = mkdtempSync(join(tmpdir(), 'auxseg-coco-memory-'));
  const file = o.file ?? join(folder, 'instances.json');
  try {
    if (!existsSync(file)) await write(file, Number(o.megabytes) * 1e6);
    mkdirSync(join(folder, 'images'), { recursive: true });
    // Empty files with the right names, so that every image is listed.
    const { writeFileSync } = await import('node:fs');
    for (let i = 0; i < IMAGES; i++) writeFileSync(join(folder, 'images', imageName(i)), '');
    console.log(`${(statSync(file).size / 1e6).toFixed(0)} MB of JSON, ${IMAGES} images`);
    const script = fileURLToPath(import.meta.url);
    spawnSync(process.execPath, [script, 'open', file, join(folder, 'images')], { stdio: 'inherit' });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function imageName(i) {
  return `COCO_train2014_${String(7 * i + 9).padStart(12, '0')}.jpg`;
}

async function write(path, bytes) {
  const stream = createWriteStream(path);
  let written = 0;
  const put = async (text) => {
    written += text.length;
    if (!stream.write(text)) await once(stream, 'drain');
  };
  const images = Array.from({ length: IMAGES }, (_, i) =>
    JSON.stringify({ id: 7 * i + 9, width: 640, height: 480, file_name: imageName(i) }),
  );
  await put(`{"info":{"year":2014},"images":[${images.join(',')}],"annotations":[`);
  let state = 1;
  const random = (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) % n;
  };
  for (let i = 0; written < bytes; i++) {
    const corners = Array.from({ length: 2 * (8 + random(60)) }, () => random(48000) / 100);
    await put(
      `${i ? ',' : ''}${JSON.stringify({
        id: i + 1,
        image_id: 7 * random(IMAGES) + 9,
        category_id: 1 + random(80),
        iscrowd: i % 100 === 0 ? 1 : 0,
        area: random(100000) / 10,
        bbox: [1, 2, 3, 4],
        segmentation: i % 100 === 0 ? { size: [480, 640], counts: [10, 20, 307170] } : [corners],
      })}`,
    );
  }
  const categories = Array.from({ length: 80 }, (_, k) => ({ id: k + 1, name: `class ${k + 1}` }));
  await put(`],"categories":${JSON.stringify(categories)}}`);
  stream.end();
  await once(stream, 'finish');
}
