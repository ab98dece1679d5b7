"""Writes packages/auxsegnet/fixtures/official-w16: all outputs of the network at width 1/16, without its weights.

Weights are hashed_values(name) * scale + offset in float32, which both languages compute, so that the file holds only the
scales and the statistics of the batch normalisations. Inputs: a = [2,3,97,129], b = [1,3,64,64]; outputs in float64,
stored in steps of 2^-14 of their largest value or less. The file names are those of `auxseg weights verify`.

    weights.json     { hashed: { name: [shape, scale, offset] }, statistics: [[name, length], ...] }
    statistics.npz   float32, the statistics one after the other
    reference.npz    R

Run: python3 make_w16_fixtures.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from auxsegnet import AuxSegNet
from hashed_weights import hashed_values
from make_fixtures import ROW_SPREAD, make_image
from resnet38 import FrozenBatchNorm

OUT = Path(__file__).resolve().parents[3] / "packages" / "auxsegnet" / "fixtures" / "official-w16"
CLASSES, WIDTH, HEAD_CHANNELS = 20, 1 / 16, 8
STEPS = 2**14


def stepped(a: np.ndarray) -> np.ndarray:
    """Rounded to a power of two near 1/STEPS of the largest value: relative error up to 3e-5, and a file of half the size."""
    step = 2.0 ** np.floor(np.log2(float(np.abs(a).max()) / STEPS))
    return (np.round(a / step) * step).astype(np.float32)


def main() -> None:
    torch.set_num_threads(1)
    rng = np.random.default_rng(16)
    net = AuxSegNet(CLASSES, WIDTH, HEAD_CHANNELS).eval()
    parameters = dict(net.named_parameters())
    half = lambda v: float(np.float16(v))  # noqa: E731
    entries: dict[str, list] = {}

    def fill(name: str, scale: float, offset: float = 0.0) -> None:
        p = parameters[name]
        scale, offset = np.float32(half(scale)), np.float32(half(offset))
        values = (hashed_values(name, p.numel()) * scale).astype(np.float32) + offset
        with torch.no_grad():
            p.copy_(torch.from_numpy(values.astype(np.float32)).reshape(p.shape))
        entries[name] = [list(p.shape), float(scale), float(offset)]

    for name, p in parameters.items():
        if p.ndim == 4:
            # A uniform variable in [-1, 1) has variance 1/3.
            gain = 2.0 if p[0].numel() > 1 else 1.0
            fill(name, (3 * gain / p[0].numel()) ** 0.5 * (2 if name == "cross_att.0.weight" else 1))
        elif name.endswith("weight"):
            # Small features at the end, as those of a trained network (make_fixtures.py says why).
            fill(name, *((0.03, 0.1) if name == "bn7.weight" else (0.3, 1.0)))
        else:
            fill(name, 0.017 if name == "bn7.bias" else 0.17)

    statistics: dict[str, np.ndarray] = {}
    names = {module: name for name, module in net.named_modules()}

    def calibrate(module, inputs):
        mean = inputs[0].mean((0, 2, 3)).numpy()
        var = inputs[0].var((0, 2, 3)).numpy() + 1e-2
        mean = (mean + 0.1 * rng.normal(size=mean.shape) * var**0.5).astype(np.float16).astype(np.float32)
        var = (var * rng.uniform(0.7, 1.4, var.shape)).astype(np.float16).astype(np.float32)
        module.running_mean.copy_(torch.from_numpy(mean))
        module.running_var.copy_(torch.from_numpy(var))
        statistics[f"{names[module]}.running_mean"] = mean
        statistics[f"{names[module]}.running_var"] = var

    picture = torch.from_numpy(make_image(rng, 1, 97, 129)).float()
    with torch.no_grad():
        hooks = [m.register_forward_pre_hook(calibrate) for m in net.modules() if isinstance(m, FrozenBatchNorm)]
        net(picture)
        for hook in hooks:
            hook.remove()
        for task in ("seg", "sal"):
            attention, seen = getattr(net, f"{task}_att"), {}
            hooks = [
                getattr(attention, key).register_forward_hook(lambda _m, _i, out, key=key: seen.__setitem__(key, out.flatten(2)))
                for key in ("theta", "phi")
            ]
            net(picture)
            for hook in hooks:
                hook.remove()
            scores = seen["theta"].transpose(1, 2) @ seen["phi"]
            spread = (scores - scores.mean(-1, keepdim=True)).std().item()
            for name in (f"{task}_att.{key}.{part}" for key in ("theta", "phi") for part in ("weight", "bias")):
                fill(name, entries[name][1] * (ROW_SPREAD / spread) ** 0.5)

        net = net.double()
        reference = {}
        for tag, size in (("a", (2, 97, 129)), ("b", (1, 64, 64))):
            image = make_image(rng, *size)
            reference[f"{tag}_x"] = image.astype(np.float32)
            for name, value in net(torch.from_numpy(image)).items():
                reference[f"{tag}_{name}"] = stepped(value.numpy())
                print(tag, name, value.shape, float(value.std()))

    OUT.mkdir(parents=True, exist_ok=True)
    listing = {"hashed": entries, "statistics": [[name, len(values)] for name, values in statistics.items()]}
    (OUT / "weights.json").write_text(json.dumps(listing, separators=(",", ":")) + "\n")
    np.savez_compressed(OUT / "statistics.npz", statistics=np.concatenate(list(statistics.values())))
    np.savez_compressed(OUT / "reference.npz", **reference)
    for path in sorted(OUT.iterdir()):
        print(path.name, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
