"""COCO masks by pycocotools: random and degenerate polygons, boxes, merges and run-length codes.

    pip install numpy pycocotools
    python3 tools/reference/formats/make_coco_fixtures.py                        # the committed fixture
    python3 tools/reference/formats/make_coco_fixtures.py --count 12000 --out shapes.json
    AUXSEG_COCO_SHAPES=$PWD/shapes.json npm run jest -- packages/formats/src/coco
"""

import argparse
import json
from pathlib import Path

import numpy as np
from pycocotools import _mask, mask

ROOT = Path(__file__).resolve().parents[3]
parser = argparse.ArgumentParser()
parser.add_argument("--count", type=int, default=400)
parser.add_argument("--seed", type=int, default=7)
parser.add_argument("--out", type=Path, default=ROOT / "packages/formats/src/fixtures/coco.json")
args = parser.parse_args()
rng = np.random.default_rng(args.seed)


def polygon(width, height):
    kind = rng.integers(0, 12)
    span = max(width, height)
    n = int(rng.integers(1, 12))
    if kind == 0:  # anywhere, partly outside
        points = rng.uniform(-0.5 * span, 1.5 * span, (n, 2))
    elif kind == 1:  # whole pixels
        points = rng.integers(-2, span + 3, (n, 2)).astype(float)
    elif kind == 2:  # halves and fifths, where the rounding is decided
        points = rng.integers(-10, 10 * span + 10, (n, 2)) / 10
    elif kind == 3:  # repeated corners
        points = np.repeat(rng.uniform(0, span, (max(1, n // 2), 2)), 2, axis=0)
    elif kind == 4:  # one point
        points = np.repeat(rng.uniform(0, span, (1, 2)), n, axis=0)
    elif kind == 5:  # a line
        points = np.linspace(rng.uniform(0, span, 2), rng.uniform(0, span, 2), n)
    elif kind == 6:  # thin
        points = rng.uniform(0, span, (n, 2))
        points[:, int(rng.integers(0, 2))] = rng.uniform(0, span)
    elif kind == 7:  # far outside
        points = rng.uniform(2 * span, 3 * span, (n, 2)) * rng.choice([-1, 1])
    elif kind == 8:  # the whole image or its border
        points = np.array([[0, 0], [width, 0], [width, height], [0, height]], float) + rng.choice([0, -0.5, 0.5])
    else:  # like a person drew it, two decimals as in the data set
        angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 40))))
        radius = rng.uniform(0.05, 0.6) * span * rng.uniform(0.6, 1, angles.size)
        points = np.stack([np.cos(angles), np.sin(angles)], 1) * radius[:, None] + rng.uniform(0, span, 2)
        points = np.round(points, 2)
    return [float(v) for v in np.round(points.ravel(), int(rng.choice([2, 6])))]


def text(rle):
    return rle["counts"].decode()


cases = []
while len(cases) < args.count:
    width, height = (int(v) for v in rng.integers(1, 60 if rng.random() < 0.9 else 700, 2))
    kind = rng.random()
    if kind < 0.6:
        polygons = [polygon(width, height) for _ in range(1 if rng.random() < 0.7 else int(rng.integers(2, 5)))]
        # frPoly itself: frPyObjects would take four numbers for a box.
        rles = _mask.frPoly(polygons, height, width)
        case = {"polygons": polygons}
        rle = mask.merge(rles) if len(rles) > 1 else rles[0]
    elif kind < 0.7:
        box = [float(v) for v in np.round(rng.uniform(-10, max(width, height), 4), 2)]
        case = {"box": box}
        rle = mask.frPyObjects(np.array([box]), height, width)[0]
    else:
        density = rng.choice([0, 0.02, 0.5, 0.98, 1])
        pixels = rng.random((height, width)) < density
        if rng.random() < 0.5:  # long runs
            pixels = np.repeat(pixels[:, :1], width, axis=1) if rng.random() < 0.5 else np.repeat(pixels[:1], height, axis=0)
        case = {}
        rle = mask.encode(np.asfortranarray(pixels.astype(np.uint8)))
        if width * height > 4000:
            continue
    pixels = mask.decode(rle)
    case.update(size=[height, width], counts=text(rle), area=int(mask.area(rle)))
    if not case.keys() & {"polygons", "box"}:
        case["pixels"] = "".join(map(str, pixels.ravel()))
        other = mask.encode(np.asfortranarray((rng.random((height, width)) < 0.5).astype(np.uint8)))
        case["other"] = text(other)
        case["union"] = text(mask.merge([rle, other]))
        case["intersection"] = text(mask.merge([rle, other], True))
    cases.append(case)

args.out.write_text(json.dumps(cases, separators=(",", ":")))
print(args.out.name, len(cases), "cases", args.out.stat().st_size, "bytes")
