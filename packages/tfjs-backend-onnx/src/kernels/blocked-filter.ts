/**
 * Rewrites a filter [T,C,K] (taps, in, out) into onnxruntime's blocked order [K/B][C/B][T][B in][B out], zero-padded to
 * whole blocks.
 */
export function blockFilter(
  filter: Float32Array,
  shape: { taps: number; inChannels: number; outChannels: number; block: number },
  out: Float32Array,
): void {
  const { taps, inChannels, outChannels, block } = shape;
  if (inChannels % block !== 0 || outChannels % block !== 0) out.fill(0);
  let base = 0;
  for (let k0 = 0; k0 < outChannels; k0 += block) {
    const kEnd = Math.min(block, outChannels - k0);
    for (let c0 = 0; c0 < inChannels; c0 += block) {
      const cEnd = Math.min(block, inChannels - c0);
      for (let t = 0; t < taps; t++) {
        for (let c = 0; c < cEnd; c++) {
          const from = (t * inChannels + c0 + c) * outChannels + k0;
          const to = base + c * block;
          for (let k = 0; k < kEnd; k++) out[to + k] = filter[from + k];
        }
        base += block * block;
      }
    }
  }
}

/**
 * The blocked filter of the input gradient: taps reversed, input and output channels exchanged.
 *
 * Result [C/B][K/B][T][B out][B in] from [T,C,K].
 */
export function blockFlippedFilter(
  filter: Float32Array,
  shape: { taps: number; inChannels: number; outChannels: number; block: number },
  out: Float32Array,
): void {
  const { taps, inChannels, outChannels, block } = shape;
  if (inChannels % block !== 0 || outChannels % block !== 0) out.fill(0);
  let base = 0;
  for (let c0 = 0; c0 < inChannels; c0 += block) {
    const cEnd = Math.min(block, inChannels - c0);
    for (let k0 = 0; k0 < outChannels; k0 += block) {
      const kEnd = Math.min(block, outChannels - k0);
      for (let t = taps - 1; t >= 0; t--) {
        for (let c = 0; c < cEnd; c++) {
          const from = (t * inChannels + c0 + c) * outChannels + k0;
          for (let k = 0; k < kEnd; k++) out[base + k * block + c] = filter[from + k];
        }
        base += block * block;
      }
    }
  }
}
