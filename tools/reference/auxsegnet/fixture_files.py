"""Writers of the two fixture formats: safetensors, and JSON with rounded numbers for the packages that read no files."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np

DTYPES = {"float32": "F32", "float16": "F16", "int32": "I32", "uint8": "U8", "int64": "I64"}


def write_safetensors(path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, str] | None = None) -> None:
    header, blobs, offset = {}, [], 0
    if metadata:
        header["__metadata__"] = metadata
    for name, value in tensors.items():
        blob = np.ascontiguousarray(value).tobytes()
        header[name] = {
            "dtype": DTYPES[str(value.dtype)],
            "shape": list(value.shape),
            "data_offsets": [offset, offset + len(blob)],
        }
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))
    print(path.name, path.stat().st_size, "bytes")


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    types = {short: np.dtype(name) for name, short in DTYPES.items()}
    out = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = (8 + length + at for at in entry["data_offsets"])
            out[name] = np.frombuffer(raw[start:end], types[entry["dtype"]]).reshape(entry["shape"])
    return out


def write_json(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """{ name: { shape, data } } with 8 significant digits, which float32 survives."""
    plain = {
        name: {"shape": list(np.shape(value)), "data": [float(f"{v:.8g}") for v in np.ravel(value)]}
        for name, value in tensors.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plain, separators=(",", ":")) + "\n")
    print(path.name, path.stat().st_size, "bytes")
