import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { rleFromBox, rleFromPolygons } from './coco-polygons.js';
import { type CocoRle, encodeRle, mergeRle, rleArea, rleToString } from './coco-rle.js';

/**
 * 12,000 shapes against pycocotools. Both sides draw them from one integer generator; the fixture holds a hash of each answer.
 * tools/reference/formats/make_coco_shape_hashes.py is the other side, and says what the kinds are.
 */
const fixture = JSON.parse(readFileSync(new URL('./fixtures/coco-shapes.json', import.meta.url), 'utf8')) as {
  count: number;
  seed: number;
  hashes: string;
};

test(`${fixture.count} random and degenerate shapes, their unions and intersections are equal to pycocotools' bit for bit`, () => {
  let state = fixture.seed >>> 0;
  const below = (n: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) % n;
  };
  const between = (low: number, high: number) => low + below(high - low + 1);
  const many = (n: number, draw: () => number[]) => Array.from({ length: n }, draw).flat();

  const points = (width: number, height: number): number[] => {
    const span = 100 * Math.max(width, height);
    const n = between(1, 12);
    const kind = below(10);
    const inside = () => below(span + 1);
    switch (kind) {
      case 0:
        return many(2 * n, () => [between(-span / 2, (3 * span) / 2)]);
      case 1:
        return many(2 * n, () => [100 * between(-2, span / 100 + 2)]);
      case 2:
        return many(2 * n, () => [10 * between(-10, span / 10 + 10)]);
      case 3:
        return many(n, () => {
          const corner = [inside(), inside()];
          return [...corner, ...corner];
        });
      case 4: {
        const corner = [inside(), inside()];
        return many(n, () => corner);
      }
      case 5: {
        const a = [inside(), inside()];
        const b = [inside(), inside()];
        return [...a, ...b, ...a];
      }
      case 6: {
        const y = inside();
        return many(n, () => [inside(), y]);
      }
      case 7:
        return many(2 * n, () => {
          const far = between(2 * span, 3 * span);
          return [below(2) ? far : -far];
        });
      case 8: {
        const d = between(-1, 1) * 50;
        const [w, h] = [100 * width + d, 100 * height + d];
        return [d, d, w, d, w, h, d, h];
      }
      default: {
        const [cx, cy, r] = [inside(), inside(), between(span / 20 + 1, span)];
        const quarter = [4, 3, 2, 0, -2, -3, -4, -3, -2, 0, 2, 3];
        return quarter.flatMap((sx, i) => {
          const sy = [0, 2, 3, 4, 3, 2, 0, -2, -3, -4, -3, -2][i];
          const reach = between(Math.floor(r / 2), r);
          return [cx + Math.floor((sx * reach) / 4), cy + Math.floor((sy * reach) / 4)];
        });
      }
    }
  };
  const pixels = (count: number): Uint8Array => {
    const kind = below(5);
    if (kind < 2) return new Uint8Array(count).fill(kind);
    const threshold = [2, 50, 98][kind - 2];
    return Uint8Array.from({ length: count }, () => (below(100) < threshold ? 1 : 0));
  };

  const hashes = Buffer.from(fixture.hashes, 'base64');
  let at = 0;
  const differing: string[] = [];
  const compare = (shape: number, what: string, rle: CocoRle) => {
    const digest = createHash('sha256')
      .update(`${rleToString(rle)} ${rleArea(rle)}`)
      .digest();
    if (!digest.subarray(0, 4).equals(hashes.subarray(at, at + 4))) differing.push(`${shape} ${what}`);
    at += 4;
  };

  let before: CocoRle | null = null;
  for (let shape = 0; shape < fixture.count; shape++) {
    let { width, height }: { width: number; height: number } = before ?? { width: 0, height: 0 };
    if (before === null || below(3) > 0) {
      const limit = below(20) === 0 ? 400 : 40;
      width = between(1, limit);
      height = between(1, limit);
    }
    const size = { width, height };
    const kind = below(10);
    let rle: CocoRle;
    if (kind < 6) {
      const polygons = Array.from({ length: below(3) ? 1 : between(2, 4) }, () =>
        points(width, height).map((v) => v / 100),
      );
      rle = rleFromPolygons(polygons, size);
    } else if (kind === 6) {
      rle = rleFromBox(
        many(4, () => [between(-1000, 100 * Math.max(width, height)) / 100]),
        size,
      );
    } else {
      const count = width * height;
      rle = encodeRle({ ...size, data: count <= 4000 ? pixels(count) : new Uint8Array(count).fill(1) });
    }
    compare(shape, `${width}x${height} kind ${kind}`, rle);
    if (before !== null && before.width === width && before.height === height) {
      compare(shape, 'union', mergeRle([before, rle]));
      compare(shape, 'intersection', mergeRle([before, rle], 'intersection'));
    }
    before = rle;
  }
  expect(at).toBe(hashes.length);
  expect(differing).toEqual([]);
});
