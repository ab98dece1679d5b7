import type { Planes } from './planes.js';

/**
 * Minimum barrier distance of every pixel to the image border, summed over channels [h,w].
 *
 * The barrier of a path is the largest minus the smallest value on it; the distance is the smallest barrier over all 4-connected
 * paths to a border pixel. `passes` sweeps (raster, inverse raster, raster, ...) approximate it from above (FastMBD, Zhang et
 * al. ICCV 2015, algorithm 1). Images thinner than 3 px are all border: zeros.
 */
export function minimumBarrierDistance(feature: Planes, passes: number): Float32Array {
  const { width, height, channels } = feature;
  const pixels = width * height;
  const total = new Float32Array(pixels);
  if (width < 3 || height < 3) return total;
  const distance = new Float32Array(pixels);
  const highest = new Float32Array(pixels);
  const lowest = new Float32Array(pixels);
  for (let c = 0; c < channels; c++) {
    const value = feature.data.subarray(c * pixels, (c + 1) * pixels);
    highest.set(value);
    lowest.set(value);
    distance.fill(0);
    for (let y = 1; y < height - 1; y++) {
      distance.fill(Number.POSITIVE_INFINITY, y * width + 1, (y + 1) * width - 1);
    }
    for (let pass = 0; pass < passes; pass++) {
      if (pass % 2 === 0) sweep(value, distance, highest, lowest, width, height, 1);
      else sweep(value, distance, highest, lowest, width, height, -1);
    }
    for (let i = 0; i < pixels; i++) total[i] += distance[i];
  }
  return total;
}

/** One sweep over the inner pixels; `direction` 1 looks left and up, -1 right and down. */
function sweep(
  value: Float32Array,
  distance: Float32Array,
  highest: Float32Array,
  lowest: Float32Array,
  width: number,
  height: number,
  direction: 1 | -1,
): void {
  const firstY = direction === 1 ? 1 : height - 2;
  const firstX = direction === 1 ? 1 : width - 2;
  const back = -direction * width;
  for (let row = 0; row < height - 2; row++) {
    let i = (firstY + direction * row) * width + firstX;
    // The neighbour along the row is the pixel just done: kept in locals.
    let sideHigh = highest[i - direction];
    let sideLow = lowest[i - direction];
    for (let column = 0; column < width - 2; column++, i += direction) {
      const v = value[i];
      let best = distance[i];
      let high = highest[i];
      let low = lowest[i];
      const upHigh = highest[i + back] > v ? highest[i + back] : v;
      const upLow = lowest[i + back] < v ? lowest[i + back] : v;
      if (upHigh - upLow < best) {
        best = upHigh - upLow;
        high = upHigh;
        low = upLow;
      }
      if (sideHigh < v) sideHigh = v;
      if (sideLow > v) sideLow = v;
      if (sideHigh - sideLow < best) {
        best = sideHigh - sideLow;
        high = sideHigh;
        low = sideLow;
      }
      distance[i] = best;
      highest[i] = high;
      lowest[i] = low;
      sideHigh = high;
      sideLow = low;
    }
  }
}
