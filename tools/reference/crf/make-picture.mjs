/**
 * Makes packages/crf/docs/before-after.png: a synthetic scene, a coarse segmentation of it, and what the CRF makes of that.
 * `node tools/reference/crf/make-picture.mjs` after a build.
 */
import { writeFileSync } from 'node:fs';
import { createDenseCrf, presets } from '@auxseg/crf';
import { writeRgbPng } from '@auxseg/formats';
import { createRandom, smoothField } from '../../../bench/crf/scene.mjs';

const width = 240;
const height = 180;
const labels = 3;
const pixels = width * height;
const random = createRandom(21);
const texture = [40, 14, 5].map((cell) => smoothField(width, height, cell, random));
const wobble = smoothField(width, height, 50, random);

/** 0 meadow, 1 balloon, 2 hill. */
const truth = new Uint8Array(pixels);
const image = new Uint8Array(pixels * 3);
for (let i = 0; i < pixels; i++) {
  const x = i % width;
  const y = Math.floor(i / width);
  const ring = Math.hypot((x - 78) / 46, (y - 72) / 54) + 0.03 * wobble[i];
  const basket = Math.abs(x - 78) < 9 && y > 128 && y < 146;
  const rope = Math.abs(Math.abs(x - 78) - (146 - y) * 0.55) < 1.6 && y > 112 && y <= 130;
  const hill = y > 150 - 70 * Math.exp(-(((x - 190) / 48) ** 2)) + 9 * wobble[i];
  truth[i] = ring < 1 || basket || rope ? 1 : hill ? 2 : 0;
  const stripe = Math.floor((Math.atan2((x - 78) / 46, 1.6 - (y - 72) / 54) + 2) * 7) % 2;
  const sky = [128 + y * 0.45, 172 + y * 0.22, 214];
  const balloon = stripe ? [196, 62, 48] : [226, 178, 66];
  const ground = [74, 112 - (y - 90) * 0.2, 60];
  const base = truth[i] === 1 ? (basket ? [120, 84, 50] : balloon) : truth[i] === 2 ? ground : sky;
  const light = truth[i] === 1 && ring < 1 ? 1.1 - 0.35 * Math.max(0, (x - 60) / 64) : 1;
  const grain = 10 * texture[0][i] + 8 * texture[1][i] + (truth[i] === 2 ? 16 : 5) * texture[2][i];
  for (let c = 0; c < 3; c++) {
    image[i * 3 + c] = Math.max(0, Math.min(255, base[c] * light + grain + (random() - 0.5) * 9));
  }
}

// What a network at output stride 30 would say: block means of the truth, interpolated, with smooth mistakes.
const stride = 30;
const gw = Math.ceil(width / stride);
const gh = Math.ceil(height / stride);
const probabilities = new Float32Array(labels * pixels);
for (let label = 0; label < labels; label++) {
  const grid = new Float32Array(gw * gh);
  for (let i = 0; i < pixels; i++) {
    const cell = Math.floor(Math.floor(i / width) / stride) * gw + Math.floor((i % width) / stride);
    grid[cell] += (truth[i] === label ? 1 : 0) / (stride * stride);
  }
  const mistakes = smoothField(width, height, 26, random);
  for (let i = 0; i < pixels; i++) {
    const gx = Math.max(0, Math.min(gw - 1.001, ((i % width) + 0.5) / stride - 0.5));
    const gy = Math.max(0, Math.min(gh - 1.001, (Math.floor(i / width) + 0.5) / stride - 0.5));
    const x0 = Math.floor(gx);
    const y0 = Math.floor(gy);
    const x1 = Math.min(gw - 1, x0 + 1);
    const y1 = Math.min(gh - 1, y0 + 1);
    const mix = (a, b, t) => a * (1 - t) + b * t;
    const top = mix(grid[y0 * gw + x0], grid[y0 * gw + x1], gx - x0);
    const bottom = mix(grid[y1 * gw + x0], grid[y1 * gw + x1], gx - x0);
    probabilities[label * pixels + i] = Math.exp(3 * mix(top, bottom, gy - y0) + 0.8 * mistakes[i]);
  }
}
for (let i = 0; i < pixels; i++) {
  let sum = 0;
  for (let l = 0; l < labels; l++) sum += probabilities[l * pixels + i];
  for (let l = 0; l < labels; l++) probabilities[l * pixels + i] /= sum;
}

const crf = await createDenseCrf();
const options = { ...presets.psa, width, height, labels, probabilities, image };
const before = crf.inferMap({ ...options, iterations: 0 });
const after = crf.inferMap(options);
crf.dispose();
const wrong = (map) => ((100 * map.filter((value, i) => value !== truth[i]).length) / pixels).toFixed(1);
console.log(`wrong pixels: ${wrong(before)} % before, ${wrong(after)} % after`);

const gap = 6;
const panels = [null, before, after];
const full = panels.length * width + (panels.length - 1) * gap;
const data = new Uint8Array(full * height * 3).fill(255);
const colours = [null, [235, 40, 90], [40, 90, 235]];
panels.forEach((map, index) => {
  for (let i = 0; i < pixels; i++) {
    const to = (Math.floor(i / width) * full + index * (width + gap) + (i % width)) * 3;
    const colour = map && colours[map[i]];
    const right = map && i % width < width - 1 && map[i] !== map[i + 1];
    const below = map && i + width < pixels && map[i] !== map[i + width];
    for (let c = 0; c < 3; c++) {
      const value = image[i * 3 + c];
      data[to + c] = right || below ? 255 : colour ? 0.5 * value + 0.5 * colour[c] : value;
    }
  }
});
writeFileSync(
  new URL('../../../packages/crf/docs/before-after.png', import.meta.url),
  writeRgbPng({ width: full, height, data }),
);
