import type { SuperpixelGraph } from './superpixel-graph.js';

/**
 * Lengths of the shortest paths between all superpixels [count,count]; Infinity where there is none.
 *
 * Edges join touching superpixels, and all superpixels of the image border with one another; their length is the Lab distance less
 * `clip`, at least 0 (Zhu et al. CVPR 2014, equation 2; clip 0 unless stated, see the saliency facts). Dijkstra from each node;
 * paths longer than `limit` are reported as Infinity.
 */
export function geodesicDistances(
  graph: SuperpixelGraph,
  clip = 0,
  limit = Number.POSITIVE_INFINITY,
): Float32Array {
  const { count, adjacent, border, colourDistance } = graph;
  const start = new Int32Array(count + 1);
  const edgeTo: number[] = [];
  const edgeLength: number[] = [];
  for (let k = 0; k < count; k++) {
    for (let j = 0; j < count; j++) {
      if (j === k || !(adjacent[k * count + j] || (border[k] && border[j]))) continue;
      edgeTo.push(j);
      edgeLength.push(Math.max(0, colourDistance[k * count + j] - clip));
    }
    start[k + 1] = edgeTo.length;
  }
  const to = Int32Array.from(edgeTo);
  const length = Float64Array.from(edgeLength);
  const result = new Float32Array(count * count).fill(Number.POSITIVE_INFINITY);
  const distance = new Float64Array(count);
  const heap = new Int32Array(count);
  // Place in the heap; -1 = not yet seen, -2 = done.
  const place = new Int32Array(count);
  for (let source = 0; source < count; source++) {
    distance.fill(Number.POSITIVE_INFINITY);
    place.fill(-1);
    distance[source] = 0;
    heap[0] = source;
    place[source] = 0;
    let size = 1;
    while (size > 0) {
      const node = heap[0];
      const far = distance[node];
      if (far > limit) break;
      place[node] = -2;
      result[source * count + node] = far;
      const last = heap[--size];
      if (size > 0) {
        let at = 0;
        const key = distance[last];
        for (;;) {
          let child = 2 * at + 1;
          if (child >= size) break;
          if (child + 1 < size && distance[heap[child + 1]] < distance[heap[child]]) child++;
          if (distance[heap[child]] >= key) break;
          heap[at] = heap[child];
          place[heap[at]] = at;
          at = child;
        }
        heap[at] = last;
        place[last] = at;
      }
      for (let e = start[node]; e < start[node + 1]; e++) {
        const other = to[e];
        const candidate = far + length[e];
        if (candidate >= distance[other] || place[other] === -2) continue;
        distance[other] = candidate;
        let at = place[other] === -1 ? size++ : place[other];
        while (at > 0) {
          const parent = (at - 1) >> 1;
          if (distance[heap[parent]] <= candidate) break;
          heap[at] = heap[parent];
          place[heap[at]] = at;
          at = parent;
        }
        heap[at] = other;
        place[other] = at;
      }
    }
  }
  return result;
}
