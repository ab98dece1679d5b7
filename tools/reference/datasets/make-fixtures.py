"""Writes packages/datasets/src/fixtures/*: OpenCV's resizing and decoding, and torchvision's colour jitter written out in NumPy.

Run from the repository root: python3 tools/reference/datasets/make-fixtures.py
Needs numpy and opencv-python (made with OpenCV 5.0.0, NumPy 2.4.6). Deterministic.
"""
import json
import pathlib
import numpy as np
import cv2

out = pathlib.Path(__file__).resolve().parents[3] / 'packages/datasets/src/fixtures'
out.mkdir(parents=True, exist_ok=True)
rng = np.random.default_rng(7)


def picture(h, w):
    """A smooth picture with edges and some noise."""
    y, x = np.mgrid[0:h, 0:w].astype(np.float64)
    channels = [128 + 90 * np.sin(x / (3 + c) + c) * np.cos(y / (4 + c)) + 40 * ((x // 7 + y // 5) % 2) for c in range(3)]
    noisy = np.stack(channels, -1) + rng.normal(0, 12, (h, w, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8)


# 1. Resizing: image (linear, bytes), labels (nearest), saliency (linear, float32), odd sizes, up and down, mirrored first.
cases = []
arrays = {}
for i, (h, w, sh, sw, flip) in enumerate([
    (37, 53, 37, 53, 0), (37, 53, 26, 37, 0), (37, 53, 48, 69, 0), (37, 53, 48, 69, 1), (29, 31, 61, 13, 1),
    (5, 60, 11, 42, 0), (1, 1, 7, 9, 0), (2, 3, 1, 1, 0), (40, 30, 20, 15, 1), (64, 48, 9, 7, 0),
]):
    image = picture(h, w)
    labels = rng.integers(0, 21, (h, w), dtype=np.uint8)
    saliency = rng.random((h, w), dtype=np.float32)
    mirrored = (lambda a: np.ascontiguousarray(a[:, ::-1])) if flip else (lambda a: a)
    arrays[f'image{i}'] = image
    arrays[f'labels{i}'] = labels
    arrays[f'saliency{i}'] = saliency
    arrays[f'image{i}_out'] = cv2.resize(mirrored(image), (sw, sh), interpolation=cv2.INTER_LINEAR).reshape(sh, sw, 3)
    arrays[f'labels{i}_out'] = cv2.resize(mirrored(labels), (sw, sh), interpolation=cv2.INTER_NEAREST).reshape(sh, sw)
    arrays[f'saliency{i}_out'] = cv2.resize(mirrored(saliency), (sw, sh), interpolation=cv2.INTER_LINEAR).reshape(sh, sw)
    cases.append({'height': h, 'width': w, 'scaledHeight': sh, 'scaledWidth': sw, 'flip': bool(flip)})

# 2. Colour jitter as torchvision.transforms.functional on byte tensors: blend, clamp, truncate; grey rounds down too.
def grey(a):
    return np.floor(a[..., 0] * 0.2989 + a[..., 1] * 0.587 + a[..., 2] * 0.114)


def blend(a, b, f):
    return np.clip(f * a.astype(np.float64) + (1 - f) * b, 0, 255).astype(np.uint8)


image = picture(23, 19)
arrays['jitter'] = image
factors = [(1.3, 1.0, 1.0), (1.0, 0.6, 1.0), (1.0, 1.0, 1.7), (0.8, 1.25, 0.5)]
for i, (b, c, s) in enumerate(factors):
    v = image
    if b != 1: v = blend(v, 0, b)
    if c != 1: v = blend(v, grey(v).mean(), c)
    if s != 1: v = blend(v, grey(v)[..., None], s)
    arrays[f'jitter{i}_out'] = v
np.savez_compressed(out / 'opencv.npz', **arrays)
(out / 'opencv.json').write_text(json.dumps({'resize': cases, 'jitter': factors}, indent=1) + '\n')

# 3. Decoding: JPEGs as OpenCV reads them.
decoded = {}
for name, h, w, sampling in [('420', 45, 67, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420), ('444', 32, 48, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)]:
    ok, jpeg = cv2.imencode('.jpg', picture(h, w)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling])
    assert ok
    (out / f'photo-{name}.jpg').write_bytes(jpeg.tobytes())
    decoded[f'photo{name}'] = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)[..., ::-1]
np.savez_compressed(out / 'decoded.npz', **decoded)
print({p.name: p.stat().st_size for p in sorted(out.iterdir())})
