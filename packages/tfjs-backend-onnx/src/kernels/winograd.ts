import type { OnnxBackend } from '../onnx-backend.js';
import { simdWorkspace } from '../simd-workspace.js';
import type { ConvGeometry } from './conv-geometry.js';
import { matMulInto } from './mat-mul.js';
import { PLANES, type TileRow, type WinogradTiling } from './winograd-tiling.js';
import {
  addFilterGradient,
  gradientTransform,
  inputFloats,
  inputTransform,
  outputTransform,
  transformFilter,
  type WinogradEpilogue,
} from './winograd-transforms.js';

// Winograd's F(2x2, 3x3), of Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016. The 4 x 4 pixels that a tile of
// 2 x 2 results reads, and the filter, go to a domain where the convolution is 16 products, 4 for each result instead of 9; over all tiles
// and channels they are 16 matrix products. The transforms only add and halve, so that results round about as direct sums do; the larger
// F(4x4, 3x3) would save more and lose a digit. A dilated filter sees interleaved images, each of which is tiled by itself.

/** Floats of transformed tiles, of both sides of a product, that are worked on at a time: they stay in the cache. */
const CHUNK_FLOATS = 2 * 2 ** 20;
/** With fewer tiles at a time, a product packs its filter more often than that saves in the cache. */
const MIN_CHUNK_TILES = 512;
/** Floats of each of a filter's nine taps that are transformed at a time. */
const FILTER_FLOATS = 1024;
/**
 * Writes the convolution of `x` [N,H,W,C] with `filter` [3,3,C,K] into `y` [N,h,w,K]; `flipped`, with the filter [3,3,K,C]
 * turned by half a turn and transposed, as an input gradient needs it.
 */
export function winogradForward(
  backend: OnnxBackend,
  x: Float32Array,
  filter: Float32Array,
  y: Float32Array,
  g: ConvGeometry,
  tiling: WinogradTiling,
  { activation, bias }: WinogradEpilogue,
  flipped = false,
): void {
  const { inChannels, outChannels } = g;
  const chunk = rowsPerChunk(tiling, CHUNK_FLOATS / (PLANES * (inChannels + outChannels)));
  const tiles = chunk * tiling.tilesPerRow;
  const piece = Math.min(FILTER_FLOATS, inChannels * outChannels);
  const { kernels, floats, offsets } = simdWorkspace(
    PLANES * inChannels * outChannels,
    PLANES * tiles * inChannels,
    PLANES * tiles * outChannels,
    inputFloats(tiling, inChannels),
    (8 * tiling.tilesPerRow + 2 * tiling.outWidth + 1) * outChannels,
    21 * piece,
  );
  const workspace = { kernels, floats };
  const [transformedFilter, inputs, results, inputArea, outputArea, filterArea] = offsets;
  transformFilter(workspace, filter, inChannels * outChannels, flipped, piece, filterArea, transformedFilter);
  const b = {
    values: floats.subarray(transformedFilter, transformedFilter + PLANES * inChannels * outChannels),
    dims: flipped ? [PLANES, outChannels, inChannels] : [PLANES, inChannels, outChannels],
    transpose: flipped,
  };
  const transformRow = inputTransform(workspace, x, g, tiling, inputArea);
  const writeRow = outputTransform(workspace, y, g, tiling, { activation, bias }, outputArea);
  forEachChunk(tiling, chunk, (tileRows) => {
    const count = tileRows.length * tiling.tilesPerRow;
    tileRows.forEach((row, i) => {
      transformRow(row, inputs + i * tiling.tilesPerRow * inChannels, count * inChannels);
    });
    matMulInto(
      backend,
      {
        values: floats.subarray(inputs, inputs + PLANES * count * inChannels),
        dims: [PLANES, count, inChannels],
      },
      b,
      {
        values: floats.subarray(results, results + PLANES * count * outChannels),
        dims: [PLANES, count, outChannels],
      },
    );
    tileRows.forEach((row, i) => {
      writeRow(row, results + i * tiling.tilesPerRow * outChannels, count * outChannels);
    });
  });
}

/** Writes the gradient of a convolution with respect to its filter into `dw` [3,3,C,K], from `x` [N,H,W,C] and `dy` [N,h,w,K]. */
export function winogradGradFilter(
  backend: OnnxBackend,
  x: Float32Array,
  dy: Float32Array,
  dw: Float32Array,
  g: ConvGeometry,
  tiling: WinogradTiling,
): void {
  const { inChannels, outChannels } = g;
  const pairs = inChannels * outChannels;
  // Each chunk's gradient goes through its transform, which should be a small part of the work.
  const chunkFloats = Math.max(CHUNK_FLOATS, 4 * PLANES * pairs);
  const chunk = rowsPerChunk(tiling, chunkFloats / (PLANES * (inChannels + outChannels)));
  const tiles = chunk * tiling.tilesPerRow;
  const piece = Math.min(FILTER_FLOATS, pairs);
  const { kernels, floats, offsets } = simdWorkspace(
    PLANES * pairs,
    PLANES * tiles * inChannels,
    PLANES * tiles * outChannels,
    inputFloats(tiling, inChannels),
    6 * tiling.outWidth * outChannels,
    22 * piece,
  );
  const workspace = { kernels, floats };
  const [gradient, inputs, grads, inputArea, gradArea, filterArea] = offsets;
  const transformRow = inputTransform(workspace, x, g, tiling, inputArea);
  const transformGradRow = gradientTransform(workspace, dy, g, tiling, gradArea);
  forEachChunk(tiling, chunk, (tileRows, first) => {
    const count = tileRows.length * tiling.tilesPerRow;
    tileRows.forEach((row, i) => {
      const tile = i * tiling.tilesPerRow;
      transformRow(row, inputs + tile * inChannels, count * inChannels);
      transformGradRow(row, grads + tile * outChannels, count * outChannels);
    });
    matMulInto(
      backend,
      {
        values: floats.subarray(inputs, inputs + PLANES * count * inChannels),
        dims: [PLANES, count, inChannels],
        transpose: true,
      },
      {
        values: floats.subarray(grads, grads + PLANES * count * outChannels),
        dims: [PLANES, count, outChannels],
      },
      {
        values: floats.subarray(gradient, gradient + PLANES * pairs),
        dims: [PLANES, inChannels, outChannels],
      },
    );
    addFilterGradient(workspace, gradient, dw, pairs, first, piece, filterArea);
  });
}

/** Rows of tiles in each of as many equal chunks as hold about `tiles` tiles. */
function rowsPerChunk({ tileRows, tilesPerRow }: WinogradTiling, tiles: number): number {
  const rows = Math.max(1, Math.floor(Math.max(tiles, MIN_CHUNK_TILES) / tilesPerRow));
  return Math.ceil(tileRows.length / Math.ceil(tileRows.length / rows));
}

function forEachChunk(
  { tileRows }: WinogradTiling,
  size: number,
  run: (tileRows: readonly TileRow[], first: boolean) => void,
): void {
  for (let i = 0; i < tileRows.length; i += size) run(tileRows.slice(i, i + size), i === 0);
}
