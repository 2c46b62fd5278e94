"""A step of training by the rules of ops against PyTorch's own, run without values, of the same layers.

    python benchmarks/training_rules.py [--batch 2] [--models resnet18,vit_b_16] [--autocast bfloat16]

For one model of each family of the zoo: what is kept for the backward pass by the rules, and what autograd's hooks for
saved tensors see; and the peaks of activations and gradients. A model whose layers PyTorch cannot run without values is
named. With ``--autocast`` the layers are really run, on the CPU, with the fused kernel for attention.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

import torch

from costcalc import zoo
from costcalc.backends.module import to_module
from costcalc.errors import CostcalcError
from costcalc.frontends.torch.training import trained
from costcalc.ir.allocations import ObservedStep
from costcalc.ir.fields import ints
from costcalc.ir.graph import Graph
from costcalc.models import load
from costcalc.planning.autocast import TYPES
from costcalc.planning.autograd import step as by_rules
from costcalc.planning.jobs import alive

sys.path.insert(0, str(Path(__file__).parent))


def by_torch(graph: Graph) -> ObservedStep:
    """PyTorch's modules of the layers, run without values."""
    types = [graph.types[v] for v in graph.inputs]
    given = [torch.empty(ints(t.shape), dtype=getattr(torch, t.dtype), device="meta") for t in types]
    return trained(to_module(graph, device="meta", initialise=False), given, {})


def really(graph: Graph, autocast: str) -> tuple[int, int]:
    """What a real step under autocast keeps, and its peak."""
    types = [graph.types[v] for v in graph.inputs]
    given = [torch.rand(ints(t.shape)) if t.dtype == "float32" else torch.zeros(ints(t.shape), dtype=torch.int64)
             for t in types]  # fmt: skip
    peak, kept = import_module("memory_training").real(to_module(graph).train(), *given, autocast=autocast)
    return kept, peak


def figures(step: ObservedStep) -> tuple[int, int]:
    """What is kept, and the peak."""
    return sum(kept.bytes for kept in step.saved), max(alive(step.run.stored, len(step.run.steps)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--models", default="")
    parser.add_argument("--autocast", default="", choices=["", *TYPES])
    given = parser.parse_args()
    families = {known["file"]: name for name, known in reversed(list(zoo.models().items()))}
    names = given.models.split(",") if given.models else sorted(families.values())
    print(f"torch {torch.__version__}, batch {given.batch}; MiB")
    print(f"{'model':28}{'kept':>10}{'by rules':>10}{'ratio':>9}{'peak':>10}{'by rules':>10}{'ratio':>9}")
    ran = same = same_peak = near = 0
    for name in names:
        graph = load(name, batch=given.batch)
        try:
            kept, peak = really(graph, given.autocast) if given.autocast else figures(by_torch(graph))
        except CostcalcError as error:
            print(f"{name:28} {str(error)[:100]}")
            continue
        kept_too, peak_too = figures(by_rules(graph, given.autocast))
        ran, same, same_peak = ran + 1, same + (kept == kept_too), same_peak + (peak == peak_too)
        near += abs(peak_too / peak - 1) <= 0.01
        row = (kept / 2**20, kept_too / 2**20, kept_too / kept, peak / 2**20, peak_too / 2**20, peak_too / peak)
        print(
            f"{name:28}{row[0]:10.2f}{row[1]:10.2f}{row[2]:9.5f}{row[3]:10.2f}{row[4]:10.2f}{row[5]:9.5f}", flush=True
        )
    print(f"kept equal to the byte {same}, peak equal {same_peak}, peak within 1 % {near}, of {ran}")


if __name__ == "__main__":
    main()
