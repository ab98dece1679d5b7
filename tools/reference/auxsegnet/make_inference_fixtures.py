"""Writes packages/auxsegnet/fixtures/inference: predictions, CAMs and label updates of small pictures of odd sizes.

predict.npz, from the network of official-w32 in float64, with other weights in one layer: for pictures p0, p1
    weight/<name>, scale/<name>         the weights of official-w32 that are replaced or multiplied: as they are, their
                                        features hardly differ between positions, and one class would be everywhere
    <p>_image uint8 [H,W,3], <p>_truth uint8 [H,W] (255 = ignore)
    <p>_single uint8 [H,W]              softmax of the refined logits, upsampled, largest class; one scale
    <p>_scores [K+1,H,W]                scales 0.5 to 1.5, element-wise maximum of the softmaxes; <p>_multi its classes
    <p>_flipScores, <p>_flip            the same with the mirrored picture at every scale
    <p>_cams [K,h,w]                    class activation maps over scales 0.5, 1, 1.5, 2 and mirror images, h = ceil(H/4)
    miou [3]                            over p0 and p1, of single, multi and flip
update.npz: what a network may have said about pictures u0, u1, u2, and the labels that follow
    <u>_image uint8 [H,W,3], <u>_labels uint8 [K], <u>_original uint8 [H,W]      picture, image labels, off-the-shelf saliency
    <u>_cam [K,h,w], <u>_affinity [hw,hw], <u>_refinedSaliency [h,w]             outputs of the network
    <u>_saliency [H,W], <u>_segmentation uint8 [H,W]                             updated maps

The CRF is pydensecrf, the C++ reference. Run: python3 make_inference_fixtures.py, with pydensecrf on the path.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from auxsegnet import AuxSegNet
from make_fixtures import FIXTURES

OUT = FIXTURES.parent / "inference"
CLASSES = 4
SCALES = (0.5, 0.75, 1.0, 1.25, 1.5)
CAM_SCALES = (0.5, 1.0, 1.5, 2.0)
RESCALED = {
    "seg_conv1.weight": 10.0,
    **{f"seg_conv{i}.bias": 0.0 for i in (1, 2, 3)},
    **{f"seg_att.{key}.bias": 0.0 for key in ("theta", "phi")},
}
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def resized(x: torch.Tensor, size) -> torch.Tensor:
    """Half-pixel bilinear, no antialiasing."""
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)


def scaled(side: int, scale: float) -> int:
    return max(1, int(np.floor(side * scale + 0.5)))


def picture(rng, h: int, w: int) -> np.ndarray:
    y, x = np.mgrid[0:h, 0:w]
    image = np.zeros((h, w, 3)) + rng.uniform(60, 190, 3) + 0.4 * (x + y)[..., None]
    for _ in range(7):
        cy, cx, r = rng.uniform(0, h), rng.uniform(0, w), rng.uniform(6, 26)
        image[((y - cy) ** 2 + (x - cx) ** 2) < r * r] = rng.uniform(0, 255, 3)
    return np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)


def normalised(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(((image / 255 - MEAN) / STD).transpose(2, 0, 1)[None])


def views(image: np.ndarray, scales, flip: bool):
    """(input, mirrored) of every view."""
    h, w = image.shape[:2]
    for scale in scales:
        size = scaled(h, scale), scaled(w, scale)
        x = resized(normalised(image), size)
        for mirrored in (False, True) if flip else (False,):
            yield (x.flip(3) if mirrored else x), mirrored


def scores(net, image, scales=(1.0,), flip=False) -> np.ndarray:
    joined = None
    for x, mirrored in views(image, scales, flip):
        probabilities = torch.softmax(net(x)["refinedSegmentation"], 1)
        probabilities = resized(probabilities.flip(3) if mirrored else probabilities, image.shape[:2])
        joined = probabilities if joined is None else torch.maximum(joined, probabilities)
    return joined[0].numpy()


def class_activation_maps(net, image) -> np.ndarray:
    size = [-(-side // 4) for side in image.shape[:2]]
    maps = []
    for x, mirrored in views(image, CAM_SCALES, True):
        cam = torch.relu(net(x)["cam"])
        maps.append(resized(cam.flip(3) if mirrored else cam, size))
    mean = torch.stack(maps).mean(0)[0]
    return (mean / (mean.amax((1, 2), keepdim=True) + 1e-5)).numpy()


def mean_iou(pairs, classes: int) -> float:
    matrix = np.zeros((classes, classes))
    for truth, prediction in pairs:
        known = truth != 255
        np.add.at(matrix, (truth[known], prediction[known]), 1)
    hit = np.diag(matrix)
    union = matrix.sum(0) + matrix.sum(1) - hit
    return float(np.mean(hit[union > 0] / union[union > 0]))


def coarse(a: np.ndarray) -> np.ndarray:
    """In steps of 2^-15, so that it compresses."""
    return (np.round(a * 2**15) / 2**15).astype(np.float32)


def spread_classes(net, images) -> None:
    """Takes the part of seg_conv4 that says the same at every position away, and scales the rest."""
    # Positions attend to those like them.
    conv2 = {}
    hook = net.seg_conv2.register_forward_hook(lambda _m, _i, out: conv2.update(f=torch.relu(out)[0].flatten(1)))
    net(normalised(next(iter(images))))
    hook.remove()
    spread = (conv2["f"] - conv2["f"].mean(1, keepdim=True)).std()
    alike = torch.eye(conv2["f"].shape[0], dtype=torch.float64) * float(np.float16(1.5 / spread))
    for layer in (net.seg_att.theta, net.seg_att.phi):
        layer.weight.copy_(alike[:, :, None, None])
    means, deviations = [], []
    for image in images:
        for x, _ in views(image, SCALES, False):
            seen = {}
            hook = net.seg_conv3.register_forward_hook(lambda _m, _i, out: seen.__setitem__("f", torch.relu(out)))
            affinity = net(x)["affinity"]
            hook.remove()
            refined = (affinity @ seen["f"].flatten(2).transpose(1, 2))[0]  # [L,C]
            means.append(refined.mean(0))
            deviations.append(refined - refined.mean(0))
    _, sizes, directions = torch.linalg.svd(torch.stack(means), full_matrices=False)
    print("means", sizes, "deviation", torch.cat(deviations).std(0))
    weight = net.seg_conv4.weight[:, :, 0, 0]
    weight = weight - (weight @ directions[:2].T) @ directions[:2]
    logits = torch.cat(deviations) @ weight.T
    weight = weight * (2.0 / logits.std(0, keepdim=True).T)
    net.seg_conv4.weight.copy_(weight.float().double()[:, :, None, None])


def predictions() -> None:
    rng = np.random.default_rng(6)
    state = torch.load(FIXTURES / "weights.pth", weights_only=True)
    net = AuxSegNet(CLASSES, 1 / 32, 8).eval()
    net.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    for name, scale in RESCALED.items():
        net.get_parameter(name).data.mul_(scale)
    net.double()
    images = {"p0": picture(rng, 67, 91), "p1": picture(rng, 75, 50)}
    with torch.no_grad():
        spread_classes(net, images.values())
    rough = AuxSegNet(CLASSES, 1 / 32, 8).eval()
    rough.load_state_dict(net.state_dict())
    out = {f"scale/{name}": np.array([scale], np.float32) for name, scale in RESCALED.items()}
    for name in ("seg_att.theta.weight", "seg_att.phi.weight", "seg_conv4.weight"):
        out[f"weight/{name}"] = net.get_parameter(name).detach().float().numpy()
    pairs = {"single": [], "multi": [], "flip": []}
    for name, image in images.items():
        h, w = image.shape[:2]
        with torch.no_grad():
            single = scores(net, image).argmax(0).astype(np.uint8)
            multi = scores(net, image, SCALES)
            flip = scores(net, image, SCALES, flip=True)
            cams = class_activation_maps(net, image)
            exact, single32 = net(normalised(image)), rough(normalised(image).float())
        for key in ("initialSegmentation", "refinedSegmentation"):
            print(name, key, "float32's own error", float((single32[key] - exact[key]).abs().max() / exact[key].abs().max()))
        # A truth that the predictions meet in places.
        truth = np.roll(single, (5, 7), (0, 1))
        truth[h // 3 : h // 3 + 6] = 255
        labels = {"single": single, "multi": multi.argmax(0).astype(np.uint8), "flip": flip.argmax(0).astype(np.uint8)}
        for key, value in labels.items():
            pairs[key].append((truth, value))
            out[f"{name}_{key}"] = value
        out |= {
            f"{name}_image": image,
            f"{name}_truth": truth,
            f"{name}_scores": coarse(multi),
            f"{name}_flipScores": coarse(flip),
            f"{name}_cams": coarse(cams),
        }
        print(name, "classes", np.bincount(single.ravel(), minlength=5), "single against multi", np.mean(single != labels["multi"]))
    out["miou"] = np.array([mean_iou(pairs[key], CLASSES + 1) for key in pairs])
    print("miou", out["miou"])
    np.savez_compressed(OUT / "predict.npz", **out)


def blobs(rng, n: int, h: int, w: int, count: int) -> np.ndarray:
    """[n,h,w] smooth bumps on a negative floor."""
    y, x = np.mgrid[0:h, 0:w]
    maps = np.full((n, h, w), -0.4)
    for k in range(n):
        for _ in range(count):
            cy, cx, r = rng.uniform(0, h), rng.uniform(0, w), rng.uniform(0.1, 0.22) * min(h, w)
            maps[k] += rng.uniform(0.6, 1.8) * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * r * r))
    return maps + rng.normal(0, 0.05, maps.shape)


def updates() -> None:
    import pydensecrf.densecrf as dcrf

    rng = np.random.default_rng(66)
    out = {}
    for name, (height, width), present in (("u0", (83, 61), (0, 2)), ("u1", (50, 77), (1,)), ("u2", (40, 40), (0, 1, 3))):
        h, w = -(-height // 8), -(-width // 8)
        image = picture(rng, height, width)
        labels = np.zeros(CLASSES, np.uint8)
        labels[list(present)] = 1
        cam = blobs(rng, CLASSES, h, w, 2).astype(np.float32)
        strongest = torch.from_numpy(cam[list(present)].max(0).astype(np.float64))[None, None]
        grey = 0.6 * resized(strongest, (height, width))[0, 0].numpy() + 0.3 * blobs(rng, 1, height, width, 3)[0]
        original = np.clip(255 * grey, 0, 255).astype(np.uint8)
        refined = (6 * blobs(rng, 1, h, w, 4)[0] - 1).astype(np.float32)
        y, x = (grid.ravel() for grid in np.mgrid[0:h, 0:w])
        near = -((y[:, None] - y) ** 2 + (x[:, None] - x) ** 2) / 0.8 + rng.normal(0, 0.5, (h * w, h * w))
        affinity = torch.softmax(torch.from_numpy(near), -1).numpy()
        affinity = coarse(affinity)

        # Method facts, section 4, in float64.
        positive = np.maximum(cam.astype(np.float64), 0)
        maps = positive / (positive.max((1, 2), keepdims=True) + 1e-5)
        maps = (affinity.astype(np.float64) @ maps.reshape(CLASSES, -1).T).T.reshape(1, CLASSES, h, w)
        maps = resized(torch.from_numpy(maps), (height, width))[0].numpy()
        probability = torch.sigmoid(torch.from_numpy(refined.astype(np.float64)))[None, None]
        p = (resized(probability, (height, width))[0, 0].numpy() + original / 255) / 2
        sigmoid = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
        unary = np.stack([-np.log(1 - p + 1e-8) / (1.05 * sigmoid(1 - p)), -np.log(p + 1e-8) / (1.05 * sigmoid(p))])
        crf = dcrf.DenseCRF2D(width, height, 2)
        crf.setUnaryEnergy(np.ascontiguousarray(unary.reshape(2, -1), np.float32))
        crf.addPairwiseGaussian(sxy=3, compat=3)
        crf.addPairwiseBilateral(sxy=60, srgb=5, rgbim=np.ascontiguousarray(image), compat=5)
        saliency = np.array(crf.inference(1), np.float32)[1].reshape(height, width)

        masked = maps * labels[:, None, None]
        is_object, is_salient = masked.max(0) > 0.2, saliency > 0.06
        segmentation = np.full((height, width), 255, np.uint8)
        segmentation[is_object & is_salient] = masked.argmax(0)[is_object & is_salient] + 1
        segmentation[~is_object & ~is_salient] = 0
        print(name, "values", np.unique(segmentation, return_counts=True))
        out |= {
            f"{name}_image": image,
            f"{name}_labels": labels,
            f"{name}_original": original,
            f"{name}_cam": cam,
            f"{name}_affinity": affinity,
            f"{name}_refinedSaliency": refined,
            f"{name}_saliency": coarse(saliency),
            f"{name}_segmentation": segmentation,
        }
    np.savez_compressed(OUT / "update.npz", **out)


if __name__ == "__main__":
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    predictions()
    updates()
    for path in sorted(OUT.iterdir()):
        print(path.name, path.stat().st_size, "bytes")
