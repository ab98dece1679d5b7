"""Writes the reference of the whole network: weights.pth, reference.npz (R) and gradients.npz (G).

The files have the format that `auxseg weights verify --weights W --reference R --gradients G` reads. Everything is
computed in float64 from weights that float16 holds exactly, so the reference carries no rounding of its own.

    python3 make_fixtures.py                                  the committed fixture (width 1/32)
    python3 make_fixtures.py --width 1/16 --head-channels 128 --out DIR
    python3 make_fixtures.py --width 1 --head-channels 128 --classes 20 --sizes 1x321x321 --no-gradients --float32 --out DIR
"""

from __future__ import annotations

import argparse
import copy
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from auxsegnet import AuxSegNet, losses
from resnet38 import FrozenBatchNorm

# Of theta phi^T along a row. Much more, and the softmax amplifies float32's rounding beyond the tolerances; much less, and
# every row is flat.
ROW_SPREAD = 0.8

FIXTURES = Path(__file__).resolve().parents[3] / "packages" / "auxsegnet" / "fixtures" / "official-w32"


def make_image(rng: np.random.Generator, n: int, h: int, w: int) -> np.ndarray:
    """Normalised-looking pictures, [N,3,H,W]: smooth blobs plus noise, in steps of 1/16 so that they compress."""
    y, x = np.mgrid[0:h, 0:w]
    image = rng.normal(0, 0.5, (n, 3, h, w))
    for i in range(n):
        for _ in range(6):
            cy, cx, r = rng.uniform(0, h), rng.uniform(0, w), rng.uniform(5, 25)
            image[i] += rng.normal(0, 1.2, (3, 1, 1)) * (((y - cy) ** 2 + (x - cx) ** 2) < r * r)
    return np.clip(np.round(image * 16) / 16, -2.25, 2.75)


def make_targets(rng: np.random.Generator, n: int, classes: int, h: int, w: int):
    labels = np.zeros((n, classes), np.float32)
    seg = np.zeros((n, h, w), np.int32)
    for i in range(n):
        present = rng.choice(classes, size=min(2, classes), replace=False)
        labels[i, present] = 1
        for c in present:
            top, left = rng.integers(0, h // 2), rng.integers(0, w // 2)
            seg[i, top : top + h // 3, left : left + w // 3] = c + 1
        top, left = rng.integers(0, h - h // 4), rng.integers(0, w - w // 4)
        seg[i, top : top + h // 4, left : left + w // 4] = 255
    # Grey levels on both sides of 0.5, and 0.5 itself, which counts as salient.
    sal = np.where(seg[:, None] > 0, 0.8, 0.2) + rng.choice([-0.3, 0.0, 0.3], size=(n, 1, h, w))
    return labels, np.clip(np.round(sal * 10) / 10, 0, 1).astype(np.float32), seg


def build(rng: np.random.Generator, classes: int, width: float, head_channels: int) -> AuxSegNet:
    """Random weights with sane activations: batch-norm statistics from a calibration pass, attention neither flat nor one-hot."""
    net = AuxSegNet(classes, width, head_channels).eval()
    half = lambda a: torch.from_numpy(np.asarray(a, np.float16).astype(np.float32))  # noqa: E731
    with torch.no_grad():
        for name, p in net.named_parameters():
            if p.ndim == 4:
                gain = 2.0 if p[0].numel() > 1 else 1.0
                std = (gain / p[0].numel()) ** 0.5
                p.copy_(half(rng.normal(0, std, tuple(p.shape))))
            elif name.endswith("weight"):
                p.copy_(half(rng.uniform(0.7, 1.3, tuple(p.shape))))
            else:
                p.copy_(half(rng.normal(0, 0.1, tuple(p.shape))))
        net.cross_att[0].weight.mul_(2.0)

        def calibrate(module, inputs):
            mean = inputs[0].mean((0, 2, 3)).numpy()
            var = inputs[0].var((0, 2, 3)).numpy() + 1e-2
            module.running_mean.copy_(half(mean + 0.1 * rng.normal(size=mean.shape) * var**0.5))
            module.running_var.copy_(half(var * rng.uniform(0.7, 1.4, var.shape)))

        hooks = [m.register_forward_pre_hook(calibrate) for m in net.modules() if isinstance(m, FrozenBatchNorm)]
        picture = torch.from_numpy(make_image(rng, 1, 97, 129)).float()
        net(picture)
        for hook in hooks:
            hook.remove()
        # Features of a trained network are small; at unit size make_trajectory.py is chaotic: a change
        # of 1e-7 in the weights grows to 1e-2 in a loss within ten steps.
        net.bn7.weight.copy_(half((net.bn7.weight * 0.1).numpy()))
        net.bn7.bias.copy_(half((net.bn7.bias * 0.1).numpy()))
        for attention in (net.seg_att, net.sal_att):
            seen = {}
            hooks = [
                layer.register_forward_hook(lambda _m, _i, out, key=key: seen.__setitem__(key, out.flatten(2)))
                for key, layer in (("theta", attention.theta), ("phi", attention.phi))
            ]
            net(picture)
            for hook in hooks:
                hook.remove()
            scores = seen["theta"].transpose(1, 2) @ seen["phi"]
            spread = (scores - scores.mean(-1, keepdim=True)).std().item()
            for layer in (attention.theta, attention.phi):  # standard deviation ROW_SPREAD along a row
                for p in layer.parameters():
                    p.copy_(half((p * (ROW_SPREAD / spread) ** 0.5).numpy()))
    return net


@contextmanager
def watched_relus():
    """Collects, for every ReLU that runs inside, its smallest input relative to the input's root mean square."""
    gaps, plain = [], F.relu

    def watching(x, *args, **kwargs):
        gaps.append(float(x.abs().min() / x.square().mean().sqrt()))
        return plain(x, *args, **kwargs)

    F.relu = watching
    try:
        yield gaps
    finally:
        F.relu = plain


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=Fraction, default=Fraction(1, 32))
    parser.add_argument("--head-channels", type=int, default=8)
    parser.add_argument("--classes", type=int, default=4)
    parser.add_argument("--sizes", nargs="+", default=["2x97x129", "1x64x64"], help="NxHxW of the inputs a, b, ...")
    parser.add_argument("--seed", type=int, default=2021)
    parser.add_argument("--no-gradients", action="store_true")
    parser.add_argument("--float32", action="store_true", help="compute in float32 (full width: half the memory)")
    parser.add_argument("--draws", type=int, default=40, help="pictures to choose input a from")
    parser.add_argument("--affinity-limit", type=int, default=100, help="largest hw whose affinity is recorded")
    parser.add_argument("--out", type=Path, default=FIXTURES)
    args = parser.parse_args()
    torch.set_num_threads(2)
    args.out.mkdir(parents=True, exist_ok=True)

    rng = np.random.default_rng(args.seed)
    net = build(rng, args.classes, float(args.width), args.head_channels)
    torch.save({k: v.half() if v.is_floating_point() else v for k, v in net.state_dict().items()}, args.out / "weights.pth")
    dtype = torch.float32 if args.float32 else torch.float64
    net = net.to(dtype)

    reference, gradients = {}, {}
    for tag, size in zip("abcdefgh", args.sizes):
        n, h, w = (int(v) for v in size.split("x"))
        image = make_image(rng, n, h, w)
        if tag == "a" and not args.no_gradients:
            # A unit within float32's rounding of zero may fall on either side of its ReLU, and one such unit can move a
            # gradient by a hundredth: of several pictures, the one whose closest unit is farthest from zero.
            candidates = []
            for _ in range(args.draws):
                candidate = make_image(rng, n, h, w)
                with torch.no_grad(), watched_relus() as gaps:
                    net(torch.from_numpy(candidate).to(dtype))
                candidates.append((min(gaps), candidate))
            gap, image = max(candidates, key=lambda pair: pair[0])
            print(tag, "closest unit to a ReLU's kink, relative:", gap)
        reference[f"{tag}_x"] = image.astype(np.float32)
        x = torch.from_numpy(image).to(dtype)
        want_gradients = tag == "a" and not args.no_gradients
        with torch.set_grad_enabled(want_gradients):
            outputs = net(x)
        for name, value in outputs.items():
            if name != "affinity" or value.shape[-1] <= args.affinity_limit:
                reference[f"{tag}_{name}"] = value.detach().float().numpy()
        peak = outputs["affinity"].detach().amax(-1)
        print(tag, "largest affinity of a row: mean", float(peak.mean()), "of", outputs["affinity"].shape[-1])
        if not args.float32:
            # What float32 alone costs: the floor under any comparison with this reference.
            with torch.no_grad():
                rough = copy.deepcopy(net).float()(x.float())
                error = {k: float((rough[k] - v).abs().max() / v.abs().max()) for k, v in outputs.items()}
            print(tag, "PyTorch in float32:", {k: f"{v:.1e}" for k, v in error.items()})
        if tag == "a":
            labels, sal, seg = make_targets(rng, n, args.classes, h, w)
            parts = losses(
                outputs,
                torch.from_numpy(labels).to(dtype),
                torch.from_numpy(sal).to(dtype),
                torch.from_numpy(seg.astype(np.int64)),
            )
            reference |= {"labels": labels, "salTarget": sal, "segTarget": seg}
            reference["losses"] = np.array([float(part.detach()) for part in parts], np.float32)
            print("losses", reference["losses"])
            if want_gradients:
                sum(parts).backward()
                # The low 10 mantissa bits are rounded away (2^-14 relative): the file shrinks by a third.
                for name, p in net.named_parameters():
                    if p.grad is not None:
                        bits = p.grad.float().numpy().view(np.uint32)
                        gradients[name] = ((bits + np.uint32(512)) & np.uint32(0xFFFFFC00)).view(np.float32)
                norms = {k: float(np.linalg.norm(v)) for k, v in gradients.items()}
                small = sorted(norms, key=norms.get)[:4]
                print(len(gradients), "gradients; smallest norms", {k: norms[k] for k in small})
    np.savez_compressed(args.out / "reference.npz", **reference)
    if gradients:
        np.savez_compressed(args.out / "gradients.npz", **gradients)
    for path in sorted(args.out.iterdir()):
        print(path.name, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
