import { createRandom, type Random } from './random.js';
import type { SyntheticSceneOptions } from './types.js';

/** The patterns of the synthetic classes, in class order. */
export const SYNTHETIC_CLASSES = ['stripes', 'checks', 'rings', 'cross', 'halves', 'dots'] as const;

/** One drawn image with everything that is known about it. */
export interface SyntheticScene {
  readonly width: number;
  readonly height: number;
  readonly image: Uint8Array; // [H,W,3]
  readonly truth: Uint8Array; // [H,W], 0, 1..K, 255
  readonly saliency: Uint8Array; // [H,W], 0..255
  readonly parts: Uint8Array; // [H,W], 1 where a discriminative part is visible
  readonly labels: Uint8Array; // [K]
}

type Color = readonly [number, number, number];
type Inside = (x: number, y: number) => boolean;

interface Surface {
  readonly color: Color;
  readonly grain: number; // amplitude of the per-pixel texture, grey levels
  readonly shade: readonly [number, number]; // grey levels a pixel along x and y
}

interface Blob {
  readonly x: number;
  readonly y: number;
  readonly reach: number; // radius of a circle around the whole shape
  readonly inside: Inside;
}

// Bodies, distractors and backgrounds all draw from this one palette: no colour belongs to a class.
const PALETTE: readonly Color[] = [
  [155, 118, 91],
  [116, 124, 90],
  [97, 119, 138],
  [159, 147, 130],
  [126, 102, 124],
  [98, 100, 102],
  [144, 141, 115],
  [115, 144, 137],
  [149, 107, 107],
  [141, 141, 147],
];
// The light tone of a part: each class has a preferred one. `colorCue` says how often it is kept; decoys without a pattern wear
// them too, so a classifier may start from colour but cannot end there.
const ACCENTS: readonly Color[] = [
  [255, 222, 10],
  [40, 120, 255],
  [255, 70, 170],
  [60, 235, 90],
  [255, 120, 20],
  [165, 85, 255],
];
const DARK: readonly Color[] = [
  [24, 24, 30],
  [96, 20, 24],
  [16, 48, 96],
  [20, 70, 40],
];

const PATTERNS: readonly Inside[] = [
  (_, y) => (Math.floor(y * 2.4 + 100.5) & 1) === 0,
  (x, y) => ((Math.floor(x * 1.9 + 100) + Math.floor(y * 1.9 + 100)) & 1) === 0,
  (x, y) => (Math.floor(Math.sqrt(x * x + y * y) * 2.7) & 1) === 0,
  (x, y) => Math.abs(x) < 0.27 || Math.abs(y) < 0.27,
  (x) => x > 0,
  (x, y) => {
    const u = x / 0.68 - Math.floor(x / 0.68 + 0.5);
    const v = y / 0.68 - Math.floor(y / 0.68 + 0.5);
    return u * u + v * v < 0.11;
  },
];

/** A direction uniform on the circle, without sine and cosine (whose last bits differ between machines). */
function direction(random: Random): [number, number] {
  for (;;) {
    const x = random.uniform(-1, 1);
    const y = random.uniform(-1, 1);
    const n = x * x + y * y;
    if (n > 0.01 && n <= 1) {
      const r = Math.sqrt(n);
      return [x / r, y / r];
    }
  }
}

function ellipse(cx: number, cy: number, [ux, uy]: readonly [number, number], a: number, b: number): Inside {
  return (x, y) => {
    const p = ((x - cx) * ux + (y - cy) * uy) / a;
    const q = ((y - cy) * ux - (x - cx) * uy) / b;
    return p * p + q * q <= 1;
  };
}

function capsule(x0: number, y0: number, x1: number, y1: number, r: number): Inside {
  const dx = x1 - x0;
  const dy = y1 - y0;
  const n = dx * dx + dy * dy || 1;
  return (x, y) => {
    let t = ((x - x0) * dx + (y - y0) * dy) / n;
    t = t < 0 ? 0 : t > 1 ? 1 : t;
    const ex = x - x0 - t * dx;
    const ey = y - y0 - t * dy;
    return ex * ex + ey * ey <= r * r;
  };
}

function box(cx: number, cy: number, [ux, uy]: readonly [number, number], a: number, b: number): Inside {
  return (x, y) =>
    Math.abs((x - cx) * ux + (y - cy) * uy) <= a && Math.abs((y - cy) * ux - (x - cx) * uy) <= b;
}

const clampByte = (v: number): number => (v < 0 ? 0 : v > 255 ? 255 : Math.round(v));

function pickSurface(random: Random): Surface {
  const base = PALETTE[random.integer(PALETTE.length)];
  const tint = random.uniform(-22, 22);
  const color: Color = [
    base[0] + tint + random.uniform(-14, 14),
    base[1] + tint + random.uniform(-14, 14),
    base[2] + tint + random.uniform(-14, 14),
  ];
  const grain = random.chance(0.4) ? random.uniform(8, 20) : random.uniform(1, 5);
  return { color, grain, shade: [random.uniform(-0.5, 0.5), random.uniform(-0.5, 0.5)] };
}

function pickAccent(random: Random, k: number): Color {
  const jitter = (v: number): number => Math.min(255, v + random.uniform(-18, 18));
  const [r, g, b] = ACCENTS[k];
  return [jitter(r), jitter(g), jitter(b)];
}

/** A torso with one to four limbs; the same builder makes bodies and their look-alike distractors. */
function buildBody(
  random: Random,
  x: number,
  y: number,
  size: number,
): { shapes: Inside[]; axis: [number, number]; a: number; b: number; area: number } {
  const axis = direction(random);
  const a = size;
  const b = size * random.uniform(0.55, 0.85);
  const shapes: Inside[] = [ellipse(x, y, axis, a, b)];
  let area = Math.PI * a * b;
  const limbs = 1 + random.integer(4);
  for (let i = 0; i < limbs; i++) {
    const [dx, dy] = direction(random);
    const along = random.uniform(-0.7, 0.7) * a;
    const x0 = x + axis[0] * along;
    const y0 = y + axis[1] * along;
    const length = size * random.uniform(0.75, 1.2);
    const r = size * random.uniform(0.13, 0.22);
    shapes.push(capsule(x0, y0, x0 + dx * length, y0 + dy * length, r));
    area += length * r; // about half of a limb stands out of the torso
  }
  return { shapes, axis, a, b, area };
}

/**
 * Draws image `index` of a synthetic set: objects with a plain body and a small class-specific part on a cluttered background.
 *
 * Only integer hashing and + - * / sqrt are used, whose results IEEE 754 fixes, so the bytes are the same on every machine.
 */
export function drawSyntheticScene(options: SyntheticSceneOptions, index: number): SyntheticScene {
  const { widthPx: W, heightPx: H, clutter, saliencyNoise } = options;
  const random = createRandom('auxseg-synthetic-1', options.seed, options.split, index);
  const side = Math.min(W, H);
  const rgb = new Float64Array(W * H * 3);

  drawBackground(rgb, W, H, clutter, random);

  const paint = (inside: Inside, reach: Blob, surface: Surface, visit?: (p: number) => void): void => {
    forEachPixel(W, H, reach, (x, y, p) => {
      if (!inside(x, y)) return;
      const grain = surface.grain * (random.uint32() / 2147483648 - 1);
      const light = surface.shade[0] * (x - reach.x) + surface.shade[1] * (y - reach.y) + grain;
      rgb[p * 3] = surface.color[0] + light;
      rgb[p * 3 + 1] = surface.color[1] + light;
      rgb[p * 3 + 2] = surface.color[2] + light;
      visit?.(p);
    });
  };

  // Objects are placed first (so that there is room for them) and drawn last.
  const numObjects = options.minObjects + random.integer(options.maxObjects - options.minObjects + 1);
  const shrink = numObjects > 2 ? 0.68 : numObjects > 1 ? 0.84 : 1;
  const placed: { x: number; y: number; size: number }[] = [];
  for (let i = 0; i < numObjects; i++) {
    const size = side * random.uniform(0.25, 0.33) * shrink;
    for (let attempt = 0; attempt < 40; attempt++) {
      const x = random.uniform(size * 0.9, W - size * 0.9);
      const y = random.uniform(size * 0.9, H - size * 0.9);
      const free = placed.every((o) => {
        const d = (o.size + size) * 1.25;
        return (o.x - x) * (o.x - x) + (o.y - y) * (o.y - y) >= d * d;
      });
      if (free) {
        placed.push({ x, y, size });
        break;
      }
    }
  }

  const distractors: { blob: Blob; strength: number }[] = [];
  const numDistractors = Math.round(clutter * random.uniform(1, 3.6));
  for (let i = 0; i < numDistractors; i++) {
    const x = random.uniform(0, W);
    const y = random.uniform(0, H);
    const size = side * random.uniform(0.07, 0.16);
    const kind = random.integer(3);
    let shapes: Inside[];
    if (kind === 0) shapes = [box(x, y, direction(random), size, size * random.uniform(0.4, 1))];
    else if (kind === 1) shapes = [ellipse(x, y, direction(random), size, size * random.uniform(0.5, 1))];
    else shapes = buildBody(random, x, y, size * 0.9).shapes;
    const blob: Blob = { x, y, reach: size * 2.2, inside: (px, py) => shapes.some((s) => s(px, py)) };
    paint(blob.inside, blob, pickSurface(random));
    const fooled = random.chance(0.4);
    const strength = random.uniform(0.3, 0.85);
    distractors.push({ blob, strength: fooled ? strength : 0 });
  }
  // Plain decoys in the tones of the parts, of any class, without a pattern.
  const numDecoys = Math.round(clutter * random.uniform(0, 1.4));
  for (let i = 0; i < numDecoys; i++) {
    const x = random.uniform(0, W);
    const y = random.uniform(0, H);
    const tone = pickAccent(random, random.integer(options.numClasses));
    const size = side * random.uniform(0.03, 0.075);
    const inside = ellipse(x, y, direction(random), size, size * random.uniform(0.5, 1));
    paint(inside, { x, y, reach: size + 1, inside }, { color: tone, grain: 5, shade: [0, 0] });
  }

  const truth = new Uint8Array(W * H);
  const owner = new Uint8Array(W * H);
  const parts = new Uint8Array(W * H);
  const objects: { blob: Blob; size: number }[] = [];
  placed.forEach(({ x, y, size }, i) => {
    const k = random.integer(options.numClasses);
    const { shapes, axis, a, b, area } = buildBody(random, x, y, size);
    const radius = Math.sqrt((area * random.uniform(0.16, 0.23)) / Math.PI);
    // The part is the head in two of three cases, else a patch on the torso.
    const offset = random.chance(0.67)
      ? a + radius * random.uniform(0.1, 0.5)
      : random.uniform(-0.5, 0.5) * (a - radius);
    const sign = random.chance(0.5) ? 1 : -1;
    // The head stays in the picture: its class would be unknowable otherwise.
    const margin = radius * 0.9;
    const fits = (s: number): boolean => {
      const hx = x + s * axis[0] * offset;
      const hy = y + s * axis[1] * offset;
      return hx >= margin && hy >= margin && hx <= W - margin && hy <= H - margin;
    };
    const s = fits(sign) ? sign : -sign;
    const px = Math.min(Math.max(x + s * axis[0] * offset, margin), W - margin);
    const py = Math.min(Math.max(y + s * axis[1] * offset, margin), H - margin);
    const surface = pickSurface(random);
    const neck = capsule(x, y, px, py, Math.min(radius * 0.8, b * 0.6));
    const inBody: Inside = (qx, qy) => shapes.some((f) => f(qx, qy)) || neck(qx, qy);
    const part = ellipse(px, py, [1, 0], radius, radius);
    const blob: Blob = {
      x,
      y,
      reach: size * 2.6 + radius,
      inside: (qx, qy) => inBody(qx, qy) || part(qx, qy),
    };
    const claim = (p: number): void => {
      truth[p] = k + 1;
      owner[p] = i + 1;
    };
    paint(inBody, blob, surface, (p) => {
      claim(p);
      parts[p] = 0;
    });
    const [ux, uy] = direction(random);
    const kept = random.chance(options.colorCue);
    const other = random.integer(options.numClasses);
    const light = pickAccent(random, kept ? k : other);
    const dark = DARK[random.integer(DARK.length)];
    forEachPixel(W, H, { x: px, y: py, reach: radius + 1 }, (qx, qy, p) => {
      if (!part(qx, qy)) return;
      const lx = (qx - px) / radius;
      const ly = (qy - py) / radius;
      const tone = PATTERNS[k](lx * ux + ly * uy, ly * ux - lx * uy) ? light : dark;
      for (let c = 0; c < 3; c++) rgb[p * 3 + c] = tone[c] + 5 * (random.uint32() / 2147483648 - 1);
      claim(p);
      parts[p] = 1;
    });
    objects.push({ blob, size });
  });

  const labels = new Uint8Array(options.numClasses);
  for (let p = 0; p < truth.length; p++) if (truth[p] > 0) labels[truth[p] - 1] = 1;

  const saliency = drawSaliency({ W, H, side, objects, distractors, truth, noise: saliencyNoise, random });
  const image = develop(rgb, W, H, random);
  if (options.borderPx > 0) drawBorder(truth, owner, W, H, options.borderPx);
  return { width: W, height: H, image, truth, saliency, parts, labels };
}

function forEachPixel(
  W: number,
  H: number,
  area: { x: number; y: number; reach: number },
  visit: (x: number, y: number, p: number) => void,
): void {
  const x0 = Math.max(0, Math.floor(area.x - area.reach));
  const x1 = Math.min(W - 1, Math.ceil(area.x + area.reach));
  const y0 = Math.max(0, Math.floor(area.y - area.reach));
  const y1 = Math.min(H - 1, Math.ceil(area.y + area.reach));
  for (let y = y0; y <= y1; y++) for (let x = x0; x <= x1; x++) visit(x + 0.5, y + 0.5, y * W + x);
}

/** Two palette colours blended along a direction, low-frequency noise, large faint shapes and thin strokes. */
function drawBackground(rgb: Float64Array, W: number, H: number, clutter: number, random: Random): void {
  const from = PALETTE[random.integer(PALETTE.length)];
  const to = PALETTE[random.integer(PALETTE.length)];
  const [dx, dy] = direction(random);
  const span = Math.abs(dx) * W + Math.abs(dy) * H;
  const coarse = valueNoise(W, H, 5, random);
  const fine = valueNoise(W, H, 13, random);
  const amplitude = clutter * random.uniform(6, 20);
  const grain = random.uniform(1, 9);
  const level = random.uniform(-15, 25);
  for (let y = 0; y < H; y++) {
    for (let x = 0; x < W; x++) {
      const p = y * W + x;
      const t = Math.min(1, Math.max(0, ((x - W / 2) * dx + (y - H / 2) * dy) / span + 0.5));
      const n = level + amplitude * (coarse[p] + 0.6 * fine[p]) + grain * (random.uint32() / 2147483648 - 1);
      for (let c = 0; c < 3; c++) rgb[p * 3 + c] = from[c] * (1 - t) + to[c] * t + n;
    }
  }
  const side = Math.min(W, H);
  const numShapes = Math.round(clutter * random.uniform(1.5, 4.5));
  for (let i = 0; i < numShapes; i++) {
    const x = random.uniform(0, W);
    const y = random.uniform(0, H);
    const size = side * random.uniform(0.1, 0.35);
    const inside = random.chance(0.5)
      ? box(x, y, direction(random), size, size * random.uniform(0.15, 0.7))
      : ellipse(x, y, direction(random), size, size * random.uniform(0.3, 1));
    const tone = PALETTE[random.integer(PALETTE.length)];
    const opacity = random.uniform(0.15, 0.45);
    forEachPixel(W, H, { x, y, reach: size * 1.3 }, (qx, qy, p) => {
      if (!inside(qx, qy)) return;
      for (let c = 0; c < 3; c++) rgb[p * 3 + c] += opacity * (tone[c] - rgb[p * 3 + c]);
    });
  }
  const numStrokes = Math.round(clutter * random.uniform(1.5, 5));
  for (let i = 0; i < numStrokes; i++) {
    const x = random.uniform(0, W);
    const y = random.uniform(0, H);
    const [ux, uy] = direction(random);
    const length = side * random.uniform(0.1, 0.5);
    const inside = capsule(x, y, x + ux * length, y + uy * length, random.uniform(0.6, 1.6));
    const shift = random.uniform(-70, 70);
    forEachPixel(W, H, { x, y, reach: length + 2 }, (qx, qy, p) => {
      if (!inside(qx, qy)) return;
      for (let c = 0; c < 3; c++) rgb[p * 3 + c] += shift;
    });
  }
}

/** Bilinear noise in -1..1 on a grid of `cells` cells over the longer side. */
function valueNoise(W: number, H: number, cells: number, random: Random): Float64Array {
  const step = Math.max(W, H) / cells;
  const columns = Math.ceil(W / step) + 2;
  const rows = Math.ceil(H / step) + 2;
  const grid = new Float64Array(columns * rows);
  for (let i = 0; i < grid.length; i++) grid[i] = random.uniform(-1, 1);
  return bilinearGrid(grid, columns, W, H, step, 0);
}

/** Samples a coarse grid at every pixel; grid point (i,j) lies at pixel (i,j) * step + origin. */
function bilinearGrid(
  grid: Float64Array,
  columns: number,
  W: number,
  H: number,
  step: number,
  origin: number,
): Float64Array {
  const out = new Float64Array(W * H);
  const rows = grid.length / columns;
  for (let y = 0; y < H; y++) {
    const v = Math.min(Math.max((y + 0.5 - origin) / step, 0), rows - 1);
    const j = Math.min(Math.floor(v), rows - 2);
    const fv = v - j;
    for (let x = 0; x < W; x++) {
      const u = Math.min(Math.max((x + 0.5 - origin) / step, 0), columns - 1);
      const i = Math.min(Math.floor(u), columns - 2);
      const fu = u - i;
      const g = j * columns + i;
      const top = grid[g] * (1 - fu) + grid[g + 1] * fu;
      const bottom = grid[g + columns] * (1 - fu) + grid[g + columns + 1] * fu;
      out[y * W + x] = top * (1 - fv) + bottom * fv;
    }
  }
  return out;
}

/** Lens blur (binomial 3x3) and sensor noise, then bytes. */
function develop(rgb: Float64Array, W: number, H: number, random: Random): Uint8Array {
  const image = new Uint8Array(W * H * 3);
  const noise = random.uniform(1, 6);
  for (let y = 0; y < H; y++) {
    const up = y > 0 ? -W : 0;
    const down = y < H - 1 ? W : 0;
    for (let x = 0; x < W; x++) {
      const p = y * W + x;
      const left = x > 0 ? -1 : 0;
      const right = x < W - 1 ? 1 : 0;
      const n = noise * (random.uint32() / 2147483648 - 1);
      const upper = (p + up) * 3;
      const middle = p * 3;
      const lower = (p + down) * 3;
      for (let c = 0; c < 3; c++) {
        const l = left * 3 + c;
        const r = right * 3 + c;
        const sum =
          4 * rgb[middle + c] +
          2 * (rgb[middle + l] + rgb[middle + r] + rgb[upper + c] + rgb[lower + c]) +
          (rgb[upper + l] + rgb[upper + r] + rgb[lower + l] + rgb[lower + r]);
        image[p * 3 + c] = clampByte(sum / 16 + n);
      }
    }
  }
  return image;
}

interface SaliencyInput {
  W: number;
  H: number;
  side: number;
  objects: { blob: Blob; size: number }[];
  distractors: { blob: Blob; strength: number }[];
  truth: Uint8Array;
  noise: number;
  random: Random;
}

/**
 * Imitates a coarse detector: each object displaced, unevenly strong, sometimes with a piece missing or hardly seen at all, some
 * distractors taken for objects, all of it averaged over cells of a twelfth of the image and interpolated. Classes play no part in it.
 */
function drawSaliency({ W, H, side, objects, distractors, truth, noise, random }: SaliencyInput): Uint8Array {
  const out = new Uint8Array(W * H);
  if (noise <= 0) {
    for (let p = 0; p < out.length; p++) out[p] = truth[p] > 0 ? 255 : 0;
    return out;
  }
  const map = new Float64Array(W * H);
  for (const { blob, size } of objects) {
    const weak = random.chance(Math.min(0.5, 0.1 * noise));
    const strength = weak ? random.uniform(0.1, 0.4) : random.uniform(0.65, 1);
    const dx = noise * random.uniform(-0.06, 0.06) * side;
    const dy = noise * random.uniform(-0.06, 0.06) * side;
    const [ux, uy] = direction(random);
    const away = random.uniform(0.4, 1.1) * size;
    const bite = random.chance(Math.min(0.9, 0.35 * noise)) ? random.uniform(0.35, 0.65) * size : 0;
    const bx = blob.x + ux * away;
    const by = blob.y + uy * away;
    forEachPixel(W, H, { x: blob.x + dx, y: blob.y + dy, reach: blob.reach }, (x, y, p) => {
      if (!blob.inside(x - dx, y - dy)) return;
      const bitten = (x - dx - bx) * (x - dx - bx) + (y - dy - by) * (y - dy - by) < bite * bite;
      const v = bitten ? strength * 0.25 : strength;
      if (v > map[p]) map[p] = v;
    });
  }
  for (const { blob, strength } of distractors) {
    const v = Math.min(1, strength * noise);
    forEachPixel(W, H, blob, (x, y, p) => {
      if (v > map[p] && blob.inside(x, y)) map[p] = v;
    });
  }
  const step = Math.max(1, Math.max(W, H) / 14);
  const columns = Math.ceil(W / step) + 1;
  const rows = Math.ceil(H / step) + 1;
  const grid = new Float64Array(columns * rows);
  for (let j = 0; j < rows; j++) {
    for (let i = 0; i < columns; i++) {
      let sum = 0;
      let n = 0;
      const x1 = Math.min(W, Math.ceil((i + 1) * step));
      const y1 = Math.min(H, Math.ceil((j + 1) * step));
      for (let y = Math.floor(j * step); y < y1; y++) {
        for (let x = Math.floor(i * step); x < x1; x++) {
          sum += map[y * W + x];
          n++;
        }
      }
      grid[j * columns + i] = (n > 0 ? sum / n : 0) + noise * random.uniform(-0.1, 0.1);
    }
  }
  const smooth = bilinearGrid(grid, columns, W, H, step, step / 2);
  for (let p = 0; p < out.length; p++) {
    out[p] = clampByte(255 * (smooth[p] + noise * random.uniform(-0.025, 0.025)));
  }
  return out;
}

/** Marks as 255 every pixel within `border` pixels of another owner, on both sides, as VOC's masks do around objects. */
function drawBorder(truth: Uint8Array, owner: Uint8Array, W: number, H: number, border: number): void {
  for (let y = 0; y < H; y++) {
    for (let x = 0; x < W; x++) {
      const p = y * W + x;
      search: for (let j = Math.max(0, y - border); j <= Math.min(H - 1, y + border); j++) {
        for (let i = Math.max(0, x - border); i <= Math.min(W - 1, x + border); i++) {
          if (owner[j * W + i] !== owner[p]) {
            truth[p] = 255;
            break search;
          }
        }
      }
    }
  }
}
