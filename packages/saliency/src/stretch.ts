/** Stretches a plane to 0..1 in place; a plane whose range is not above `minRange` becomes 0, so that noise is not blown up. */
export function stretch(plane: Float32Array, minRange = 0): Float32Array {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < plane.length; i++) {
    const value = plane[i];
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const range = high - low;
  if (!(range > minRange)) return plane.fill(0);
  const scale = 1 / range;
  for (let i = 0; i < plane.length; i++) {
    const value = (plane[i] - low) * scale;
    plane[i] = value < 1 ? value : 1;
  }
  return plane;
}
