"""Layers of @auxseg/runtime as PyTorch computes them, forward and backward, in float64.

Usage: python3 tools/reference/runtime/make-fixtures.py
Writes packages/runtime/src/fixtures/pytorch-layers.json. Needs torch (any version since 1.8).
Tensors are stored channel-last as {"shape", "data"}; filters as [kh, kw, in, out].
"""

import json
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)


def draw(*shape):
    # Few bits, so that float32 holds every input exactly.
    return (torch.randint(-512, 513, shape) / 256).requires_grad_(True)


def store(tensor):
    flat = tensor.detach().contiguous().reshape(-1).tolist()
    return {"shape": list(tensor.shape), "data": [float(f"{v:.9g}") for v in flat]}


def last(image):  # NCHW -> NHWC
    return image.permute(0, 2, 3, 1)


def filters(weight):  # OIHW -> HWIO
    return weight.permute(2, 3, 1, 0)


def depthwise_filters(weight):  # [C*M,1,kh,kw] with M = 1 -> [kh,kw,C,1]
    return weight.permute(2, 3, 0, 1)


def convolutions():
    cases = []
    for n, h, w, c, k, size, stride, dilation, activation in [
        (1, 9, 7, 3, 4, 3, 1, 6, "relu"),
        (2, 8, 11, 2, 5, 3, 2, 1, "linear"),
        (1, 7, 10, 3, 2, 1, 2, 1, "linear"),
        (1, 6, 9, 2, 3, 5, 2, 1, "relu6"),
        (2, 5, 6, 2, 2, 3, 1, 2, "relu"),
    ]:
        x, weight, bias = draw(n, c, h, w), draw(k, c, size, size), draw(k)
        y = F.conv2d(x, weight, bias, stride, dilation * (size - 1) // 2, dilation)
        y = {"linear": lambda v: v, "relu": F.relu, "relu6": F.relu6}[activation](y)
        dy = draw(*y.shape)
        dx, dweight, dbias = torch.autograd.grad(y, [x, weight, bias], dy)
        cases.append({
            "options": {"filters": k, "kernelSize": size, "strides": stride, "dilation": dilation, "activation": activation},
            "x": store(last(x)), "kernel": store(filters(weight)), "bias": store(bias), "y": store(last(y)),
            "dy": store(last(dy)), "dx": store(last(dx)), "dKernel": store(filters(dweight)), "dBias": store(dbias),
        })
    return cases


def depthwise_convolutions():
    cases = []
    for n, h, w, c, size, stride, dilation in [(2, 7, 8, 5, 3, 2, 1), (1, 9, 6, 9, 3, 1, 3), (1, 6, 7, 3, 5, 1, 1)]:
        x, weight = draw(n, c, h, w), draw(c, 1, size, size)
        y = F.conv2d(x, weight, None, stride, dilation * (size - 1) // 2, dilation, groups=c)
        dy = draw(*y.shape)
        dx, dweight = torch.autograd.grad(y, [x, weight], dy)
        cases.append({
            "options": {"kernelSize": size, "strides": stride, "dilation": dilation, "useBias": False},
            "x": store(last(x)), "kernel": store(depthwise_filters(weight)), "y": store(last(y)),
            "dy": store(last(dy)), "dx": store(last(dx)), "dKernel": store(depthwise_filters(dweight)),
        })
    return cases


def batch_norms():
    cases = []
    for activation in ["linear", "relu"]:
        x, gamma, beta, mean = draw(2, 6, 4, 5), draw(6), draw(6), draw(6)
        variance = draw(6).abs().detach() + 0.125
        y = F.batch_norm(x, mean.detach(), variance, gamma, beta, training=False, eps=1e-5)
        y = F.relu(y) if activation == "relu" else y
        dy = draw(*y.shape)
        (dx,) = torch.autograd.grad(y, [x], dy)
        cases.append({
            "options": {"activation": activation},
            "x": store(last(x)), "gamma": store(gamma), "beta": store(beta), "mean": store(mean),
            "variance": store(variance), "y": store(last(y)), "dy": store(last(dy)), "dx": store(last(dx)),
        })
    return cases


def resizes():
    cases = []
    for n, c, h, w, oh, ow in [(2, 3, 5, 7, 17, 13), (1, 2, 9, 8, 4, 5), (1, 5, 3, 4, 24, 31)]:
        x = draw(n, c, h, w)
        y = F.interpolate(x, size=(oh, ow), mode="bilinear", align_corners=False)
        dy = draw(*y.shape)
        (dx,) = torch.autograd.grad(y, [x], dy)
        cases.append({"x": store(last(x)), "y": store(last(y)), "dy": store(last(dy)), "dx": store(last(dx))})
    return cases


def affinity_block():
    """theta, phi -> A for both tasks, fused, applied to one map: method.md 2.3."""
    n, h, w, c, k = 2, 4, 5, 6, 3
    length = h * w
    names = ["segTheta", "segPhi", "salTheta", "salPhi"]
    maps = {name: (draw(n, c, h, w) / 2).detach().requires_grad_(True) for name in names}
    logits = draw(n, k, h, w)
    conv1, conv2, bias = draw(2, 2, 3, 3), draw(2, 2, 1, 1), draw(2)

    def pairwise(theta, phi):
        return torch.softmax(theta.reshape(n, c, length).transpose(1, 2) @ phi.reshape(n, c, length), -1)

    seg = pairwise(maps["segTheta"], maps["segPhi"])
    sal = pairwise(maps["salTheta"], maps["salPhi"])
    stacked = torch.stack([seg, sal], 1)
    weights = torch.softmax(F.conv2d(F.relu(F.conv2d(stacked, conv1, padding=1)), conv2, bias), 1)
    fused = (stacked * weights).sum(1)
    refined = (fused @ logits.reshape(n, k, length).transpose(1, 2)).transpose(1, 2).reshape(n, k, h, w)
    dy = draw(*refined.shape)
    inputs = [maps[name] for name in names] + [logits, conv1, conv2, bias]
    gradients = torch.autograd.grad(refined, inputs, dy)
    case = {name: store(last(maps[name])) for name in names}
    case |= {"d" + name[0].upper() + name[1:]: store(last(g)) for name, g in zip(names, gradients)}
    case |= {
        "logits": store(last(logits)), "dLogits": store(last(gradients[4])),
        "conv1": store(filters(conv1)), "dConv1": store(filters(gradients[5])),
        "conv2": store(filters(conv2)), "dConv2": store(filters(gradients[6])),
        "bias": store(bias), "dBias": store(gradients[7]),
        "fused": store(fused), "refined": store(last(refined)), "dy": store(last(dy)),
    }
    return case


fixtures = {
    "convolutions": convolutions(),
    "depthwiseConvolutions": depthwise_convolutions(),
    "batchNorms": batch_norms(),
    "resizes": resizes(),
    "affinityBlock": affinity_block(),
}
root = pathlib.Path(__file__).resolve().parents[3]
target = root / "packages/runtime/src/fixtures/pytorch-layers.json"
target.parent.mkdir(exist_ok=True)
target.write_text(json.dumps(fixtures, separators=(",", ":")) + "\n")
print(f"{target.relative_to(root)}: {target.stat().st_size} bytes")
