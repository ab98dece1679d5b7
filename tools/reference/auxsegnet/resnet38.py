"""Wide ResNet-38 ("resnet38d") in plain torch.nn, from the block table of the method description.

Independent of the TypeScript packages and of the authors' sources: it exists to produce numbers for them to be
checked against. Module names are those of the public checkpoints, so that real `.pth` files load here too.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

# (name, channels in, mid, out, stride, dilation of the first 3x3, dilation of the second 3x3)
BASIC_BLOCKS = [
    ("b2", 64, 128, 128, 2, 1, 1),
    ("b2_1", 128, 128, 128, 1, 1, 1),
    ("b2_2", 128, 128, 128, 1, 1, 1),
    ("b3", 128, 256, 256, 2, 1, 1),
    ("b3_1", 256, 256, 256, 1, 1, 1),
    ("b3_2", 256, 256, 256, 1, 1, 1),
    ("b4", 256, 512, 512, 2, 1, 1),
    *[(f"b4_{k}", 512, 512, 512, 1, 1, 1) for k in range(1, 6)],
    ("b5", 512, 512, 1024, 1, 1, 2),
    ("b5_1", 1024, 512, 1024, 1, 2, 2),
    ("b5_2", 1024, 512, 1024, 1, 2, 2),
]
# (name, channels in, out, dilation, rate of the channel dropout)
BOTTLENECK_BLOCKS = [("b6", 1024, 2048, 4, 0.3), ("b7", 2048, 4096, 4, 0.5)]


def scaled(channels: int, width: float) -> int:
    return max(1, round(channels * width))


class FrozenBatchNorm(nn.BatchNorm2d):
    """Batch norm on its running statistics, in training too; gamma and beta stay as loaded."""

    def __init__(self, channels: int):
        super().__init__(channels, eps=1e-5)
        self.weight.requires_grad_(False)
        self.bias.requires_grad_(False)

    def forward(self, x):
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)


class ChannelDropout(nn.Module):
    """Drops whole channels in training; `mask` ([N,C], 0 or 1) replaces the draw when it is set."""

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate
        self.mask: torch.Tensor | None = None

    def forward(self, x):
        if not self.training or self.rate == 0:
            return x
        if self.mask is None:
            return F.dropout2d(x, self.rate, True)
        return x * self.mask[:, :, None, None] / (1 - self.rate)


class BasicBlock(nn.Module):
    def __init__(self, cin, mid, cout, stride, dilation1, dilation2):
        super().__init__()
        self.bn_branch2a = FrozenBatchNorm(cin)
        self.conv_branch2a = nn.Conv2d(cin, mid, 3, stride, dilation1, dilation1, bias=False)
        self.bn_branch2b1 = FrozenBatchNorm(mid)
        self.conv_branch2b1 = nn.Conv2d(mid, cout, 3, 1, dilation2, dilation2, bias=False)
        if cin != cout or stride != 1:
            self.conv_branch1 = nn.Conv2d(cin, cout, 1, stride, bias=False)

    def forward(self, x):
        pre = F.relu(self.bn_branch2a(x))
        shortcut = self.conv_branch1(pre) if hasattr(self, "conv_branch1") else x
        y = self.conv_branch2b1(F.relu(self.bn_branch2b1(self.conv_branch2a(pre))))
        return shortcut + y, pre


class BottleneckBlock(nn.Module):
    def __init__(self, cin, cout, dilation, rate):
        super().__init__()
        quarter, half = max(1, cout // 4), max(1, cout // 2)
        self.bn_branch2a = FrozenBatchNorm(cin)
        self.conv_branch2a = nn.Conv2d(cin, quarter, 1, bias=False)
        self.bn_branch2b1 = FrozenBatchNorm(quarter)
        self.dropout_2b1 = ChannelDropout(rate)
        self.conv_branch2b1 = nn.Conv2d(quarter, half, 3, 1, dilation, dilation, bias=False)
        self.bn_branch2b2 = FrozenBatchNorm(half)
        self.dropout_2b2 = ChannelDropout(rate)
        self.conv_branch2b2 = nn.Conv2d(half, cout, 1, bias=False)
        self.conv_branch1 = nn.Conv2d(cin, cout, 1, bias=False)

    def forward(self, x):
        pre = F.relu(self.bn_branch2a(x))
        y = self.dropout_2b1(F.relu(self.bn_branch2b1(self.conv_branch2a(pre))))
        y = self.dropout_2b2(F.relu(self.bn_branch2b2(self.conv_branch2b1(y))))
        return self.conv_branch1(pre) + self.conv_branch2b2(y), pre


class ResNet38(nn.Module):
    """[N,3,H,W] -> [N,4096*width,H/8,W/8]; `forward` also returns the named maps."""

    def __init__(self, width: float = 1.0):
        super().__init__()
        c = lambda channels: scaled(channels, width)  # noqa: E731
        self.conv1a = nn.Conv2d(3, c(64), 3, padding=1, bias=False)
        self.conv1a.weight.requires_grad_(False)  # never trained
        for name, cin, mid, cout, stride, d1, d2 in BASIC_BLOCKS:
            self.add_module(name, BasicBlock(c(cin), c(mid), c(cout), stride, d1, d2))
        for name, cin, cout, dilation, rate in BOTTLENECK_BLOCKS:
            self.add_module(name, BottleneckBlock(c(cin), c(cout), dilation, rate))
        self.bn7 = FrozenBatchNorm(c(4096))

    def backbone(self, x):
        named = {}
        x = self.conv1a(x)
        for name, *_ in BASIC_BLOCKS + BOTTLENECK_BLOCKS:
            x, pre = getattr(self, name)(x)
            if name == "b5":
                named["conv4"] = pre
            if name == "b6":
                named["conv5"] = pre
            named[name] = x
        features = F.relu(self.bn7(x))
        named["conv6"] = features
        return features, named
