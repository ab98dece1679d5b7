"""Writes packages/backbone/fixtures: ResNet-38 at width 1/16 and MobileNetV2 at width 0.25 against plain torch.

No weights are stored: both sides compute them from their names (hashed_weights.py). Gradients are stored as two
numbers a parameter, the norm and the projection on a hashed direction. Run: python3 make_backbone_fixtures.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

import mobilenetv2
from fixture_files import write_json, write_safetensors
from hashed_weights import hashed_values
from resnet38 import ResNet38

FIXTURES = Path(__file__).resolve().parents[3] / "packages" / "backbone" / "fixtures"
HEIGHT, WIDTH = 33, 41


def fill_resnet38(net: torch.nn.Module) -> None:
    """Uniform kernels of gain 1; batch-norm statistics around (1, 0, 0, 1)."""
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            noise = torch.from_numpy(hashed_values(name, value.numel()).reshape(tuple(value.shape)))
            if value.ndim == 4:
                value.copy_(noise * (3 / np.prod(value.shape[1:])) ** 0.5)
            elif name.endswith(("running_var", "weight")):
                value.copy_(1 + 0.3 * noise)
            else:
                value.copy_(0.2 * noise)


def resnet38() -> None:
    net = ResNet38(1 / 16).eval()  # no dropout
    fill_resnet38(net)
    x = torch.from_numpy(hashed_values("image", 2 * 3 * HEIGHT * WIDTH).reshape(2, 3, HEIGHT, WIDTH) * 2)
    features, named = net.backbone(x)
    direction = torch.from_numpy(hashed_values("direction", features.numel()).reshape(tuple(features.shape)))
    (features * direction).sum().backward()
    gradients = {}
    for name, parameter in net.named_parameters():
        if parameter.grad is not None:
            grad = parameter.grad.flatten().double()
            along = torch.from_numpy(hashed_values(name, grad.numel())).double()
            gradients[name] = np.array([grad.norm(), (grad * along).sum()])
    nhwc = lambda t: t.detach().permute(0, 2, 3, 1).contiguous().numpy()  # noqa: E731
    maps = {name: nhwc(named[name][:1]) for name in ("conv4", "conv5", "conv6")}
    write_safetensors(FIXTURES / "resnet38-w16.safetensors", maps)
    write_json(FIXTURES / "resnet38-w16-gradients.json", gradients)
    print({name: float(np.abs(v).mean()) for name, v in maps.items()})


def mobilenetv2_maps() -> None:
    maps = {}
    x = torch.from_numpy(hashed_values("image", 3 * HEIGHT * WIDTH).reshape(1, HEIGHT, WIDTH, 3)).permute(0, 3, 1, 2)
    for output_stride in (8, 16, 32):
        weights = {}
        for name, kind, shape, *_ in mobilenetv2.layers(0.25, output_stride):
            suffix = "depthwise_kernel" if kind == "depthwise" else "kernel"
            fan_in = 9 if kind == "depthwise" else int(np.prod(shape[:3]))
            kernel = hashed_values(f"{name}/{suffix}", int(np.prod(shape))).reshape(shape)
            weights[f"{name}/{suffix}"] = (kernel * np.float32((6 / fan_in) ** 0.5)).astype(np.float32)
            count = shape[2] if kind == "depthwise" else shape[3]
            weights[f"{name}/bias"] = hashed_values(f"{name}/bias", count) * np.float32(0.2)
        out = mobilenetv2.forward(weights, x, 0.25, output_stride)
        for name in ("block_13_expand", "block_16_project"):
            maps[f"os{output_stride}/{name}"] = out[name].permute(0, 2, 3, 1).contiguous().numpy()
        # Conv_1 has 1280 channels: every 8th is enough.
        maps[f"os{output_stride}/Conv_1"] = out["Conv_1"].permute(0, 2, 3, 1)[..., ::8].contiguous().numpy()
    write_safetensors(FIXTURES / "mobilenetv2-w025.safetensors", maps)
    print({name: (v.shape, float(np.abs(v).mean())) for name, v in maps.items()})


if __name__ == "__main__":
    torch.set_num_threads(1)
    resnet38()
    mobilenetv2_maps()
