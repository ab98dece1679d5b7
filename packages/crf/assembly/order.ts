// The order in which all passes visit the pixels: tiles of the image, row by row inside a tile. Pixels close in both
// directions share lattice points, so that a tile's points stay in the caches (a plain scan meets them again only a
// whole image row later). Lattice points are numbered in this order, too.
//
// A run is a stretch of pixels of one row, in whole groups of four of the linear pixel index: where the width is no
// multiple of four, runs start and end at the next group instead of at the tile's edge.

export const TILE_WIDTH: i32 = 64;
export const TILE_HEIGHT: i32 = 32;
/** Pixels that a run may have. */
export const RUN: i32 = TILE_WIDTH + 4;

let width: i32 = 0;
let height: i32 = 0;
let tileX: i32 = 0;
let tileY: i32 = 0;
let y: i32 = 0;
let start: i32 = 0;
let end: i32 = 0;

export function setImageSize(w: i32, h: i32): void {
  width = w;
  height = h;
}

/** Goes before the first run. */
export function rewind(): void {
  tileX = 0;
  tileY = 0;
  y = -1;
}

/** Goes to the next run; false at the end. Empty runs occur in images narrower than a group. */
export function nextRun(): bool {
  if (++y == min(tileY + TILE_HEIGHT, height)) {
    tileX += TILE_WIDTH;
    if (tileX >= width) {
      tileX = 0;
      tileY += TILE_HEIGHT;
      if (tileY >= height) return false;
    }
    y = tileY;
  }
  const row = y * width;
  start = (row + tileX + 3) & ~3;
  end = (row + min(tileX + TILE_WIDTH, width) + 3) & ~3;
  return true;
}

/** First pixel of the run. */
export function runStart(): i32 {
  return start;
}

/** Pixels of the run, padding included. */
export function runLength(): i32 {
  return end - start;
}
