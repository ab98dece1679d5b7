/** Attributes of tfjs's ResizeNearestNeighborGrad kernel. */
export interface NearestAttrs {
  alignCorners: boolean;
  halfPixelCenters: boolean;
}

/** The input pixel that each of `out` pixels of a nearest-neighbour resize copies, as tfjs's forward pass chooses it. */
function nearestTaps(
  size: number,
  out: number,
  { alignCorners, halfPixelCenters }: NearestAttrs,
): Int32Array {
  const ratio = alignCorners && out > 1 ? (size - 1) / (out - 1) : size / out;
  return Int32Array.from({ length: out }, (_, i) => {
    const at = ratio * (halfPixelCenters ? i + 0.5 : i);
    return Math.max(0, Math.min(size - 1, alignCorners ? Math.round(at) : Math.floor(at)));
  });
}

/**
 * Gradient of resizeNearestNeighbor, added to `dx` [N,H,W,C]; `dy` is [N,OH,OW,C].
 *
 * tfjs's own kernels, of cpu too, mix up the images of a batch, and know no half-pixel centres.
 */
export function addNearestGradient(
  dx: Float32Array,
  [n, h, w, c]: readonly number[],
  dy: ArrayLike<number>,
  [, oh, ow]: readonly number[],
  attrs: NearestAttrs,
): void {
  const rows = nearestTaps(h, oh, attrs);
  const columns = nearestTaps(w, ow, attrs);
  let from = 0;
  for (let image = 0; image < n; image++)
    for (let i = 0; i < oh; i++)
      for (let j = 0; j < ow; j++) {
        const to = ((image * h + rows[i]) * w + columns[j]) * c;
        for (let a = 0; a < c; a++) dx[to + a] += dy[from++];
      }
}
