"""Makes packages/crf/src/fixtures/reference.json: Q, KL divergences and lattice sizes of small problems.

Q and the divergences come from pydensecrf (the C++ reference; bench/crf/bench.mjs --help says how to build it). Lattice
sizes come from the NumPy code below, because pydensecrf does not tell them. Inputs are made from a small generator that
the test repeats (packages/crf/src/reference-fixtures.test.ts), so that only results are stored.

  python tools/reference/crf/make_fixtures.py packages/crf/src/fixtures/reference.json
"""
import base64
import json
import sys

import numpy as np
import pydensecrf.densecrf as dcrf

NORMALIZATIONS = {
    "none": dcrf.NO_NORMALIZATION,
    "before": dcrf.NORMALIZE_BEFORE,
    "after": dcrf.NORMALIZE_AFTER,
    "symmetric": dcrf.NORMALIZE_SYMMETRIC,
}
MASK = 0xFFFFFFFF


def uniform(seed):
    """Mulberry32: an endless stream of numbers in [0, 1)."""
    state = seed & MASK
    while True:
        state = (state + 0x6D2B79F5) & MASK
        t = ((state ^ (state >> 15)) * (state | 1)) & MASK
        t ^= (t + ((t ^ (t >> 7)) * (t | 61))) & MASK
        yield (((t ^ (t >> 14)) & MASK) / 4294967296.0)


def make_image(kind, w, h, seed):
    random = uniform(seed)
    image = np.empty((h, w, 3), np.uint8)
    for y in range(h):
        for x in range(w):
            for c in range(3):
                r = next(random)
                if kind == "noise":
                    value = int(r * 256)
                elif kind == "constant":
                    value = 40 * (c + 1)
                else:
                    edge = 90 if (x * 3 + y) % (2 * w) > w else 0
                    value = edge + x * (c + 2) + y * (4 - c) + int(r * 9)
                image[y, x, c] = value & 255
    return image


def make_unary(labels, w, h, seed, present):
    random = uniform(seed)
    unary = np.empty((labels, h * w), np.float32)
    for label in range(labels):
        for i in range(h * w):
            r = next(random)
            unary[label, i] = np.float32(r * 4) if present is None or label in present else np.float32(11.5)
    return unary


def lattice_size(features):
    """Points of the permutohedral lattice, [d, n] float32 features, in the reference's float32 steps."""
    d, n = features.shape
    f = np.zeros((d, (n + 3) // 4 * 4), np.float32)
    f[:, :n] = features
    deviation = np.float32(np.sqrt(2.0 / 3.0) * (d + 1))
    scale = [np.float32(1.0 / np.sqrt((i + 1.0) * (i + 2.0)) * np.float64(deviation)) for i in range(d)]
    elevated = np.zeros((d + 1, f.shape[1]), np.float32)
    total = np.zeros(f.shape[1], np.float32)
    for j in range(d, 0, -1):
        cf = f[j - 1] * scale[j - 1]
        elevated[j] = total - np.float32(j) * cf
        total = total + cf
    elevated[0] = total
    nearest = np.rint(np.float32(1.0 / (d + 1)) * elevated).astype(np.float32)
    offset = nearest.sum(0).astype(np.int64)
    remainder = nearest * np.float32(d + 1)
    distance = elevated - remainder
    rank = np.zeros(elevated.shape, np.int64)
    for i in range(d):
        for j in range(i + 1, d + 1):
            less = distance[i] < distance[j]
            rank[i] += less
            rank[j] += ~less
    rank += offset
    base = remainder.astype(np.int64)
    base += (d + 1) * ((rank < 0).astype(np.int64) - (rank > d).astype(np.int64))
    rank += (d + 1) * ((rank < 0).astype(np.int64) - (rank > d).astype(np.int64))
    keys = [base + np.where(rank <= d - r, r, r - (d + 1)) for r in range(d + 1)]
    return len(np.unique(np.concatenate(keys, 1)[:d], axis=1).T)


def positions(w, h):
    y, x = np.mgrid[0:h, 0:w]
    return x.ravel().astype(np.float32), y.ravel().astype(np.float32)


def pair(value):
    return tuple(value) if isinstance(value, list) else (value, value)


def triple(value):
    return tuple(value) if isinstance(value, list) else (value, value, value)


def compat(value, labels):
    if not isinstance(value, dict):
        return float(value)
    random = uniform(value["seed"])
    if value["kind"] == "diagonal":
        return np.array([-3 * next(random) for _ in range(labels)], np.float32)
    return np.array([-3 * next(random) if i % (labels + 1) == 0 else next(random) for i in range(labels * labels)], np.float32).reshape(labels, labels)


SAL = {"gaussian": [{"sxy": 3, "compat": 3}], "bilateral": [{"sxy": 60, "srgb": 5, "compat": 5}]}
SEG = {"gaussian": [{"sxy": 4, "compat": 3}], "bilateral": [{"sxy": 83, "srgb": 5, "compat": 3}]}
CASES = [
    {"name": "two labels, one step", "w": 25, "h": 17, "labels": 2, "image": "smooth", "iterations": 1, **SAL},
    {"name": "two labels, five steps, noise", "w": 22, "h": 19, "labels": 2, "image": "noise", "iterations": 5, **SAL},
    {"name": "two labels, no step", "w": 9, "h": 5, "labels": 2, "image": "smooth", "iterations": 0, **SAL},
    {"name": "1x1", "w": 1, "h": 1, "labels": 3, "image": "noise", "iterations": 3, **SEG},
    {"name": "one row", "w": 39, "h": 1, "labels": 5, "image": "noise", "iterations": 4, **SEG},
    {"name": "one column", "w": 1, "h": 39, "labels": 4, "image": "smooth", "iterations": 4, **SEG},
    {"name": "constant image", "w": 24, "h": 15, "labels": 5, "image": "constant", "iterations": 5, **SEG},
    {"name": "five labels", "w": 23, "h": 14, "labels": 5, "image": "smooth", "iterations": 5, **SEG},
    {"name": "21 labels, 3 present", "w": 13, "h": 11, "labels": 21, "image": "smooth", "iterations": 10, "present": [0, 8, 12], **SEG},
    {"name": "21 labels", "w": 13, "h": 11, "labels": 21, "image": "smooth", "iterations": 10, **SEG},
    {"name": "81 labels", "w": 9, "h": 7, "labels": 81, "image": "smooth", "iterations": 3, **SEG},
    {"name": "81 labels, 2 present", "w": 6, "h": 5, "labels": 81, "image": "noise", "iterations": 5, "present": [0, 44], **SEG},
    {"name": "anisotropic", "w": 21, "h": 18, "labels": 3, "image": "smooth", "iterations": 4,
     "gaussian": [{"sxy": [2, 5], "compat": 2}], "bilateral": [{"sxy": [30, 12.5], "srgb": [4, 9, 20], "compat": 4}]},
    {"name": "srgb 1", "w": 19, "h": 15, "labels": 3, "image": "smooth", "iterations": 3,
     "bilateral": [{"sxy": 40, "srgb": 1, "compat": 4}]},
    {"name": "srgb 3, noise", "w": 18, "h": 17, "labels": 2, "image": "noise", "iterations": 2,
     "gaussian": [{"sxy": 1, "compat": 3}], "bilateral": [{"sxy": 67, "srgb": 3, "compat": 4}]},
    {"name": "gaussian only", "w": 20, "h": 13, "labels": 4, "image": "smooth", "iterations": 5, "gaussian": [{"sxy": 2, "compat": 3}]},
    {"name": "two of each", "w": 17, "h": 12, "labels": 3, "image": "smooth", "iterations": 3,
     "gaussian": [{"sxy": 1, "compat": 1}, {"sxy": 6, "compat": 2}],
     "bilateral": [{"sxy": 20, "srgb": 8, "compat": 2}, {"sxy": 80, "srgb": 13, "compat": 3}]},
    *[{"name": f"{n}, {labels} labels", "w": 15, "h": 13, "labels": labels, "image": "smooth", "iterations": 3,
       "gaussian": [{"sxy": 3, "compat": 0.02 if n == "none" else 3, "normalization": n}],
       "bilateral": [{"sxy": 30, "srgb": 10, "compat": 0.02 if n == "none" else 2, "normalization": n}]}
      for n in ("none", "before", "after") for labels in (2, 4)],
    {"name": "matrix", "w": 16, "h": 13, "labels": 5, "image": "smooth", "iterations": 4,
     "gaussian": [{"sxy": 3, "compat": {"kind": "matrix", "seed": 5}}],
     "bilateral": [{"sxy": 30, "srgb": 10, "compat": {"kind": "matrix", "seed": 6}}]},
    {"name": "matrix, two labels, and Potts", "w": 16, "h": 9, "labels": 2, "image": "smooth", "iterations": 3,
     "gaussian": [{"sxy": 3, "compat": {"kind": "matrix", "seed": 7}}], "bilateral": [{"sxy": 30, "srgb": 10, "compat": 2}]},
    {"name": "diagonal", "w": 14, "h": 11, "labels": 4, "image": "smooth", "iterations": 4,
     "gaussian": [{"sxy": 3, "compat": {"kind": "diagonal", "seed": 8}}], "bilateral": [{"sxy": 30, "srgb": 10, "compat": 2}]},
    {"name": "negative Potts weight", "w": 14, "h": 11, "labels": 3, "image": "smooth", "iterations": 2,
     "gaussian": [{"sxy": 2, "compat": -1.5}], "bilateral": [{"sxy": 30, "srgb": 10, "compat": 3}]},
    {"name": "large weights", "w": 14, "h": 11, "labels": 3, "image": "smooth", "iterations": 3,
     "gaussian": [{"sxy": 3, "compat": 60}], "bilateral": [{"sxy": 30, "srgb": 20, "compat": 90}]},
]


def run(case, index):
    w, h, labels = case["w"], case["h"], case["labels"]
    image = make_image(case["image"], w, h, 100 + index)
    unary = make_unary(labels, w, h, 200 + index, case.get("present"))
    crf = dcrf.DenseCRF2D(w, h, labels)
    crf.setUnaryEnergy(unary)
    x, y = positions(w, h)
    sizes = []
    for kernel in case.get("gaussian", []):
        norm = NORMALIZATIONS[kernel.get("normalization", "symmetric")]
        sx, sy = (np.float32(s) for s in pair(kernel["sxy"]))
        crf.addPairwiseGaussian(pair(kernel["sxy"]), compat(kernel["compat"], labels), normalization=norm)
        sizes.append(lattice_size(np.stack([x / sx, y / sy])))
    for kernel in case.get("bilateral", []):
        norm = NORMALIZATIONS[kernel.get("normalization", "symmetric")]
        sx, sy = (np.float32(s) for s in pair(kernel["sxy"]))
        crf.addPairwiseBilateral(pair(kernel["sxy"]), triple(kernel["srgb"]), image, compat(kernel["compat"], labels), normalization=norm)
        colours = [image[..., c].ravel().astype(np.float32) / np.float32(s) for c, s in enumerate(triple(kernel["srgb"]))]
        sizes.append(lattice_size(np.stack([x / sx, y / sy, *colours])))
    q = np.array(crf.inference(case["iterations"]), np.float32)
    divergences = []
    state, first, second = crf.startInference()
    divergences.append(crf.klDivergence(state))
    for _ in range(case["iterations"]):
        crf.stepInference(state, first, second)
        divergences.append(crf.klDivergence(state))
    assert np.isfinite(q).all(), case["name"]
    return {
        **case,
        "latticeSizes": sizes,
        "klDivergence": [float(f"{v:.9g}") for v in divergences],
        "q": base64.b64encode(q.tobytes()).decode(),
    }


if __name__ == "__main__":
    results = [run(case, index) for index, case in enumerate(CASES)]
    with open(sys.argv[1], "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(r) for r in results) + "\n]\n")
