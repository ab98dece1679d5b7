"""Numbers for the tests of packages/saliency from an implementation of its own.

NumPy, SciPy and OpenCV only, float64, written for clearness: matrix products, brute force, library routines
(scipy.ndimage, scipy.sparse.csgraph, numpy.linalg) where the package has code of its own.

    python3 tools/reference/saliency/make_fixtures.py      # writes packages/saliency/src/fixtures/*.json
"""

import json
import pathlib

import cv2
import numpy as np
from scipy import ndimage
from scipy.sparse.csgraph import dijkstra

OUT = pathlib.Path(__file__).resolve().parents[3] / "packages" / "saliency" / "src" / "fixtures"


def numbers(array, digits=7):
    """JSON numbers with so many significant digits; null for infinity."""
    flat = np.asarray(array, dtype=np.float64).ravel()
    return [None if np.isinf(v) else float(f"{v:.{digits}g}") for v in flat]


def scene(seed, width, height):
    """A textured background with a gradient and two objects, RGB uint8."""
    random = np.random.RandomState(seed)
    y, x = np.mgrid[0:height, 0:width]
    image = np.stack([70 + 60 * x / width, 100 + 30 * y / height, 60 + 40 * y / height], axis=2)
    coarse = random.rand(6, 6, 3).astype(np.float32)
    image += 25 * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    body = ((x - 0.45 * width) / (0.22 * width)) ** 2 + ((y - 0.55 * height) / (0.28 * height)) ** 2 < 1
    image[body] = image[body] * 0.35 + np.array([200, 60, 30]) * 0.65
    head = np.abs(x - 0.68 * width) + np.abs(y - 0.4 * height) < 0.14 * width
    image[head] = image[head] * 0.3 + np.array([230, 210, 190]) * 0.7
    image += random.normal(0, 4, image.shape)
    return np.clip(np.round(image), 0, 255).astype(np.uint8)


def area_matrix(source, target):
    """[target, source] weights of exact area averaging."""
    edges = np.arange(target + 1) * source / target
    cells = np.arange(source)
    overlap = np.minimum(edges[1:, None], cells[None] + 1) - np.maximum(edges[:-1, None], cells[None])
    overlap = np.maximum(overlap, 0)
    return overlap / overlap.sum(axis=1, keepdims=True)


def shrink(rgb, max_side):
    height, width = rgb.shape[:2]
    scale = min(1.0, max_side / max(width, height))
    w, h = max(1, int(np.floor(width * scale + 0.5))), max(1, int(np.floor(height * scale + 0.5)))
    return np.einsum("yY,xX,YXc->yxc", area_matrix(height, h), area_matrix(width, w), rgb.astype(np.float64))


def to_lab(rgb):
    """CIE L*a*b* (D65) of sRGB 0..255, by the definition."""
    v = rgb / 255.0
    linear = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    xyz = linear @ np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    ).T
    t = xyz / np.array([0.95047, 1.0, 1.08883])
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    lab = np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)
    opencv = cv2.cvtColor((rgb / 255).astype(np.float32), cv2.COLOR_RGB2Lab)
    assert np.abs(lab - opencv).max() < 0.5, np.abs(lab - opencv).max()
    return lab


def fast_mbd(plane, passes):
    """Zhang et al. 2015, algorithm 1, for one channel, with the state of a path kept as (distance, high, low)."""
    height, width = plane.shape
    best = [[(0.0, plane[y, x], plane[y, x]) for x in range(width)] for y in range(height)]
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            best[y][x] = (np.inf, plane[y, x], plane[y, x])
    for number in range(passes):
        step = 1 if number % 2 == 0 else -1
        for y in list(range(1, height - 1))[::step]:
            for x in list(range(1, width - 1))[::step]:
                for ny, nx in ((y - step, x), (y, x - step)):
                    high = max(best[ny][nx][1], plane[y, x])
                    low = min(best[ny][nx][2], plane[y, x])
                    if high - low < best[y][x][0]:
                        best[y][x] = (high - low, high, low)
    return np.array([[b[0] for b in row] for row in best])


def exact_mbd(plane):
    """The minimum barrier distance itself: over all value ranges, which pixels reach the border inside the range?"""
    levels = np.unique(plane)
    distance = np.full(plane.shape, np.inf)
    edge = np.ones(plane.shape, bool)
    edge[1:-1, 1:-1] = False
    for i, low in enumerate(levels):
        for high in levels[i:]:
            pieces, _ = ndimage.label((plane >= low) & (plane <= high))
            touching = np.unique(pieces[edge])
            reached = np.isin(pieces, touching[touching > 0])
            distance[reached] = np.minimum(distance[reached], high - low)
    return distance


def border_contrast(lab, share=0.1, regularisation=10.0):
    height, width = lab.shape[:2]
    across, down = max(1, int(share * width)), max(1, int(share * height))
    maps = []
    for strip in (lab[:down], lab[height - down:], lab[:, :across], lab[:, width - across:]):
        colours = strip.reshape(-1, 3)
        mean = colours.mean(axis=0)
        covariance = np.cov(colours.T, bias=True) + regularisation * np.eye(3)
        delta = lab - mean
        u = np.sqrt(np.einsum("yxi,ij,yxj->yx", delta, np.linalg.inv(covariance), delta))
        maps.append(u / u.max())
    maps = np.array(maps)
    total = maps.sum(axis=0) - maps.max(axis=0)
    return total / total.max()


def erode(plane, side):
    return ndimage.minimum_filter(plane, size=side, mode="constant", cval=np.inf)


def reconstruct(marker, mask):
    while True:
        grown = np.minimum(ndimage.maximum_filter(marker, size=3, mode="constant", cval=-np.inf), mask)
        if np.array_equal(grown, marker):
            return marker
        marker = grown


def open_close(plane, side):
    opened = reconstruct(erode(plane, side), plane)
    return -reconstruct(erode(-opened, side), -opened)


def stretch(plane):
    return (plane - plane.min()) / (plane.max() - plane.min())


def mb_plus(lab):
    height, width = lab.shape[:2]
    feature = lab * np.array([2.55, 1, 1])
    distance = sum(fast_mbd(feature[..., c], 3) for c in range(3))
    total = distance / distance.max() + border_contrast(lab)
    total = total / total.max()
    y, x = np.mgrid[0:height, 0:width]
    total = total * np.exp(-(((x + 0.5) / width - 0.5) ** 2 + ((y + 0.5) / height - 0.5) ** 2) / (2 * 0.4**2))
    side = int(np.floor(30 * np.sqrt(total.mean())))
    smooth = stretch(open_close(total, side))
    return stretch(1 / (1 + np.exp(-10 * (smooth - 0.5))))


def slic_labels(lab, count, compactness, iterations):
    """Labels before connectivity: every centre against every pixel, outside its window infinity."""
    height, width = lab.shape[:2]
    step = max(1.0, np.sqrt(width * height / count))
    columns = int(max(1, min(width, count, np.floor(width / step + 0.5))))
    rows = int(max(1, min(height, np.ceil(count / columns), np.floor(height / step + 0.5))))
    y, x = np.mgrid[0:height, 0:width]
    features = np.dstack([lab, x, y]).reshape(-1, 5)
    centres = []
    for r in range(rows):
        for c in range(columns):
            cx, cy = int((c + 0.5) * width / columns), int((r + 0.5) * height / rows)
            centres.append(features[cy * width + cx])
    centres = np.array(centres, dtype=np.float64)
    reach_x = np.ceil(max(step, width / columns))
    reach_y = np.ceil(max(step, height / rows))
    for _ in range(iterations):
        delta = features[None] - centres[:, None]
        distance = (delta[..., :3] ** 2).sum(-1) + (compactness / step) ** 2 * (delta[..., 3:] ** 2).sum(-1)
        nearest_pixel = np.floor(centres[:, 3:] + 0.5)
        outside = (np.abs(features[None, :, 3] - nearest_pixel[:, None, 0]) > reach_x) | (
            np.abs(features[None, :, 4] - nearest_pixel[:, None, 1]) > reach_y
        )
        distance[outside] = np.inf
        labels = distance.argmin(axis=0)
        for k in range(len(centres)):
            if (labels == k).any():
                centres[k] = features[labels == k].mean(axis=0)
    return labels.reshape(height, width), int(step * step / 4)


def pieces_of(labels):
    """4-connected pieces of equal labels, numbered in the order of their first pixels."""
    result = np.full(labels.shape, -1)
    seen = []
    for value in np.unique(labels):
        found, how_many = ndimage.label(labels == value)
        for piece in range(1, how_many + 1):
            seen.append(np.flatnonzero(found.ravel() == piece))
    for number, members in enumerate(sorted(seen, key=lambda m: m[0])):
        result.ravel()[members] = number
    return result


def merge_small(pieces, smallest):
    """Pieces under `smallest` px join, in order, what their first pixel's left (or upper) neighbour belongs to by then."""
    width = pieces.shape[1]
    flat = pieces.ravel()
    target = {}
    next_number = 0
    for number in range(flat.max() + 1):
        members = np.flatnonzero(flat == number)
        first = members[0]
        if len(members) < smallest and first > 0:
            neighbour = first - 1 if first % width > 0 else first - width
            target[number] = target[flat[neighbour]]
        else:
            target[number] = next_number
            next_number += 1
    return np.array([target[n] for n in flat]).reshape(pieces.shape)


def otsu(values):
    bins = np.floor(np.clip(values, 0, 1) * 255 + 0.5).astype(int)
    scores = []
    for threshold in range(255):
        low, high = bins[bins <= threshold], bins[bins > threshold]
        scores.append(0.0 if len(low) == 0 or len(high) == 0 else len(low) * len(high) * (low.mean() - high.mean()) ** 2)
    scores = np.array(scores)
    return np.flatnonzero(scores >= scores.max() * (1 - 1e-12)).mean() / 255


def rbd(lab, labels, cue):
    height, width = labels.shape
    n = labels.max() + 1
    y, x = np.mgrid[0:height, 0:width]
    colour = np.array([lab[labels == k].mean(axis=0) for k in range(n)])
    position = np.array(
        [[(x[labels == k].mean() + 0.5) / width, (y[labels == k].mean() + 0.5) / height] for k in range(n)]
    )
    adjacent = np.zeros((n, n), bool)
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        a = labels[: height - dy, max(0, -dx): width - max(0, dx)]
        b = labels[dy:, max(0, dx): width + min(0, dx)]
        adjacent[a, b] = adjacent[b, a] = True
    np.fill_diagonal(adjacent, False)
    border = np.zeros(n, bool)
    border[np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))] = True
    both_border = np.outer(border, border) & ~np.eye(n, dtype=bool)
    colour_distance = np.linalg.norm(colour[:, None] - colour[None], axis=-1)
    edges = np.where(adjacent | both_border, colour_distance, 0)
    assert ((adjacent | both_border) == (edges > 0)).all()
    geodesic = dijkstra(edges, directed=False)
    soft = np.exp(-(geodesic**2) / (2 * 7**2))
    connectivity = soft[:, border].sum(axis=1) / np.sqrt(soft.sum(axis=1))
    background = np.where(connectivity > 3, 1, 1 - np.exp(-(connectivity**2) / 2))
    spatial = np.exp(-(np.linalg.norm(position[:, None] - position[None], axis=-1) ** 2) / (2 * 0.4**2))
    contrast = stretch((colour_distance * spatial * background[None]).sum(axis=1))
    contrast = np.where(contrast < otsu(contrast), 0, contrast)
    mean_cue = np.array([cue[labels == k].mean() for k in range(n)])
    two_ring = (adjacent | (adjacent.astype(int) @ adjacent.astype(int) > 0) | both_border) & ~np.eye(n, dtype=bool)
    weight = two_ring * np.exp(-(colour_distance**2) / (2 * 10**2)) + 0.1 * adjacent
    solutions = {}
    for name, foreground in (("rbd", contrast), ("combined", 0.3 * contrast + 0.7 * mean_cue)):
        matrix = np.diag(weight.sum(axis=1)) - weight + np.diag(5 * background + foreground + 1e-9)
        solutions[name] = stretch(np.linalg.solve(matrix, foreground))
    return {
        "adjacent": adjacent,
        "border": border,
        "twoRing": two_ring,
        "geodesic": geodesic,
        "background": background,
        "contrast": contrast,
        "solutions": solutions,
    }


def resize(plane, width, height):
    return cv2.resize(plane.astype(np.float64), (width, height), interpolation=cv2.INTER_LINEAR)


def write(name, value):
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / f"{name}.json"
    path.write_text(json.dumps(value, separators=(",", ":")) + "\n")
    print(path.name, path.stat().st_size, "bytes")


def make_pieces():
    random = np.random.RandomState(7)
    rgb = scene(1, 37, 29)
    small = shrink(rgb, 23)
    lab = to_lab(small)
    colours = random.randint(0, 256, (60, 1, 3)).astype(np.float64)
    quantised = [
        (ndimage.gaussian_filter(random.rand(h, w), s) * 40).round() % 9 for w, h, s in ((17, 13, 0.7), (9, 21, 1.2), (14, 14, 0.4))
    ]
    planes = []
    for w, h, side in ((19, 14, 3), (13, 17, 4), (8, 30, 7), (25, 6, 9)):
        plane = np.round(ndimage.gaussian_filter(random.rand(h, w), 0.8), 4)
        planes.append(
            {
                "width": w,
                "height": h,
                "side": side,
                "plane": numbers(plane),
                "eroded": numbers(erode(plane, side)),
                "openedClosed": numbers(open_close(plane, side)),
            }
        )
    labelling = random.randint(0, 4, (15, 22)) * (random.rand(15, 22) > 0.4)
    pieces = pieces_of(labelling)
    write(
        "pieces",
        {
            "rgb": {"width": 37, "height": 29, "data": rgb.ravel().tolist()},
            "shrunk": {"width": small.shape[1], "height": small.shape[0], "data": numbers(small.transpose(2, 0, 1))},
            "lab": numbers(lab.transpose(2, 0, 1)),
            "colours": {"rgb": numbers(colours[:, 0].T), "lab": numbers(to_lab(colours)[:, 0].T)},
            "contrast": numbers(border_contrast(lab)),
            "barriers": [
                {
                    "width": p.shape[1],
                    "height": p.shape[0],
                    "plane": numbers(p),
                    "fast": {str(n): numbers(fast_mbd(p, n)) for n in (1, 2, 3, 6)},
                    "exact": numbers(exact_mbd(p)),
                }
                for p in quantised
            ],
            "reconstructions": planes,
            "labelling": {
                "width": 22,
                "height": 15,
                "labels": labelling.ravel().tolist(),
                "pieces": pieces.ravel().tolist(),
                "merged4": merge_small(pieces, 4).ravel().tolist(),
            },
            "otsu": [
                {"values": numbers(v), "threshold": otsu(np.array(numbers(v)))}
                for v in (random.rand(50), random.beta(0.4, 0.6, 200), np.r_[np.zeros(5), np.ones(7)])
            ],
        },
    )


def make_detection(name, seed, width, height, count):
    """The whole detector on one image small enough that nothing is shrunk."""
    rgb = scene(seed, width, height)
    lab = to_lab(rgb.astype(np.float64))
    map_ = mb_plus(lab)
    raw, smallest = slic_labels(lab, count, 20, 10)
    labels = merge_small(pieces_of(raw), smallest)
    graph = rbd(lab, labels, map_)
    n = int(labels.max() + 1)
    write(
        name,
        {
            "width": width,
            "height": height,
            "rgb": rgb.ravel().tolist(),
            "superpixels": {"wanted": count, "count": n, "labels": labels.ravel().tolist()},
            "mbPlus": numbers(map_, 6),
            "adjacent": graph["adjacent"].astype(int).sum(axis=1).tolist(),
            "border": graph["border"].astype(int).tolist(),
            "twoRing": graph["twoRing"].astype(int).sum(axis=1).tolist(),
            "geodesic": numbers(graph["geodesic"], 6),
            "background": numbers(graph["background"], 6),
            "contrast": numbers(graph["contrast"], 6),
            "rbd": numbers(graph["solutions"]["rbd"], 6),
            "combined": numbers(graph["solutions"]["combined"], 6),
        },
    )


if __name__ == "__main__":
    make_pieces()
    make_detection("detection-61x47", 3, 61, 47, 90)
    make_detection("detection-40x66", 11, 40, 66, 70)
