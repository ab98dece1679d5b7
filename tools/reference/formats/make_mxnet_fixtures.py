"""MXNet .params files of every array version, checked by MXNet itself.

MXNet 1.9.1 is the last release; it needs an old NumPy:

    pip install --target mxenv --no-deps mxnet==1.9.1 numpy==1.23.5 graphviz==0.8.4
    PYTHONPATH=mxenv python3 tools/reference/formats/make_mxnet_fixtures.py

Writes packages/formats/src/fixtures/mxnet.json.
"""

import base64
import json
import struct
import tempfile
from pathlib import Path

import numpy as np

for name, value in {"bool": bool, "float": float, "int": int, "object": object, "complex": complex, "str": str}.items():
    if name not in np.__dict__:
        setattr(np, name, value)
import mxnet as mx

OUT = Path(__file__).resolve().parents[3] / "packages/formats/src/fixtures/mxnet.json"
rng = np.random.default_rng(1)
FLAGS = {"float32": 0, "float64": 1, "float16": 2, "uint8": 3, "int32": 4, "int8": 5, "int64": 6}
arrays = {
    "arg:conv1a_weight": rng.normal(size=(2, 3, 1, 1)).astype("float32"),
    "aux:bn7_moving_mean": rng.normal(size=5).astype("float32"),
    **{f"arg:as_{kind}": np.arange(3).astype(kind) for kind in FLAGS},
}


def by_hand(version):
    """Array versions 0 (32-bit shape, before 0.9) and 1 (64-bit shape), as LegacyLoad in MXNet's ndarray.cc reads them."""
    data = struct.pack("<QQQ", 0x112, 0, len(arrays))
    for array in arrays.values():
        if version == 1:
            data += struct.pack("<II", 0xF993FAC8, array.ndim) + struct.pack(f"<{array.ndim}q", *array.shape)
        else:
            data += struct.pack("<I", array.ndim) + struct.pack(f"<{array.ndim}I", *array.shape)
        data += struct.pack("<iii", 1, 0, FLAGS[str(array.dtype)]) + array.tobytes()
    data += struct.pack("<Q", len(arrays))
    for name in arrays:
        data += struct.pack("<Q", len(name)) + name.encode()
    return data


def loaded_by_mxnet(data):
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/x.params"
        Path(path).write_bytes(data)
        return mx.nd.load(path)


files = {"v0": by_hand(0), "v1": by_hand(1)}
with tempfile.TemporaryDirectory() as folder:
    path = f"{folder}/x.params"
    mx.nd.save(path, {name: mx.nd.array(a, dtype=a.dtype) for name, a in arrays.items()})
    files["v2"] = Path(path).read_bytes()
    with mx.util.np_shape(True), mx.util.np_array(True):
        mx.npx.save(path, {name: mx.np.array(a, dtype=a.dtype) for name, a in {**arrays, "arg:scalar": np.float32(2.5)}.items()})
    files["v3"] = Path(path).read_bytes()
    mx.nd.save(path, [mx.nd.array([1, 2])])
    files["unnamed"] = Path(path).read_bytes()
    mx.nd.save(path, {"sparse": mx.nd.sparse.row_sparse_array(([[1, 2]], [1]), shape=(3, 2))})
    files["sparse"] = Path(path).read_bytes()
for version in ("v0", "v1"):
    known = loaded_by_mxnet(files[version])
    assert known.keys() == arrays.keys() and all((known[n].asnumpy() == a).all() for n, a in arrays.items())

OUT.write_text(json.dumps({
    "files": {name: base64.b64encode(data).decode() for name, data in files.items()},
    "arrays": {name: {"dtype": str(a.dtype), "shape": list(a.shape), "data": a.ravel().astype(float).tolist()} for name, a in arrays.items()},
}, separators=(",", ":")))
print(OUT.name, OUT.stat().st_size, "bytes; MXNet", mx.__version__)
