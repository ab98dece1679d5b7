"""Do other programs read what @auxseg/formats writes? (Build the packages first.)

    pip install numpy pillow torch safetensors
    python3 tools/reference/formats/check_writers.py

MXNet is checked, too, when it can be imported (see make_mxnet_fixtures.py).
"""

import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

WRITE = """
import { mkdirSync, writeFileSync } from 'node:fs';
import * as f from '@auxseg/formats';
const out = process.argv[1];
const ramp = (Type, n) => Type.from({ length: n }, (_, i) => Type === BigInt64Array ? BigInt(i - 3) : i - 3);
const numbers = new Map([
  ['float64', Float64Array], ['float32', Float32Array], ['float16', Float32Array], ['int64', BigInt64Array],
  ['int32', Int32Array], ['int16', Int16Array], ['int8', Int8Array],
].map(([dtype, Type]) => [dtype, { dtype, shape: [2, 3, 1], data: ramp(Type, 6) }]));
numbers.set('uint8', { dtype: 'uint8', shape: [2, 3, 1], data: Uint8Array.from({ length: 6 }, (_, i) => i) });
const all = new Map([...numbers,
  ['bfloat16', { dtype: 'bfloat16', shape: [3], data: Float32Array.of(1.5, -2, 1e30) }],
  ['bool', { dtype: 'bool', shape: [2], data: Uint8Array.of(1, 0) }],
  ['empty', { dtype: 'float32', shape: [0, 4], data: new Float32Array(0) }],
]);
const scalars = new Map([...all, ['scalar', { dtype: 'float32', shape: [], data: Float32Array.of(2.5) }]]);
writeFileSync(`${out}/a.safetensors`, f.writeSafetensors(scalars, { note: 'é' }));
writeFileSync(`${out}/a.pth`, f.writePyTorchCheckpoint(scalars));
writeFileSync(`${out}/nested.pth`, f.writePyTorchCheckpoint(scalars, { stateDictKey: 'state_dict' }));
const plain = new Map([...scalars].filter(([name]) => name !== 'bfloat16'));
writeFileSync(`${out}/a.npz`, f.writeNpz(plain));
writeFileSync(`${out}/c.npz`, f.writeNpz(plain, { compress: true }));
writeFileSync(`${out}/a.npy`, f.writeNpy(plain.get('float16')));
writeFileSync(`${out}/a.params`, f.writeMxnetParams(new Map([...numbers].filter(([name]) => name !== 'int16'))));
const [width, height] = [37, 23];
const data = (n) => Uint8Array.from({ length: n }, (_, i) => (i * 7919) % 251 + (i % 5));
writeFileSync(`${out}/mask.png`, f.writeIndexedPng({ width, height, data: data(width * height) }));
writeFileSync(`${out}/grey.png`, f.writeGrayPng({ width, height, data: data(width * height) }));
writeFileSync(`${out}/rgb.png`, f.writeRgbPng({ width, height, data: data(width * height * 3) }));
"""
ROOT = Path(__file__).resolve().parents[3]
KINDS = ["float64", "float32", "float16", "int64", "int32", "int16", "int8"]
ramp = {kind: (np.arange(6) - 3).reshape(2, 3, 1).astype(kind) for kind in KINDS}
ramp["uint8"] = np.arange(6, dtype="uint8").reshape(2, 3, 1)


def check(name, condition):
    print("ok" if condition else "WRONG", name)
    if not condition:
        raise SystemExit(1)


def same(read, kinds=ramp):
    return all(np.asarray(read[k]).dtype == a.dtype and np.array_equal(read[k], a) for k, a in kinds.items())


with tempfile.TemporaryDirectory() as folder:
    subprocess.run(["node", "--input-type=module", "-e", WRITE, folder], cwd=ROOT, check=True)
    out = Path(folder)
    for name in ("a.npz", "c.npz"):
        with np.load(out / name) as archive:
            check(f"numpy reads {name}", same(archive) and archive["scalar"] == 2.5 and archive["empty"].shape == (0, 4))
    check("numpy reads npy", np.array_equal(np.load(out / "a.npy"), ramp["float16"]))

    data = (np.arange(37 * 23 * 3) * 7919 % 251 + np.arange(37 * 23 * 3) % 5).astype(np.uint8)
    mask = Image.open(out / "mask.png")
    check("Pillow reads the mask", mask.mode == "P" and np.array_equal(np.asarray(mask).ravel(), data[: 37 * 23]))
    check("the palette has 256 VOC colours", len(mask.getpalette()) == 768 and mask.getpalette()[765:] == [224, 224, 192])
    grey = Image.open(out / "grey.png")
    check("Pillow reads grey", grey.mode == "L" and np.array_equal(np.asarray(grey).ravel(), data[: 37 * 23]))
    rgb = Image.open(out / "rgb.png")
    check("Pillow reads RGB", rgb.mode == "RGB" and np.array_equal(np.asarray(rgb).ravel(), data))

    try:
        for kind in ("bool", "float", "int", "object", "complex", "str"):  # names that MXNet expects of an old NumPy
            if kind not in np.__dict__:
                setattr(np, kind, __builtins__.__dict__[kind])
        import mxnet as mx

        read = {name.removeprefix("arg:"): array.asnumpy() for name, array in mx.nd.load(str(out / "a.params")).items()}
        check("MXNet reads params", same(read, {k: v for k, v in ramp.items() if k != "int16"}))
    except (ImportError, AttributeError) as error:
        print("skipped MXNet:", error)
    try:
        import torch
        from safetensors.torch import load_file
    except ImportError as error:
        print("skipped PyTorch:", error)
        raise SystemExit(0)
    for name, load in [("a.pth", lambda p: torch.load(p, weights_only=True)),
                       ("nested.pth", lambda p: torch.load(p, weights_only=True, mmap=True)["state_dict"]),
                       ("a.safetensors", load_file)]:
        read = load(str(out / name))
        check(f"{name}: values", same({k: read[k].numpy() for k in ramp}) and read["scalar"] == 2.5)
        check(f"{name}: other types", read["bfloat16"].dtype == torch.bfloat16
              and read["bfloat16"].tolist()[:2] == [1.5, -2] and read["bool"].tolist() == [True, False]
              and read["empty"].shape == (0, 4))
