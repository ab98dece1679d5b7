"""Writes the fixtures of packages/heads, packages/affinity and packages/cam: small inputs, weights, outputs, gradients.

Computed in float64, stored as JSON ({ name: { shape, data } }), maps channel-last, weights in PyTorch's layout.
Run: python3 make_block_fixtures.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from auxsegnet import PairwiseAttention, fuse_affinities, propagate
from fixture_files import write_json

PACKAGES = Path(__file__).resolve().parents[3] / "packages"


def nhwc(t: torch.Tensor) -> np.ndarray:
    return t.detach().permute(0, 2, 3, 1).numpy() if t.ndim == 4 else t.detach().numpy()


def direction(t: torch.Tensor) -> torch.Tensor:
    """cos(0), cos(1), ... in channel-last order, so that TypeScript can make it too."""
    shape = nhwc(t).shape
    values = torch.cos(torch.arange(t.numel(), dtype=torch.float64)).reshape(shape)
    return values.permute(0, 3, 1, 2) if t.ndim == 4 else values


def record(modules: nn.Module, inputs: dict, outputs: dict) -> dict:
    """Inputs, weights, outputs, and gradients of the sum over outputs of <output, cos(0..)>."""
    sum((value * direction(value)).sum() for value in outputs.values()).backward()
    out = {f"in/{k}": nhwc(v) for k, v in inputs.items()}
    out |= {f"grad/in/{k}": nhwc(v.grad) for k, v in inputs.items()}
    out |= {f"out/{k}": nhwc(v) for k, v in outputs.items()}
    for name, p in modules.named_parameters():
        if p.grad is not None:
            out[f"weight/{name}"] = p.detach().numpy()
            out[f"grad/{name}"] = p.grad.numpy()
    return out


def heads() -> None:
    torch.manual_seed(5)
    features, hidden, classes, dilations = 6, 5, 3, (2, 3, 4)
    net = nn.Module()
    net.fc8 = nn.Conv2d(features, classes, 1, bias=False)
    for i, dilation in enumerate(dilations, 1):
        setattr(net, f"seg_conv{i}", nn.Conv2d(features if i == 1 else hidden, hidden, 3, padding=dilation, dilation=dilation))
    net.seg_conv4 = nn.Conv2d(hidden, classes + 1, 1, bias=False)
    net.double()
    x = torch.randn(2, features, 5, 7, dtype=torch.float64, requires_grad=True)
    before = F.relu(net.seg_conv2(F.relu(net.seg_conv1(x))))
    logits = net.seg_conv4(F.relu(net.seg_conv3(before)))
    outputs = {
        "classification": net.fc8(x.mean((2, 3), keepdim=True)).flatten(1),
        "cam": net.fc8(x),
        "before": before,
        "logits": logits,
    }
    write_json(PACKAGES / "heads" / "fixtures" / "heads.json", record(net, {"features": x}, outputs))


def affinity() -> None:
    torch.manual_seed(6)
    c = 4
    for name, size in (("cross-task", (2, c, 3, 5)), ("cross-task-scaled", (1, c, 4, 4))):
        net = nn.Module()
        for task in ("seg", "sal"):
            net.add_module(f"{task}_att", PairwiseAttention(c))
            net.add_module(f"{task}_g", nn.Conv2d(c, c, 1))
            net.add_module(f"{task}_W", nn.Conv2d(c, c, 1))
        net.cross_att = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1, bias=False), nn.ReLU(), nn.Conv2d(2, 2, 1))
        net.double()
        with torch.no_grad():
            for p in net.parameters():
                p.mul_(1.8)
        inputs = {t: torch.randn(*size, dtype=torch.float64, requires_grad=True) for t in ("seg", "sal")}
        outputs, maps = {}, {}
        for task, x in inputs.items():
            attention = getattr(net, f"{task}_att")
            if name.endswith("scaled"):
                queries = attention.theta(x).flatten(2).transpose(1, 2)
                maps[task] = torch.softmax(queries @ attention.phi(x).flatten(2) / c**0.5, dim=-1)
            else:
                maps[task] = attention(x)
            outputs[task] = x + getattr(net, f"{task}_W")(propagate(maps[task], getattr(net, f"{task}_g")(x)))
        outputs["affinity"] = fuse_affinities(net.cross_att, maps["seg"], maps["sal"])
        outputs["refined"] = propagate(outputs["affinity"], outputs["seg"])
        write_json(PACKAGES / "affinity" / "fixtures" / f"{name}.json", record(net, inputs, outputs))


def cam() -> None:
    rng = np.random.default_rng(7)
    maps = rng.normal(0.2, 1, (4, 5, 7)).astype(np.float32)
    maps[2] = -np.abs(maps[2])  # a class without any activation
    positive = np.maximum(maps.astype(np.float64), 0)
    normalized = positive / (positive.max((1, 2), keepdims=True) + 1e-5)
    # Three views of an 11x9 image; the second is of the mirrored image.
    views = [rng.normal(0, 1, (1, 3, *size)) for size in ((3, 2), (3, 2), (5, 6))]
    resized = []
    for i, view in enumerate(views):
        view = torch.from_numpy(np.maximum(view, 0))
        view = torch.flip(view, dims=[3]) if i == 1 else view
        resized.append(F.interpolate(view, size=(11, 9), mode="bilinear", align_corners=False).numpy())
    fused = np.mean(resized, axis=0)
    fused = fused / (fused.max((2, 3), keepdims=True) + 1e-5)
    tensors = {"maps": maps, "normalized": normalized, "fused": fused.transpose(0, 2, 3, 1)}
    tensors |= {f"view{i}": view.transpose(0, 2, 3, 1) for i, view in enumerate(views)}
    write_json(PACKAGES / "cam" / "fixtures" / "cam.json", tensors)


if __name__ == "__main__":
    torch.set_num_threads(1)
    heads()
    affinity()
    cam()
