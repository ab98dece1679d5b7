"""One contender of bench/training: PyTorch on CPU. A line on stdin asks for one step; the answer is a line of JSON.

Arguments: the case as JSON (see cases.mjs), threads.
"""

import json
import resource
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "tools" / "reference" / "auxsegnet"))
from auxsegnet import AffinityAlone, AuxSegNet, losses, propagate  # noqa: E402
from mobilenet_auxsegnet import MobileNetAuxSegNet  # noqa: E402

case, threads = json.loads(sys.argv[1]), int(sys.argv[2])
torch.set_num_threads(threads)
torch.manual_seed(1)


def network():
    if case["network"] == "mobilenet":
        return MobileNetAuxSegNet(case["classes"])
    return AuxSegNet(case["classes"], case["width"])


def step_of_affinity():
    h, w = case["size"]
    block = AffinityAlone()
    seg = torch.rand(1, 128, h, w).mul_(0.2).requires_grad_()
    sal = torch.rand(1, 128, h, w).mul_(0.2).requires_grad_()
    logits = {"seg": torch.randn(1, case["classes"] + 1, h, w), "sal": torch.randn(1, 1, h, w)}
    variables = [p for p in block.parameters() if p.requires_grad] + [seg, sal]

    def step():
        a, b, cross = block(seg, sal)
        refined = [propagate(cross, x).square().sum() for x in logits.values()]
        loss = a.sum() + b.sum() + refined[0] + refined[1]
        torch.autograd.grad(loss, variables)
        return loss.item()

    return step, variables


def step_of_network():
    n, (h, w), classes = case["batch"], case["size"], case["classes"]
    net = network()
    images = torch.rand(n, 3, h, w) * 2 - 1
    if case["kind"] == "inference":
        net.eval()

        def infer():
            with torch.inference_mode():
                return net(images)["refinedSegmentation"][0, 0, 0, 0].item()

        return infer, [p for p in net.parameters() if p.requires_grad]
    net.train()
    labels = (torch.rand(n, classes) > 0.5).float()
    saliency = (torch.rand(n, 1, h, w) > 0.5).float()
    segmentation = torch.randint(0, classes + 1, (n, h, w))
    variables = [p for p in net.parameters() if p.requires_grad]
    sgd = torch.optim.SGD(variables, lr=1e-5, momentum=0.9, weight_decay=1e-4)

    def step():
        sgd.zero_grad(set_to_none=True)
        loss = sum(losses(net(images), labels, saliency, segmentation))
        loss.backward()
        sgd.step()
        return loss.item()

    return step, variables


step, variables = step_of_affinity() if case["kind"] == "affinity" else step_of_network()
print(json.dumps({"tensors": len(variables), "parameters": sum(v.numel() for v in variables)}), flush=True)


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


for _ in sys.stdin:
    wall, cpu = time.perf_counter(), time.process_time()
    loss = step()
    print(
        json.dumps(
            {
                "wall": 1000 * (time.perf_counter() - wall),
                "cpu": 1000 * (time.process_time() - cpu),
                "loss": loss,
                "resident": resident() if sys.platform == "linux" else 0,
                "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
        ),
        flush=True,
    )
