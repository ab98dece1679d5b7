"""Small files of other programs and what they hold, for the tests of @auxseg/formats.

    pip install numpy pillow opencv-python-headless torch safetensors
    python3 tools/reference/formats/make_fixtures.py

Writes packages/formats/src/fixtures/{png,resize,numpy,pytorch,safetensors}.json: files as base64, contents as lists.
"""

import base64
import collections
import io
import json
import pickle
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from safetensors.torch import save as save_safetensors

OUT = Path(__file__).resolve().parents[3] / "packages/formats/src/fixtures"
rng = np.random.default_rng(4)


def write(name, value):
    path = OUT / name
    path.write_text(json.dumps(value, separators=(",", ":")))
    print(name, path.stat().st_size, "bytes")


def b64(data):
    return base64.b64encode(data).decode()


# --- PNG -----------------------------------------------------------------------------------------------------


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def raw_png(samples, depth, color_type, interlaced, palette=None):
    """A PNG by hand, for what Pillow does not write: Adam7, small depths; every filter type in turn."""
    height, width, channels = samples.shape

    def pack(line):
        if depth == 16:
            return line.astype(">u2").tobytes()
        if depth == 8:
            return line.astype(np.uint8).tobytes()
        bits = "".join(format(int(v), f"0{depth}b") for v in line.ravel())
        bits += "0" * (-len(bits) % 8)
        return bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))

    distance = max(1, depth * channels // 8)
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    data = b""
    for x0, y0, dx, dy in passes if interlaced else [(0, 0, 1, 1)]:
        part = samples[y0::dy, x0::dx]
        if part.size == 0:
            continue
        above = None
        for row, line in enumerate(part):
            now = pack(line)
            kind = row % 5
            before = above if above is not None else bytes(len(now))
            out = bytearray()
            for i, value in enumerate(now):
                a = now[i - distance] if i >= distance else 0
                b = before[i]
                c = before[i - distance] if i >= distance else 0
                p = a + b - c
                paeth = a if abs(p - a) <= abs(p - b) and abs(p - a) <= abs(p - c) else b if abs(p - b) <= abs(p - c) else c
                out.append((value - [0, a, b, (a + b) // 2, paeth][kind]) % 256)
            data += bytes([kind]) + bytes(out)
            above = now
    packed = zlib.compress(data)
    cut = len(packed) // 2
    body = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, int(interlaced)))
    if palette is not None:
        body += chunk(b"PLTE", palette.astype(np.uint8).tobytes())
    body += chunk(b"tEXt", b"Comment\0two IDAT chunks follow")
    body += chunk(b"IDAT", packed[:cut]) + chunk(b"IDAT", packed[cut:]) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def png():
    cases = []
    for color_type, channels, depths in [(0, 1, (1, 2, 4, 8, 16)), (3, 1, (1, 2, 4, 8)), (2, 3, (8, 16)), (4, 2, (8, 16)), (6, 4, (8, 16))]:
        for depth in depths:
            for interlaced in (False, True):
                height, width = (int(v) for v in rng.integers(1, 20, 2))
                samples = rng.integers(0, 2**depth, (height, width, channels))
                palette = rng.integers(0, 256, (2**depth, 3)) if color_type == 3 else None
                data = raw_png(samples, depth, color_type, interlaced, palette)
                image = Image.open(io.BytesIO(data))
                image.load()
                case = {"file": b64(data), "width": width, "height": height, "depth": depth, "colorType": color_type,
                        "samples": samples.ravel().tolist()}
                if depth <= 8:  # Pillow clips 16 bits instead of scaling them
                    case["rgb"] = np.asarray(image.convert("RGB")).ravel().tolist()
                    source = image.convert("RGB") if color_type in (3, 6) else image
                    case["grey"] = np.asarray(source.convert("L")).ravel().tolist()
                cases.append(case)
    mask = rng.integers(0, 21, (33, 21)).astype(np.uint8)
    mask[0] = 255
    image = Image.fromarray(mask)
    image.putpalette([v for i in range(256) for v in (i, 255 - i, i // 2)])
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    cases.append({"file": b64(buffer.getvalue()), "width": 21, "height": 33, "depth": 8, "colorType": 3,
                  "samples": mask.ravel().tolist()})
    write("png.json", cases)


# --- resizing ------------------------------------------------------------------------------------------------


def resize():
    cases = []
    for (h, w), (th, tw), channels in [((7, 9), (13, 4), 3), ((1, 5), (3, 11), 1), ((6, 1), (2, 2), 2), ((8, 8), (16, 16), 1),
                                        ((12, 10), (6, 5), 1), ((5, 4), (5, 4), 3), ((23, 17), (9, 31), 1)]:
        data = rng.integers(0, 256, (h, w, channels)).astype(np.uint8)
        as_float = cv2.resize(data.astype(np.float32), (tw, th), interpolation=cv2.INTER_LINEAR).reshape(th, tw, channels)
        in_torch = torch.nn.functional.interpolate(
            torch.tensor(data).permute(2, 0, 1)[None].double(), (th, tw), mode="bilinear", align_corners=False
        )[0].permute(1, 2, 0)
        assert np.abs(as_float - in_torch.numpy()).max() < 1e-3
        cases.append({
            "from": [h, w], "to": [th, tw], "channels": channels, "data": data.ravel().tolist(),
            "linear": in_torch.numpy().round(5).ravel().tolist(),
            "linear8": cv2.resize(data, (tw, th), interpolation=cv2.INTER_LINEAR).ravel().tolist(),
            "nearest": cv2.resize(data[..., 0], (tw, th), interpolation=cv2.INTER_NEAREST).ravel().tolist(),
        })
    sizes = [[int(a), int(b), cv2.resize(np.arange(a, dtype=np.uint16)[None], (int(b), 1), interpolation=cv2.INTER_NEAREST).ravel().tolist()]
             for a, b in rng.integers(1, 120, (60, 2))]
    write("resize.json", {"cases": cases, "nearestIndices": sizes})


# --- NumPy ---------------------------------------------------------------------------------------------------


def npy(array, version=None, **kwargs):
    buffer = io.BytesIO()
    if version:
        np.lib.format.write_array(buffer, array, version=version)
    else:
        np.save(buffer, array, **kwargs)
    return buffer.getvalue()


def numpy():
    arrays = []
    base = np.arange(24).reshape(2, 3, 4)
    for kind in ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u1", "b1", "u2", "u4", "u8"]:
        for order in "<>":
            array = (base % 2 if kind == "b1" else base * (1 if kind[0] != "i" else -1)).astype(order + kind)
            arrays.append({"file": b64(npy(array)), "kind": kind, "shape": [2, 3, 4], "data": array.ravel().astype(float).tolist()})
    for name, array in {
        "fortran": np.asfortranarray(base.astype("f4")), "fortran2": np.asfortranarray(base[0].astype(">i4")),
        "scalar": np.array(2.5), "one": np.arange(3.0), "empty": np.zeros((0, 3), "f4"),
    }.items():
        arrays.append({"file": b64(npy(array)), "kind": name, "shape": list(array.shape), "data": array.ravel().astype(float).tolist()})
    for version in [(2, 0), (3, 0)]:
        arrays.append({"file": b64(npy(np.arange(5.0), version=version)), "kind": "version", "shape": [5], "data": [0, 1, 2, 3, 4]})

    named = {"a": np.arange(6, dtype="f4").reshape(2, 3), "b/c": np.array([True, False]), "d": np.array(7)}
    archives = []
    for save in (np.savez, np.savez_compressed):
        buffer = io.BytesIO()
        save(buffer, **named)
        archives.append(b64(buffer.getvalue()))

    value = {"2007_000032": np.array([1, 0, 1], "f4"), "2007_000039": np.array([0, 1, 0], "f4"), "é": np.array([0, 0, 0], "f4")}
    pickled = []
    for protocol in range(6):
        header = {"descr": "|O", "fortran_order": False, "shape": ()}
        buffer = io.BytesIO()
        np.lib.format.write_array_header_1_0(buffer, header)
        pickle.dump(np.array(value, dtype=object), buffer, protocol=protocol)
        pickled.append(b64(buffer.getvalue()))
    mixed = {"list": [1, 2.5, None, True, "text", b"bytes", (1, 2), {3}], "big": 2**70, "negative": -(2**40),
             "matrix": np.arange(4, dtype=">i2").reshape(2, 2), "scalar": np.float32(1.5), "flag": np.bool_(True),
             "long": "x" * 300, "inf": float("inf"), "shared": None}
    mixed["shared"] = mixed["list"]
    ordered = collections.OrderedDict(first=1, second=collections.defaultdict(list, {"k": [1]}))
    objects = [b64(npy(np.array(mixed, dtype=object), allow_pickle=True)), b64(npy(np.array([ordered, "b"], dtype=object), allow_pickle=True))]
    write("numpy.json", {"arrays": arrays, "archives": archives, "pickled": pickled, "objects": objects})


# --- PyTorch and safetensors ------------------------------------------------------------------------------------


def contents(tensors):
    return {
        name: {"dtype": str(t.dtype).removeprefix("torch."), "shape": list(t.shape),
               "data": t.detach().reshape(-1).double().tolist()}
        for name, t in tensors.items()
    }


def torch_file(value, legacy=False):
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=not legacy)
    return b64(buffer.getvalue())


def pytorch():
    torch.manual_seed(0)
    base = torch.arange(24.0).reshape(4, 6)
    state = collections.OrderedDict()
    for dtype in [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8]:
        state[f"as.{str(dtype)[6:]}"] = (torch.arange(6).reshape(2, 3) * (1.37 if dtype.is_floating_point else 1)).to(dtype)
    state["as.bool"] = torch.tensor([True, False, True])
    state["transposed"] = base.t()
    state["slice"] = base[1:, 2:5]
    state["steps"] = base[::2, ::3]
    state["shared"] = base
    state["expanded"] = torch.tensor([1.0, 2.0])[:, None].expand(2, 3)
    state["scalar"] = torch.tensor(3)
    state["empty"] = torch.zeros(0, 4)
    state["parameter"] = torch.nn.Parameter(torch.tensor([1.5, -2.5]))
    state["permuted"] = torch.arange(24).reshape(2, 3, 4).permute(2, 0, 1)
    tagged = torch.tensor([9.0])
    tagged.note = "a Python attribute"
    state["tagged"] = tagged

    small = collections.OrderedDict(("fc8." + k, torch.rand(2, 3)) for k in ("weight", "other"))
    parallel = collections.OrderedDict(("module." + k, v) for k, v in small.items())
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2))
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    module(torch.rand(1, 1, 2, 2)).sum().backward()
    optimizer.step()
    files = {"bare": torch_file(state), "bareLegacy": torch_file(state, True)}
    values = {
        "nested": {"state_dict": small, "epoch": 7, "best": 0.5, "name": "run", "optimizer": {"lr": 0.1}},
        "besideTensors": {"best": torch.tensor(0.5), "state_dict": small, "rng": torch.arange(4, dtype=torch.uint8)},
        "twice": {"a": {"b": torch.tensor([1.0])}, "a.b": torch.tensor([2.0])},
        "parallel": parallel,
        "training": {"model": module.state_dict(), "optimizer": optimizer.state_dict(), "iteration": 3, "score": np.float64(0.25)},
        "two": {"generator": small, "critic": small},
        "list": [torch.tensor([1.0]), {"a": torch.tensor([2.0])}],
        "noTensors": {"epoch": 1},
        "numpy": {"w": np.arange(6, dtype="f4").reshape(2, 3)},
        "wideInt": {"w": torch.tensor([1, 65535]).to(torch.uint16)},
        "complex": {"w": torch.tensor([1j])},
    }
    for name, value in values.items():
        files[name] = torch_file(value)
        files[name + "Legacy"] = torch_file(value, True)

    class Evil:
        def __reduce__(self):
            return (print, ("this must never be printed",))

    files["evil"] = torch_file({"state_dict": small, "extra": Evil()})
    import argparse

    files["namespace"] = torch_file({"state_dict": small, "args": argparse.Namespace(lr=0.1, nested=[1])})
    files["module"] = torch_file(torch.nn.Linear(2, 1))
    write("pytorch.json", {"files": files, "bare": contents(state), "small": contents(small), "module": contents(module.state_dict())})

    plain = {k: v.contiguous() for k, v in state.items() if k.startswith("as.") or k in ("scalar", "empty")}
    wide = {"u16": torch.tensor([1, 65535]).to(torch.uint16), "u32": torch.tensor([1, 2**32 - 1]).to(torch.uint32),
            "u64": torch.tensor([1, 2**40]).to(torch.uint64)}
    write("safetensors.json", {"file": b64(save_safetensors(plain, {"format": "pt"})), "tensors": contents(plain),
                               "wide": b64(save_safetensors(wide))})


OUT.mkdir(parents=True, exist_ok=True)
png()
resize()
numpy()
pytorch()
