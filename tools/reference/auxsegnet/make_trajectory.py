"""Writes trajectory.npz beside the fixture of make_fixtures.py: 30 training steps of preset `official`, twice.

From weights.pth, over three batches in turn, in float64: once without dropout, once with the masks that `channelDropout` of
`@auxseg/runtime` draws for random key = step. Contents (PyTorch's layout):

    x [3,N,3,H,W], labels [3,N,K], salTarget [3,N,1,H,W], segTarget int32 [3,N,H,W]    the batches
    losses [30,5], lossesDropout [30,5]      the five terms before each step's update
    mask/<layer> uint8 [30,N,C]              1 = kept; layers as ours are named
    delta/<name>, deltaDropout/<name> [2]    what 30 steps changed: norm, and projection on hashed_values(name)

Optimiser as the authors' code runs it: SGD whose momentum is 1e-5 (the intended weight decay lands in that argument) and
whose decay is 0; learning rate 0.0007 (1 - step/30)^0.9; ten times that for parameters whose name holds seg, sal or fc8.

Run after make_fixtures.py: python3 make_trajectory.py
"""

from __future__ import annotations

import copy

import numpy as np
import torch

from auxsegnet import AuxSegNet, losses
from hashed_weights import fnv1a, hashed_values, mixed
from make_fixtures import FIXTURES, make_image, make_targets
from resnet38 import ChannelDropout

STEPS, BATCHES, N, CLASSES, HEIGHT, WIDTH, HEAD_CHANNELS = 30, 3, 2, 4, 65, 81, 8
BASE_LR, POWER, MOMENTUM, HEAD_SCALE = 0.0007, 0.9, 1e-5, 10
OUR_NAMES = {"dropout7": "fc8.dropout"}


def mask_of(key: int, layer: str, shape: tuple[int, int], rate: float) -> np.ndarray:
    """The runtime's mask: Mulberry32 seeded by the mixed FNV-1a of `layer/key`."""
    state = mixed(fnv1a(f"{layer}/{key}"))
    kept = []
    for _ in range(shape[0] * shape[1]):
        state = (state + 0x6D2B79F5) & 0xFFFFFFFF
        t = ((state ^ (state >> 15)) * (state | 1)) & 0xFFFFFFFF
        t ^= (t + ((t ^ (t >> 7)) * (t | 61))) & 0xFFFFFFFF
        kept.append((t ^ (t >> 14)) / 2**32 >= rate)
    return np.array(kept, np.uint8).reshape(shape)


def train(net: AuxSegNet, batches: list, masks: list[dict[str, np.ndarray]] | None) -> np.ndarray:
    scaled = lambda name: any(part in name for part in ("seg", "sal", "fc8"))  # noqa: E731
    trained = [(name, p) for name, p in net.named_parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(
        [
            {"params": [p for name, p in trained if not scaled(name)], "scale": 1},
            {"params": [p for name, p in trained if scaled(name)], "scale": HEAD_SCALE},
        ],
        lr=BASE_LR,
        momentum=MOMENTUM,
    )
    dropouts = {OUR_NAMES.get(name, name): m for name, m in net.named_modules() if isinstance(m, ChannelDropout)}
    history = []
    net.train(masks is not None)
    for step in range(STEPS):
        for name, module in dropouts.items():
            module.mask = None if masks is None else torch.from_numpy(masks[step][name]).double()
        for group in optimizer.param_groups:
            group["lr"] = BASE_LR * group["scale"] * (1 - step / STEPS) ** POWER
        x, labels, sal, seg = batches[step % BATCHES]
        parts = losses(net(x), labels, sal, seg)
        optimizer.zero_grad()
        sum(parts).backward()
        optimizer.step()
        history.append([part.item() for part in parts])
    return np.array(history, np.float32)


def changes(before: AuxSegNet, after: AuxSegNet, prefix: str) -> dict[str, np.ndarray]:
    out, old = {}, dict(before.named_parameters())
    for name, p in after.named_parameters():
        if p.requires_grad:
            delta = (p - old[name]).detach().numpy().ravel()
            along = hashed_values(name, delta.size).astype(np.float64)
            out[f"{prefix}/{name}"] = np.array([np.linalg.norm(delta), delta @ along], np.float32)
    return out


def main() -> None:
    torch.set_num_threads(1)
    state = torch.load(FIXTURES / "weights.pth", weights_only=True)
    net = AuxSegNet(CLASSES, 1 / 32, HEAD_CHANNELS)
    net.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    net.double()

    rng = np.random.default_rng(30)
    data = {"x": [], "labels": [], "salTarget": [], "segTarget": []}
    batches = []
    for _ in range(BATCHES):
        x = make_image(rng, N, HEIGHT, WIDTH)
        labels, sal, seg = make_targets(rng, N, CLASSES, HEIGHT, WIDTH)
        for key, value in zip(data, (x.astype(np.float32), labels, sal, seg)):
            data[key].append(value)
        batches.append([torch.from_numpy(v).double() for v in (x, labels, sal)] + [torch.from_numpy(seg).long()])

    channels = {
        OUR_NAMES.get(name, name): (module, module.rate)
        for name, module in net.named_modules()
        if isinstance(module, ChannelDropout)
    }
    sizes = {}
    for name, (module, _) in channels.items():
        module.register_forward_pre_hook(lambda _m, inputs, name=name: sizes.__setitem__(name, inputs[0].shape[1]))
    with torch.no_grad():
        net.eval()(batches[0][0])
    masks = [
        {name: mask_of(step, name, (N, sizes[name]), rate) for name, (_, rate) in channels.items()} for step in range(STEPS)
    ]

    plain, dropped = copy.deepcopy(net), copy.deepcopy(net)
    result = {key: np.stack(value) for key, value in data.items()}
    result["losses"] = train(plain, batches, None)
    result["lossesDropout"] = train(dropped, batches, masks)
    result |= {f"mask/{name}": np.stack([mask[name] for mask in masks]) for name in channels}
    result |= changes(net, plain, "delta") | changes(net, dropped, "deltaDropout")
    np.savez_compressed(FIXTURES / "trajectory.npz", **result)
    print("trajectory.npz", (FIXTURES / "trajectory.npz").stat().st_size, "bytes")
    for key in ("losses", "lossesDropout"):
        print(key, "first", result[key][0], "last", result[key][-1])


if __name__ == "__main__":
    main()
