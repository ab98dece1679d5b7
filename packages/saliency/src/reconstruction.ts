/** Size of a plane in pixels. */
interface Size {
  readonly width: number;
  readonly height: number;
}

/**
 * Erosion of a plane [h,w] by a square of `side` px; outside the image counts as larger than anything.
 *
 * An even square reaches side/2 px left and up, one less right and down.
 */
export function erodeSquare(plane: Float32Array, size: Size, side: number): Float32Array {
  const { width, height } = size;
  const rows = new Float32Array(plane.length);
  const result = new Float32Array(plane.length);
  for (let y = 0; y < height; y++) slidingMinimum(plane, rows, y * width, 1, width, side);
  for (let x = 0; x < width; x++) slidingMinimum(rows, result, x, width, height, side);
  return result;
}

const queue = { index: new Int32Array(0), value: new Float32Array(0) };

/** Minimum over a window of `side` samples around each of `count` samples, by a monotonic queue: linear time whatever the side. */
function slidingMinimum(
  source: Float32Array,
  target: Float32Array,
  start: number,
  step: number,
  count: number,
  side: number,
): void {
  if (queue.index.length < count) {
    queue.index = new Int32Array(count);
    queue.value = new Float32Array(count);
  }
  const { index, value } = queue;
  const before = side >> 1;
  const after = side - 1 - before;
  let head = 0;
  let tail = 0;
  let next = 0;
  for (let i = 0; i < count; i++) {
    const end = Math.min(count - 1, i + after);
    for (; next <= end; next++) {
      const v = source[start + next * step];
      while (tail > head && value[tail - 1] >= v) tail--;
      index[tail] = next;
      value[tail++] = v;
    }
    while (index[head] < i - before) head++;
    target[start + i * step] = value[head];
  }
}

/**
 * Greyscale reconstruction of `mask` from `marker` (marker <= mask everywhere), 8-connected, in place in `marker`.
 *
 * The result is the largest plane under `mask` that can be reached from `marker` by dilation (Vincent 1993, hybrid
 * algorithm: two sweeps, then a queue for what they left).
 */
export function reconstructByDilation(marker: Float32Array, mask: Float32Array, size: Size): Float32Array {
  const { width, height } = size;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const i = y * width + x;
      let value = marker[i];
      if (x > 0 && marker[i - 1] > value) value = marker[i - 1];
      if (y > 0) {
        const up = i - width;
        if (marker[up] > value) value = marker[up];
        if (x > 0 && marker[up - 1] > value) value = marker[up - 1];
        if (x < width - 1 && marker[up + 1] > value) value = marker[up + 1];
      }
      marker[i] = value < mask[i] ? value : mask[i];
    }
  }
  // A ring buffer that holds each pixel at most once never needs more room than there are pixels.
  const ring = new Int32Array(width * height);
  const queued = new Uint8Array(width * height);
  let head = 0;
  let waiting = 0;
  const push = (i: number) => {
    if (queued[i]) return;
    queued[i] = 1;
    let at = head + waiting;
    if (at >= ring.length) at -= ring.length;
    ring[at] = i;
    waiting++;
  };
  for (let y = height - 1; y >= 0; y--) {
    for (let x = width - 1; x >= 0; x--) {
      const i = y * width + x;
      let value = marker[i];
      if (x < width - 1 && marker[i + 1] > value) value = marker[i + 1];
      const below = y < height - 1;
      const down = i + width;
      if (below) {
        if (marker[down] > value) value = marker[down];
        if (x > 0 && marker[down - 1] > value) value = marker[down - 1];
        if (x < width - 1 && marker[down + 1] > value) value = marker[down + 1];
      }
      if (value > mask[i]) value = mask[i];
      marker[i] = value;
      const grows = (j: number) => marker[j] < value && marker[j] < mask[j];
      if (
        (x < width - 1 && grows(i + 1)) ||
        (below && (grows(down) || (x > 0 && grows(down - 1)) || (x < width - 1 && grows(down + 1))))
      ) {
        push(i);
      }
    }
  }
  while (waiting > 0) {
    const i = ring[head];
    if (++head === ring.length) head = 0;
    waiting--;
    queued[i] = 0;
    const x = i % width;
    const y = (i - x) / width;
    const value = marker[i];
    for (let dy = y > 0 ? -1 : 0; dy <= (y < height - 1 ? 1 : 0); dy++) {
      for (let dx = x > 0 ? -1 : 0; dx <= (x < width - 1 ? 1 : 0); dx++) {
        const j = i + dy * width + dx;
        if (marker[j] < value && marker[j] < mask[j]) {
          marker[j] = value < mask[j] ? value : mask[j];
          push(j);
        }
      }
    }
  }
  return marker;
}

/**
 * Opening, then closing, by reconstruction with a square of `side` px: removes bright, then dark, spots narrower than the square and
 * leaves every other edge where it is. Returns new memory; a side under 2 px changes nothing.
 */
export function openThenCloseByReconstruction(plane: Float32Array, size: Size, side: number): Float32Array {
  if (side < 2) return plane.slice();
  const opened = reconstructByDilation(erodeSquare(plane, size, side), plane, size);
  // Closing is opening upside down.
  for (let i = 0; i < opened.length; i++) opened[i] = -opened[i];
  const closed = reconstructByDilation(erodeSquare(opened, size, side), opened, size);
  for (let i = 0; i < closed.length; i++) closed[i] = -closed[i];
  return closed;
}
