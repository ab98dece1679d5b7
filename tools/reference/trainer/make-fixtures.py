"""Writes the numbers that packages/trainer's tests compare with, computed by PyTorch in float64.

    python3 tools/reference/trainer/make-fixtures.py

losses.json: losses and gradients on odd shapes; trajectories.json: 30 steps of SGD on a small two-layer network.
"""

import base64
import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

OUT = pathlib.Path(__file__).resolve().parents[3] / "packages" / "trainer" / "src" / "fixtures"
IGNORE = 255


def pack(array):
    """Little-endian base64 with shape; labels as int32, all else as float32."""
    array = np.asarray(array)
    array = array.astype("<i4" if array.dtype.kind in "iu" else "<f4")
    return {"shape": list(array.shape), "type": array.dtype.str[1:], "data": base64.b64encode(array.tobytes()).decode()}


def gradient_of(loss, logits):
    (gradient,) = torch.autograd.grad(loss, logits)
    return {"loss": loss.item(), "gradient": pack(gradient)}


def losses(rng):
    cases = {"multiLabel": [], "binary": [], "softmax": []}
    for shape, scale in [((1, 1), 1), ((3, 20), 4), ((5, 7), 60)]:
        x = torch.tensor((rng.standard_normal(shape) * scale).astype(np.float32)).double().requires_grad_()
        t = torch.tensor((rng.random(shape) < 0.3).astype(np.float64))
        result = gradient_of(F.multilabel_soft_margin_loss(x, t), x)
        cases["multiLabel"].append({"logits": pack(x.detach()), "labels": pack(t), **result})
    for shape, scale in [((1,), 1), ((2, 5, 3, 1), 3), ((1, 7, 11), 120)]:
        x = torch.tensor((rng.standard_normal(shape) * scale).astype(np.float32)).double().requires_grad_()
        t = torch.tensor(rng.random(shape).astype(np.float32)).double()
        result = gradient_of(F.binary_cross_entropy_with_logits(x, t), x)
        cases["binary"].append({"logits": pack(x.detach()), "targets": pack(t), **result})
    for (n, h, w, c), scale in [((1, 1, 1, 2), 1), ((2, 5, 7, 21), 3), ((3, 4, 9, 4), 100), ((1, 13, 3, 81), 10)]:
        x = torch.tensor((rng.standard_normal((n, h, w, c)) * scale).astype(np.float32)).double().requires_grad_()
        y = rng.integers(0, c, (n, h, w))
        y[rng.random((n, h, w)) < 0.3] = IGNORE
        y[0, 0, 0] = 0
        result = gradient_of(F.cross_entropy(x.permute(0, 3, 1, 2), torch.tensor(y), ignore_index=IGNORE), x)
        cases["softmax"].append({"logits": pack(x.detach()), "labels": pack(y), **result})
    return cases


def trajectory(name, base_lr, momentum, decays, scales, accumulate):
    """A network of two matrix products, each its own parameter group; rates set before each step by the poly rule."""
    steps, rows, inputs, hidden, classes = 30, 6, 5, 8, 4
    rng = np.random.default_rng(len(name))
    w1 = torch.tensor(rng.standard_normal((inputs, hidden)) * 0.5, dtype=torch.float64, requires_grad=True)
    b1 = torch.tensor(rng.standard_normal(hidden) * 0.1, dtype=torch.float64, requires_grad=True)
    w2 = torch.tensor(rng.standard_normal((hidden, classes)) * 0.5, dtype=torch.float64, requires_grad=True)
    unused = torch.ones(3, dtype=torch.float64, requires_grad=True)
    start = [pack(p.detach()) for p in (w1, b1, w2)]
    for p in (w1, b1, w2):  # the float32 values that the test will start from
        p.data = p.data.float().double()
    x = rng.standard_normal((steps * accumulate, rows, inputs)).astype(np.float32)
    y = rng.integers(0, classes, (steps * accumulate, rows))
    y[rng.random(y.shape) < 0.2] = IGNORE
    y[:, 0] = 1
    groups = [
        {"params": [w1, b1, unused], "lr": base_lr * scales[0], "weight_decay": decays[0]},
        {"params": [w2], "lr": base_lr * scales[1], "weight_decay": decays[1]},
    ]
    optimizer = torch.optim.SGD(groups, lr=base_lr, momentum=momentum)
    values = []
    for step in range(steps):
        for group, scale in zip(optimizer.param_groups, scales):
            group["lr"] = base_lr * scale * (1 - step / steps) ** 0.9
        optimizer.zero_grad()
        total = 0.0
        for i in range(step * accumulate, (step + 1) * accumulate):
            logits = torch.relu(torch.tensor(x[i]).double() @ w1 + b1) @ w2
            loss = F.cross_entropy(logits, torch.tensor(y[i]), ignore_index=IGNORE) / accumulate
            loss.backward()
            total += loss.item()
        optimizer.step()
        values.append(total)
    assert torch.equal(unused, torch.ones(3))
    return {
        "name": name, "steps": steps, "baseLr": base_lr, "momentum": momentum, "weightDecay": decays, "lrScale": scales,
        "accumulate": accumulate, "start": start, "x": pack(x), "y": pack(y),
        "losses": values, "end": [pack(p.detach()) for p in (w1, b1, w2)],
    }


def main():
    OUT.mkdir(exist_ok=True)
    rng = np.random.default_rng(20210811)
    trajectories = [
        trajectory("momentum and decay", 0.05, 0.9, [5e-4, 1e-2], [1, 10], 1),
        trajectory("official: momentum 1e-5, no decay", 0.02, 1e-5, [0, 0], [1, 10], 1),
        trajectory("plain", 0.1, 0, [0, 0], [1, 1], 1),
        trajectory("decay without momentum, accumulated", 0.1, 0, [1e-3, 0], [1, 2], 3),
    ]
    (OUT / "losses.json").write_text(json.dumps(losses(rng), indent=1) + "\n")
    (OUT / "trajectories.json").write_text(json.dumps(trajectories, indent=1) + "\n")


main()
