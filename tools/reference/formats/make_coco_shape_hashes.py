"""12,000 random and degenerate shapes through pycocotools, kept as one 32-bit hash each.

The shapes come from a small integer generator that packages/formats/src/coco-shapes.test.ts repeats number by number, so that only the
answers need storing: the first four bytes of SHA-256 over "<run-length string> <area>" of each shape, and of its union and
intersection with the shape before where they have one size.

    pip install numpy pycocotools
    python3 tools/reference/formats/make_coco_shape_hashes.py
"""

import base64
import hashlib
import json
from pathlib import Path

import numpy as np
from pycocotools import _mask, mask

ROOT = Path(__file__).resolve().parents[3]
COUNT = 12000
SEED = 20140901

state = SEED


def below(n):
    """0 <= integer < n from a 32-bit linear congruential generator's upper bits."""
    global state
    state = (state * 1664525 + 1013904223) % 2**32
    return (state >> 8) % n


def between(low, high):
    return low + below(high - low + 1)


def points(width, height):
    """Corners in hundredths of a pixel, so that both sides divide the same integers."""
    span = 100 * max(width, height)
    n = between(1, 12)
    kind = below(10)
    if kind == 0:  # anywhere, partly outside
        return [between(-span // 2, 3 * span // 2) for _ in range(2 * n)]
    if kind == 1:  # whole pixels
        return [100 * between(-2, span // 100 + 2) for _ in range(2 * n)]
    if kind == 2:  # halves and tenths, where the rounding is decided
        return [10 * between(-10, span // 10 + 10) for _ in range(2 * n)]
    if kind == 3:  # repeated corners
        corners = [(below(span + 1), below(span + 1)) for _ in range(n)]
        return [v for corner in corners for v in corner * 2]
    if kind == 4:  # one point, n times
        return [below(span + 1), below(span + 1)] * n
    if kind == 5:  # a line there and back
        a, b = (below(span + 1), below(span + 1)), (below(span + 1), below(span + 1))
        return [*a, *b, *a]
    if kind == 6:  # no height
        y = below(span + 1)
        return [v for _ in range(n) for v in (below(span + 1), y)]
    if kind == 7:  # far outside
        return [between(2 * span, 3 * span) * (1 if below(2) else -1) for _ in range(2 * n)]
    if kind == 8:  # the whole image or half a pixel beside it
        d = between(-1, 1) * 50
        w, h = 100 * width + d, 100 * height + d
        return [d, d, w, d, w, h, d, h]
    # like a person drew it: a ring of spokes with wandering corners
    cx, cy, r = below(span + 1), below(span + 1), between(span // 20 + 1, span)
    spokes = [(4, 0), (3, 2), (2, 3), (0, 4), (-2, 3), (-3, 2), (-4, 0), (-3, -2), (-2, -3), (0, -4), (2, -3), (3, -2)]
    ring = []
    for sx, sy in spokes:
        reach = between(r // 2, r)
        ring += [cx + sx * reach // 4, cy + sy * reach // 4]
    return ring


def pixels(width, height):
    kind = below(5)
    if kind == 0:
        return [0] * (width * height)
    if kind == 1:
        return [1] * (width * height)
    threshold = (2, 50, 98)[kind - 2]
    return [1 if below(100) < threshold else 0 for _ in range(width * height)]


def digest(rle):
    text = f"{rle['counts'].decode()} {int(mask.area(rle))}"
    return hashlib.sha256(text.encode()).digest()[:4]


hashes = []
before = None
for _ in range(COUNT):
    # Every third shape has the size of the one before.
    if before is None or below(3) > 0:
        large = below(20) == 0
        width, height = (between(1, 400), between(1, 400)) if large else (between(1, 40), between(1, 40))
    else:
        height, width = before["size"]
    kind = below(10)
    if kind < 6:
        polygons = [[v / 100 for v in points(width, height)] for _ in range(1 if below(3) else between(2, 4))]
        # frPoly itself: frPyObjects would take four numbers for a box.
        rles = _mask.frPoly(polygons, height, width)
        rle = mask.merge(rles) if len(rles) > 1 else rles[0]
    elif kind == 6:
        box = [between(-1000, 100 * max(width, height)) / 100 for _ in range(4)]
        rle = mask.frPyObjects(np.array([box]), height, width)[0]
    else:
        bits = np.array(pixels(width, height) if width * height <= 4000 else [1] * (width * height), np.uint8)
        rle = mask.encode(np.asfortranarray(bits.reshape(height, width)))
    hashes.append(digest(rle))
    if before is not None and list(before["size"]) == list(rle["size"]):
        hashes.append(digest(mask.merge([before, rle])))
        hashes.append(digest(mask.merge([before, rle], True)))
    before = rle

out = ROOT / "packages/formats/src/fixtures/coco-shapes.json"
out.write_text(json.dumps({"count": COUNT, "seed": SEED, "hashes": base64.b64encode(b"".join(hashes)).decode()}) + "\n")
print(out.name, COUNT, "shapes", len(hashes), "hashes", out.stat().st_size, "bytes")
