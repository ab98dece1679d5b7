"""MobileNetV2 with folded batch norm and TensorFlow 'same' padding in plain torch, at output stride 8, 16 or 32.

Weights are a dict of Keras-style names (`Conv1/kernel`, `block_1_depthwise/depthwise_kernel`, ...) to NumPy arrays in
TensorFlow's layout.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

# (expansion, channels, repeats, stride) of the seven groups
GROUPS = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]


def divisible(channels: float) -> int:
    """The nearest multiple of 8 that loses at most 10 %."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def layers(width: float, output_stride: int):
    """Yields (name, kind, kernel shape in TensorFlow's layout, stride, dilation, relu6, role)."""
    stem = divisible(32 * width)
    yield "Conv1", "conv", (3, 3, 3, stem), 2, 1, True, "plain"
    channels, current, rate, index = stem, 2, 1, 0
    for expansion, base, repeats, group_stride in GROUPS:
        out = divisible(base * width)
        for repeat in range(repeats):
            wanted = group_stride if repeat == 0 else 1
            stride, dilation = wanted, rate
            if wanted == 2 and current >= output_stride:
                stride, rate = 1, rate * 2  # this block keeps the old rate, the later ones take the new one
            current *= stride
            prefix = "expanded_conv" if index == 0 else f"block_{index}"
            hidden = channels * expansion
            if expansion != 1:
                yield f"{prefix}_expand", "conv", (1, 1, channels, hidden), 1, 1, True, "enter"
            yield f"{prefix}_depthwise", "depthwise", (3, 3, hidden, 1), stride, dilation, True, (
                "enter" if expansion == 1 else "plain"
            )
            residual = wanted == 1 and channels == out
            yield f"{prefix}_project", "conv", (1, 1, hidden, out), 1, 1, False, "leave" if residual else "plain"
            channels, index = out, index + 1
    yield "Conv_1", "conv", (1, 1, channels, divisible(1280 * max(1.0, width))), 1, 1, True, "plain"


def pad_same(x, kernel: int, stride: int, dilation: int):
    pads = []
    for size in (x.shape[3], x.shape[2]):
        total = max(0, (-(-size // stride) - 1) * stride + dilation * (kernel - 1) + 1 - size)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


def forward(weights, image, width: float = 1.0, output_stride: int = 32):
    """image: torch [N,3,H,W], x / 127.5 - 1. Returns every layer's output by name (projections with their shortcut)."""
    maps, x, saved = {}, image, None
    for name, kind, shape, stride, dilation, relu6, role in layers(width, output_stride):
        if role == "enter":
            saved = x
        suffix = "depthwise_kernel" if kind == "depthwise" else "kernel"
        kernel = torch.as_tensor(weights[f"{name}/{suffix}"])
        assert tuple(kernel.shape) == shape, (name, kernel.shape, shape)
        kernel = kernel.permute(2, 3, 0, 1) if kind == "depthwise" else kernel.permute(3, 2, 0, 1)
        groups = shape[2] if kind == "depthwise" else 1
        x = F.conv2d(
            pad_same(x, shape[0], stride, dilation), kernel, torch.as_tensor(weights[f"{name}/bias"]), stride, 0, dilation, groups
        )
        if relu6:
            x = torch.clamp(x, 0, 6)
        if role == "leave":
            x = x + saved
        maps[name] = x
    return maps
