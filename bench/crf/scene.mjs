/** Deterministic inputs: a textured scene, and smooth random label energies. */

/** Mulberry32: uniform numbers in [0, 1). */
export function createRandom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Random values on a coarse grid, interpolated: [height * width], about -1..1. */
export function smoothField(width, height, cell, random) {
  const gw = Math.ceil(width / cell) + 2;
  const gh = Math.ceil(height / cell) + 2;
  const grid = Float32Array.from({ length: gw * gh }, () => random() * 2 - 1);
  const out = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    const gy = y / cell;
    const y0 = Math.floor(gy);
    const fy = gy - y0;
    for (let x = 0; x < width; x++) {
      const gx = x / cell;
      const x0 = Math.floor(gx);
      const fx = gx - x0;
      const at = y0 * gw + x0;
      const top = grid[at] * (1 - fx) + grid[at + 1] * fx;
      const bottom = grid[at + gw] * (1 - fx) + grid[at + gw + 1] * fx;
      out[y * width + x] = top * (1 - fy) + bottom * fy;
    }
  }
  return out;
}

/** RGB bytes: regions with gradients, blobs and photo-like grain. */
export function texturedScene(width, height, seed) {
  const random = createRandom(seed);
  const octaves = [160, 60, 24, 9, 4];
  const weights = [70, 45, 28, 16, 10];
  const fields = [0, 1, 2].map(() => octaves.map((cell) => smoothField(width, height, cell, random)));
  const shared = octaves.map((cell) => smoothField(width, height, cell, random));
  const image = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) {
      let value = 120;
      for (let o = 0; o < octaves.length; o++)
        value += weights[o] * (0.7 * shared[o][i] + 0.5 * fields[c][o][i]);
      image[i * 3 + c] = Math.max(0, Math.min(255, value + (random() - 0.5) * 8));
    }
  }
  return image;
}

/**
 * Energies -ln p of a softmax over smooth random scores, [labels, height * width]. `sharpness` scales the scores;
 * `present`: labels that may occur (the others get p = 1e-5), all when absent.
 */
export function smoothUnary({ width, height, labels, sharpness, present, seed }) {
  const random = createRandom(seed);
  const pixels = width * height;
  const scores = Array.from({ length: labels }, () => smoothField(width, height, 40, random));
  const unary = new Float32Array(labels * pixels);
  const allowed = Array.from({ length: labels }, (_, l) => !present || present.includes(l));
  for (let i = 0; i < pixels; i++) {
    let sum = 0;
    for (let l = 0; l < labels; l++) if (allowed[l]) sum += Math.exp(sharpness * scores[l][i]);
    for (let l = 0; l < labels; l++) {
      const p = allowed[l] ? Math.exp(sharpness * scores[l][i]) / sum : 0;
      unary[l * pixels + i] = -Math.log(Math.max(p, 1e-5));
    }
  }
  return unary;
}
