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


class AffinityBlock(nn.Module):
    """Both attentions, their fusion, and what each does to the features (method description, 2.2 and 2.3)."""

    def add_attention(self, task: str, channels: int):
        self.add_module(f"{task}_att", PairwiseAttention(channels))
        self.add_module(f"{task}_g", nn.Conv2d(channels, channels, 1))
        self.add_module(f"{task}_W", nn.Conv2d(channels, channels, 1))

    def add_fusion(self):
        self.cross_att = nn.Sequential(
            nn.Conv2d(2, 2, 3, padding=1, bias=False), nn.ReLU(), nn.Conv2d(2, 2, 1)
        )

    def attend(self, seg, sal):
        """Features of both tasks -> the enhanced ones and the cross-task affinity."""
        affinity, enhanced = {}, {}
        for task, y in (("seg", seg), ("sal", sal)):
            layer = lambda name: getattr(self, f"{task}_{name}")  # noqa: B023, E731
            affinity[task] = layer("att")(y)
            enhanced[task] = y + layer("W")(propagate(affinity[task], layer("g")(y)))
        return enhanced["seg"], enhanced["sal"], fuse_affinities(self.cross_att, affinity["seg"], affinity["sal"])


class AffinityAlone(AffinityBlock):
    def __init__(self, channels: int = 128):
        super().__init__()
        for task in ("seg", "sal"):
            self.add_attention(task, channels)
        self.add_fusion()

    def forward(self, seg, sal):
        return self.attend(seg, sal)


class Heads(AffinityBlock):
    """The three heads and the affinity, for any backbone; `outputs` is what `forward` of a network returns."""

    def add_heads(self, features: int, classes: int, pixel_features: int, channels: int, dilations=(6, 12, 18)):
        d1, d2, d3 = dilations
        self.dropout7 = ChannelDropout(0.5)
        self.fc8 = nn.Conv2d(features, classes, 1, bias=False)
        for task, outputs in (("seg", classes + 1), ("sal", 1)):
            self.add_module(f"{task}_conv1", nn.Conv2d(pixel_features, channels, 3, padding=d1, dilation=d1))
            self.add_module(f"{task}_conv2", nn.Conv2d(channels, channels, 3, padding=d2, dilation=d2))
            self.add_module(f"{task}_conv3", nn.Conv2d(channels, channels, 3, padding=d3, dilation=d3))
            self.add_module(f"{task}_conv4", nn.Conv2d(channels, outputs, 1, bias=False))
            self.add_attention(task, channels)
        self.add_fusion()

    def outputs(self, features, pixel_features):
        pooled = self.dropout7(features).mean((2, 3), keepdim=True)
        layer = lambda task, name: getattr(self, f"{task}_{name}")  # noqa: E731
        before = {
            task: F.relu(layer(task, "conv2")(F.relu(layer(task, "conv1")(pixel_features)))) for task in ("seg", "sal")
        }
        seg, sal, cross = self.attend(before["seg"], before["sal"])
        initial = {
            task: layer(task, "conv4")(F.relu(layer(task, "conv3")(y))) for task, y in (("seg", seg), ("sal", sal))
        }
        return {
            "classification": self.fc8(pooled).flatten(1),
            "cam": F.conv2d(features, self.fc8.weight),
            "initialSaliency": initial["sal"],
            "refinedSaliency": propagate(cross, initial["sal"]),
            "initialSegmentation": initial["seg"],
            "refinedSegmentation": propagate(cross, initial["seg"]),
            "affinity": cross,
        }


class AuxSegNet(ResNet38, Heads):
    def __init__(self, classes: int = 20, width: float = 1.0, head_channels: int = 128):
        super().__init__(width)
        features = self.bn7.num_features
        self.add_heads(features, classes, features, head_channels)

    def forward(self, x):
        features, _ = self.backbone(x)
        return self.outputs(features, features)


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
