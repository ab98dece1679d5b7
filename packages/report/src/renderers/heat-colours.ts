/**
 * Anchor colours from black over violet and orange to pale yellow, equally spaced over 0..1.
 *
 * Lightness rises evenly, so that the order of values survives in grey and for colour-blind eyes. Our own choice of eight
 * anchors in the manner of matplotlib's inferno.
 */
const ANCHORS: readonly (readonly [number, number, number])[] = [
  [2, 2, 12],
  [38, 12, 80],
  [96, 20, 110],
  [155, 40, 100],
  [210, 70, 66],
  [245, 125, 21],
  [250, 193, 39],
  [252, 254, 164],
];

/** Writes the heat colour of a score (clamped to 0..1, NaN as 0) into `into` at `at`. */
export function writeHeatColour(score: number, into: Uint8Array, at: number): void {
  const clamped = score > 0 ? Math.min(1, score) : 0;
  const position = clamped * (ANCHORS.length - 1);
  const low = Math.min(ANCHORS.length - 2, Math.floor(position));
  const weight = position - low;
  for (let channel = 0; channel < 3; channel++) {
    const from = ANCHORS[low][channel];
    into[at + channel] = Math.round(from + weight * (ANCHORS[low + 1][channel] - from));
  }
}
