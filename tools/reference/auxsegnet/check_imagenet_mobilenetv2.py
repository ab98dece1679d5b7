"""Prints what the test of the real ImageNet weights expects: per output stride, norm and projection of two maps.

The weights stay outside the repository. Run: python3 check_imagenet_mobilenetv2.py mobilenet_v2_1.0_224_imagenet.safetensors
"""

import sys
from pathlib import Path

import numpy as np
import torch

import mobilenetv2
from fixture_files import read_safetensors
from hashed_weights import hashed_values

HEIGHT, WIDTH = 97, 130

if __name__ == "__main__":
    torch.set_num_threads(1)
    weights = {name: value.astype(np.float64) for name, value in read_safetensors(Path(sys.argv[1])).items()}
    # 8x8 blocks of one colour each: closer to a picture than noise.
    blocks = hashed_values("blocks", 13 * 17 * 3).reshape(13, 17, 3).repeat(8, 0).repeat(8, 1)[:HEIGHT, :WIDTH]
    image = torch.from_numpy(blocks.astype(np.float64)).permute(2, 0, 1)[None]
    for output_stride in (8, 16, 32):
        maps = mobilenetv2.forward(weights, image, 1.0, output_stride)
        for name in ("block_13_expand", "Conv_1"):
            values = maps[name].permute(0, 2, 3, 1).reshape(-1).numpy()
            along = hashed_values(name, values.size).astype(np.float64)
            print(f"  ['{name}', {output_stride}, {np.linalg.norm(values):.6f}, {values @ along:.6f}],")
