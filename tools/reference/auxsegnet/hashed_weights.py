"""Weights that both languages can compute from a name, so that no fixture has to carry them.

The TypeScript twin is `hashedValues` in `@auxseg/backbone/testing`: value i of tensor `name` is a 32-bit mix of
FNV-1a(name) and i, mapped to [-1, 1).
"""

from __future__ import annotations

import numpy as np


def fnv1a(text: str) -> int:
    h = 0x811C9DC5
    for byte in text.encode():
        h = ((h ^ byte) * 0x01000193) & 0xFFFFFFFF
    return h


def mixed(z: int) -> int:
    """MurmurHash3's 32-bit finaliser."""
    z = ((z ^ (z >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    z = ((z ^ (z >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    return z ^ (z >> 16)


def hashed_values(name: str, count: int) -> np.ndarray:
    """float32 [count] in [-1, 1)."""
    with np.errstate(over="ignore"):
        z = np.uint32(fnv1a(name)) + np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B9)
        z = (z ^ (z >> np.uint32(16))) * np.uint32(0x85EBCA6B)
        z = (z ^ (z >> np.uint32(13))) * np.uint32(0xC2B2AE35)
        z = z ^ (z >> np.uint32(16))
    return (z.astype(np.float64) / 2**31 - 1).astype(np.float32)
