const BINS = 256;

const { round } = Math;

/** Otsu's threshold of values in 0..1 over 256 bins: the level that best separates two groups; 0 for no or equal values. */
export function otsuThreshold(values: ArrayLike<number>): number {
  const histogram = new Float64Array(BINS);
  for (let i = 0; i < values.length; i++) {
    const bin = round(values[i] * (BINS - 1));
    histogram[bin < 0 ? 0 : bin >= BINS ? BINS - 1 : bin]++;
  }
  let total = 0;
  for (let b = 0; b < BINS; b++) total += b * histogram[b];
  let below = 0;
  let belowSum = 0;
  let best = 0;
  // Equally good levels (an empty stretch between the groups) are averaged.
  let levelSum = 0;
  let levels = 0;
  for (let b = 0; b < BINS - 1; b++) {
    below += histogram[b];
    belowSum += b * histogram[b];
    const above = values.length - below;
    if (below === 0 || above === 0) continue;
    const gap = belowSum / below - (total - belowSum) / above;
    const between = below * above * gap * gap;
    if (between > best * (1 + 1e-12)) {
      best = between;
      levelSum = b;
      levels = 1;
    } else if (between > best * (1 - 1e-12)) {
      levelSum += b;
      levels++;
    }
  }
  return levels === 0 ? 0 : levelSum / levels / (BINS - 1);
}
