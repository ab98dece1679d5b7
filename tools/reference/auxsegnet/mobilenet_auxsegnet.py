"""AuxSegNet on MobileNetV2 (the preset `mobilenet`) in plain torch.nn: output stride 8, pixel heads on the last
projection, everything before `trainable_from` frozen. Built from the layer table in `mobilenetv2.py`.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from auxsegnet import Heads
from mobilenetv2 import layers, pad_same


class MobileNetAuxSegNet(Heads):
    def __init__(
        self,
        classes: int = 20,
        width: float = 1.0,
        output_stride: int = 8,
        trainable_from: str = "block_11",
        head_channels: int = 128,
        dilations=(2, 4, 6),
    ):
        super().__init__()
        self.table = list(layers(width, output_stride))
        trainable = False
        for name, kind, (k, _, cin, cout), stride, dilation, _, _ in self.table:
            groups = cin if kind == "depthwise" else 1
            out = cin if kind == "depthwise" else cout
            conv = nn.Conv2d(cin, out, k, stride, 0, dilation, groups)
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)
            trainable = trainable or name.startswith(trainable_from + "_")
            conv.requires_grad_(trainable)
            self.add_module(name, conv)
        features, pixel_features = self.table[-1][2][3], self.table[-2][2][3]
        self.add_heads(features, classes, pixel_features, head_channels, dilations)

    def forward(self, x):
        saved = None
        for name, _, (k, *_), stride, dilation, relu6, role in self.table:
            if role == "enter":
                saved = x
            if name == "Conv_1":
                pixel_features = x
            x = getattr(self, name)(pad_same(x, k, stride, dilation) if k > 1 else x)
            if relu6:
                x = F.relu6(x)
            if role == "leave":
                x = x + saved
        return self.outputs(x, pixel_features)
