"""The C++ reference (through pydensecrf), timed on request: one JSON line in, one JSON line out.

Request: {"width", "height", "labels", "unary": path of float32 [labels, H*W], "image": path of uint8 [H, W, 3],
"gaussian": [sxy, compat], "bilateral": [sxy, srgb, compat], "iterations", "out": path or null}.
Answer: {"ms", "cpuMs": wall and processor time of the whole call, from the constructor to a NumPy array of Q}.
"""
import json
import sys
import time

import numpy as np
import pydensecrf.densecrf as dcrf

loaded = {}


def load(path, dtype):
    if path not in loaded:
        loaded[path] = np.fromfile(path, dtype)
    return loaded[path]


print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    r = json.loads(line)
    w, h, labels = r["width"], r["height"], r["labels"]
    unary = load(r["unary"], np.float32).reshape(labels, h * w)
    image = load(r["image"], np.uint8).reshape(h, w, 3)
    started, started_cpu = time.perf_counter(), time.process_time()
    crf = dcrf.DenseCRF2D(w, h, labels)
    crf.setUnaryEnergy(unary)
    crf.addPairwiseGaussian(sxy=r["gaussian"][0], compat=r["gaussian"][1])
    crf.addPairwiseBilateral(sxy=r["bilateral"][0], srgb=r["bilateral"][1], rgbim=image, compat=r["bilateral"][2])
    q = np.array(crf.inference(r["iterations"]))
    elapsed, elapsed_cpu = time.perf_counter() - started, time.process_time() - started_cpu
    if r.get("out"):
        q.astype(np.float32).tofile(r["out"])
    print(json.dumps({"ms": elapsed * 1e3, "cpuMs": elapsed_cpu * 1e3}), flush=True)
