"""The reference of run.mjs: a PyTorch DataLoader with OpenCV, transforms as in the authors' code (flip, one scale per image, normalise,
crop with padding), driven line by line over stdin: "<workers> <images>" -> "<images> <seconds>".
"""
import random
import sys
import time

import cv2
import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

cv2.setNumThreads(0)  # as everybody does beside DataLoader workers
torch.set_num_threads(1)
root, list_name, crop, batch, with_masks, crop_first = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5] == '1', sys.argv[6] == '1'
ids = open(f'{root}/ImageSets/Segmentation/{list_name}.txt').read().split()
mean = np.array((0.485, 0.456, 0.406), np.float32)
std = np.array((0.229, 0.224, 0.225), np.float32)


class Photos(Dataset):
    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        name = ids[i % len(ids)]
        image = cv2.cvtColor(cv2.imread(f'{root}/JPEGImages/{name}.jpg'), cv2.COLOR_BGR2RGB)
        label = np.array(Image.open(f'{root}/SegmentationClassAug/{name}.png')) if with_masks else None
        if random.random() < 0.5:
            image = image[:, ::-1]
            label = None if label is None else label[:, ::-1]
        scale = random.uniform(0.7, 1.3)
        size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
        image = cv2.resize(image, size)
        label = None if label is None else cv2.resize(label, size, interpolation=cv2.INTER_NEAREST)
        if not crop_first:
            image = (image.astype(np.float32) / 255 - mean) / std
        h, w = image.shape[:2]
        ch, cw = min(h, crop), min(w, crop)
        top, left = (random.randrange(abs(h - crop) + 1), random.randrange(abs(w - crop) + 1))
        iy, cy = (top, 0) if h > crop else (0, top)
        ix, cx = (left, 0) if w > crop else (0, left)
        part = image[iy:iy + ch, ix:ix + cw]
        if crop_first:
            part = (part.astype(np.float32) / 255 - mean) / std
        out = np.zeros((crop, crop, 3), np.float32)
        out[cy:cy + ch, cx:cx + cw] = part
        item = [torch.from_numpy(np.ascontiguousarray(out.transpose(2, 0, 1)))]
        if label is not None:
            padded = np.full((crop, crop), 255, np.uint8)
            padded[cy:cy + ch, cx:cx + cw] = label[iy:iy + ch, ix:ix + cw]
            item.append(torch.from_numpy(padded))
        return item


for line in sys.stdin:
    workers, count = map(int, line.split())
    loader = DataLoader(Photos(count), batch_size=batch, shuffle=True, num_workers=workers, drop_last=True)
    iterator = iter(loader)
    first = next(iterator)  # starting the workers is not timed, on either side
    began = time.perf_counter()
    seen = 0
    for images in iterator:
        seen += len(images[0])
    print(seen, time.perf_counter() - began, flush=True)
    del iterator, loader
