import { type ConvGeometry, tapsOf } from './conv-geometry.js';

/** Values per tile in the transformed domain, 4 x 4. */
export const PLANES = 16;

/** Pixels of one axis that lie `dilation` apart form an image of their own; its tiles are two output pixels long. */
interface AxisPhase {
  readonly phase: number;
  readonly tiles: number;
}

/** A row of tiles: two output rows, `dilation` apart, and the four input rows that they read. */
export interface TileRow {
  readonly image: number;
  /** First output row. */
  readonly y: number;
}

/** A run of tiles along a row: the pixels of one column phase. */
export interface TileRun extends AxisPhase {
  /** Tiles of the row before these. */
  readonly first: number;
}

/** The tiles of F(2x2, 3x3) that cover a convolution's result, row by row. */
export interface WinogradTiling {
  readonly tileRows: readonly TileRow[];
  readonly runs: readonly TileRun[];
  readonly tilesPerRow: number;
  /** Pixels of an input row with padding on both sides, from the first that any tile reads. */
  readonly inWidth: number;
  /** Pixels of an output row, from the first on, that the tiles cover. */
  readonly outWidth: number;
}

/** Fewer channels than these keep neither the transforms nor the products busy. */
const MIN_CHANNELS = 32;
/** What moving one number through a transform costs, in multiplications of a matrix product: measured, one thread. */
const TRANSFORM_COST = 16;
/** How much less than the direct way it must promise. */
const MARGIN = 0.9;
/** Transformed filters larger than this, in floats, stay with the direct way, as the workspace keeps what it has grown to. */
const MAX_FILTER_FLOATS = 48 * 2 ** 20;

/** The tiling of a convolution that F(2x2, 3x3) computes faster than the direct way does, else null. */
export function planWinograd(g: ConvGeometry): WinogradTiling | null {
  const { inChannels, outChannels } = g;
  if (g.kernelHeight !== 3 || g.kernelWidth !== 3 || g.strides[0] !== 1 || g.strides[1] !== 1) return null;
  if (inChannels % 4 !== 0 || outChannels % 4 !== 0) return null;
  if (Math.min(inChannels, outChannels) < MIN_CHANNELS) return null;
  const pairs = inChannels * outChannels;
  if (PLANES * pairs > MAX_FILTER_FLOATS) return null;
  const rows = axisPhases(g.outHeight, g.dilations[0]);
  const columns = axisPhases(g.outWidth, g.dilations[1]);
  const count = (phases: readonly AxisPhase[]) => phases.reduce((sum, { tiles }) => sum + tiles, 0);
  const tiles = g.batch * count(rows) * count(columns);
  const direct = pairs * tapsOf(g).reduce((sum, { positions }) => sum + positions, 0);
  const moved = tiles * (inChannels + outChannels) + pairs;
  if (PLANES * (tiles * pairs + TRANSFORM_COST * moved) > MARGIN * direct) return null;
  return tilingOf(g);
}

/** The tiles of a 3x3 convolution of stride 1, whether or not they pay. */
export function tilingOf(g: ConvGeometry): WinogradTiling {
  const [dilationH, dilationW] = g.dilations;
  const tileRows: TileRow[] = [];
  for (let image = 0; image < g.batch; image++) {
    for (const { phase, tiles } of axisPhases(g.outHeight, dilationH)) {
      for (let k = 0; k < tiles; k++) tileRows.push({ image, y: phase + 2 * k * dilationH });
    }
  }
  const runs: TileRun[] = [];
  let tilesPerRow = 0;
  for (const { phase, tiles } of axisPhases(g.outWidth, dilationW)) {
    runs.push({ phase, tiles, first: tilesPerRow });
    tilesPerRow += tiles;
  }
  const width = (reach: number): number =>
    1 + Math.max(...runs.map(({ phase, tiles }) => phase + dilationW * (2 * (tiles - 1) + reach)));
  return { tileRows, runs, tilesPerRow, inWidth: width(3), outWidth: width(1) };
}

function axisPhases(outSize: number, dilation: number): AxisPhase[] {
  return Array.from({ length: Math.min(dilation, outSize) }, (_, phase) => ({
    phase,
    tiles: Math.ceil((outSize - phase) / (2 * dilation)),
  }));
}
