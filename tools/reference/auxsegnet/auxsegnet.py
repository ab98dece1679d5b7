"""AuxSegNet (backbone, heads, cross-task affinity, losses) in plain torch.nn, from the method description.

`forward` returns the outputs under the names that `auxseg weights verify` uses, in PyTorch's layout.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from resnet38 import ChannelDropout, ResNet38


class PairwiseAttention(nn.Module):
    """softmax_row(theta(X) phi(X)^T); `g` and `W_z` are carried by the authors' checkpoints and never used."""

    def __init__(self, channels: int):
        super().__init__()
        self.g = nn.Conv2d(channels, channels, 1)
        self.theta = nn.Conv2d(channels, channels, 1)
        self.phi = nn.Conv2d(channels, channels, 1)
        self.W_z = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels))
        for unused in (self.g, self.W_z):
            for parameter in unused.parameters():
                parameter.requires_grad_(False)

    def forward(self, x):
        queries = self.theta(x).flatten(2).transpose(1, 2)  # [N,L,C]
        keys = self.phi(x).flatten(2)  # [N,C,L]
        return torch.softmax(queries @ keys, dim=-1)


def propagate(affinity, x):
    """[N,L,L], [N,C,h,w] -> A X, [N,C,h,w]."""
    n, c, h, w = x.shape
    return (affinity @ x.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(n, c, h, w)


def fuse_affinities(cross_att, seg, sal):
    weights = torch.softmax(cross_att(torch.stack([seg, sal], dim=1)), dim=1)
    return seg * weights[:, 0] + sal * weights[:, 1]


class AuxSegNet(ResNet38):
    def __init__(self, classes: int = 20, width: float = 1.0, head_channels: int = 128):
        super().__init__(width)
        features, h = self.bn7.num_features, head_channels
        self.dropout7 = ChannelDropout(0.5)
        self.fc8 = nn.Conv2d(features, classes, 1, bias=False)
        for task, outputs in (("seg", classes + 1), ("sal", 1)):
            self.add_module(f"{task}_conv1", nn.Conv2d(features, h, 3, padding=6, dilation=6))
            self.add_module(f"{task}_conv2", nn.Conv2d(h, h, 3, padding=12, dilation=12))
            self.add_module(f"{task}_conv3", nn.Conv2d(h, h, 3, padding=18, dilation=18))
            self.add_module(f"{task}_conv4", nn.Conv2d(h, outputs, 1, bias=False))
            self.add_module(f"{task}_att", PairwiseAttention(h))
            self.add_module(f"{task}_g", nn.Conv2d(h, h, 1))
            self.add_module(f"{task}_W", nn.Conv2d(h, h, 1))
        self.cross_att = nn.Sequential(
            nn.Conv2d(2, 2, 3, padding=1, bias=False), nn.ReLU(), nn.Conv2d(2, 2, 1)
        )

    def forward(self, x):
        features, _ = self.backbone(x)
        pooled = self.dropout7(features).mean((2, 3), keepdim=True)
        out = {
            "classification": self.fc8(pooled).flatten(1),
            "cam": F.conv2d(features, self.fc8.weight),
        }
        affinity, initial = {}, {}
        for task in ("seg", "sal"):
            layer = lambda name: getattr(self, f"{task}_{name}")  # noqa: B023, E731
            y = F.relu(layer("conv2")(F.relu(layer("conv1")(features))))
            affinity[task] = layer("att")(y)
            y = y + layer("W")(propagate(affinity[task], layer("g")(y)))
            initial[task] = layer("conv4")(F.relu(layer("conv3")(y)))
        cross = fuse_affinities(self.cross_att, affinity["seg"], affinity["sal"])
        return {
            **out,
            "initialSaliency": initial["sal"],
            "refinedSaliency": propagate(cross, initial["sal"]),
            "initialSegmentation": initial["seg"],
            "refinedSegmentation": propagate(cross, initial["seg"]),
            "affinity": cross,
        }


def losses(outputs, labels, sal_target, seg_target):
    """The five terms: classification, saliency initial and refined, segmentation initial and refined.

    labels [N,K] multi-hot; sal_target [N,1,H,W] in 0..1 (binarised at 0.5 here); seg_target int64 [N,H,W], 255 = ignore.
    """
    size = seg_target.shape[-2:]
    up = lambda x: F.interpolate(x, size=size, mode="bilinear", align_corners=False)  # noqa: E731
    binary = (sal_target >= 0.5).to(sal_target.dtype)
    sal = lambda x: F.binary_cross_entropy_with_logits(up(x), binary)  # noqa: E731
    seg = lambda x: F.cross_entropy(up(x), seg_target, ignore_index=255)  # noqa: E731
    return [
        F.multilabel_soft_margin_loss(outputs["classification"], labels),
        sal(outputs["initialSaliency"]),
        sal(outputs["refinedSaliency"]),
        seg(outputs["initialSegmentation"]),
        seg(outputs["refinedSegmentation"]),
    ]
