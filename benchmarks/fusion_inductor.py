"""Hold `fuse:inductor` to the scheduler of torch.compile on a CPU: how many kernels each has for a model.

    python benchmarks/fusion_inductor.py torchvision:resnet50 …

The scheduler is asked once it has joined what it joins, and nothing is compiled. Left out are kernels that only copy
weights or the input to another layout, and concatenations whose parts others write in place (told apart: each part is
a kernel there, and all of them are one group here). Needs torch and what has the models.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any, NamedTuple

from fusion_ort import SIZES, build

MODELS = [
    "torchvision:alexnet", "torchvision:resnet18", "torchvision:resnet50", "torchvision:vgg16_bn",
    "torchvision:mobilenet_v2", "torchvision:mobilenet_v3_large", "torchvision:mnasnet1_0",
    "torchvision:efficientnet_b0", "torchvision:regnet_y_800mf", "torchvision:convnext_tiny",
    "torchvision:squeezenet1_1", "torchvision:googlenet", "torchvision:densenet121", "torchvision:vit_b_16",
]  # fmt: skip


class Kernels(NamedTuple):
    """How many kernels, and into how many parts of concatenations they write."""

    kernels: int
    parts: int


class Asked(Exception):
    """Raised in place of compiling."""


def kernels_of(module: Any, shape: tuple[int, ...]) -> Kernels:
    """What the scheduler makes of ``module`` on one input."""
    import torch
    from torch._inductor import config, scheduler

    found: list[Kernels] = []

    def count(self: Any) -> None:
        graph = scheduler.V.graph
        given = {*graph.graph_inputs, *graph.constants}
        kernels = parts = 0
        for node in self.nodes:
            kind = type(node).__name__
            if kind == "NopKernelSchedulerNode":
                parts += len(getattr(node.node, "inputs", ()))
                continue
            each = node.get_nodes()
            read = {dep.name for one in each if one.read_writes for dep in one.read_writes.reads}
            kernels += kind.startswith("Extern") or not read <= given
        found.append(Kernels(kernels, parts))
        raise Asked

    config.force_disable_caches = True
    torch._dynamo.reset()
    before, scheduler.Scheduler.codegen = scheduler.Scheduler.codegen, count
    try:
        with torch.no_grad():
            torch.compile(module, dynamic=False)(torch.randn(shape))
    except Exception:
        if not found:
            raise
    finally:
        scheduler.Scheduler.codegen = before
    return Kernels(sum(one.kernels for one in found), sum(one.parts for one in found))


def main() -> None:
    """Compare each model that is asked for."""
    warnings.simplefilter("ignore")
    import torch

    import costcalc
    from costcalc.transforms.fuse import partition

    print(f"torch {torch.__version__}, kernels of the scheduler and of fuse:inductor")
    for name in sys.argv[1:] or MODELS:
        module, shape = build(name), (1, *SIZES.get(name, (3, 224, 224)))
        theirs, ours = kernels_of(module, shape), len(partition(costcalc.trace(module, shape), "inductor"))
        told = "exact" if ours == theirs.kernels else f"{theirs.parts} parts of concatenations" * bool(theirs.parts)
        print(f"{name:36} {theirs.kernels:4} {ours:4}  {told}", flush=True)


if __name__ == "__main__":
    main()
