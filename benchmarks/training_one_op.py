"""A step of training of one op, by its rules, against real ones on the CPU.

    python benchmarks/training_one_op.py [group_norm matmul …]

For each example of each op that has a module, on values that have a gradient: the most bytes alive in a real step, and
ours. Told are those that are more than 1 % apart. The loss is the sum of the results, so that the gradient with which
the op begins is one number that is stretched; kernels that want it in a row copy it, which layers within a network
need not.
"""

from __future__ import annotations

import argparse
import gc
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

sys.path.insert(0, str(Path(__file__).parents[1]))

import costcalc
from costcalc.errors import CostcalcError
from costcalc.ir.op import all_ops
from costcalc.planning.autograd import step
from costcalc.planning.jobs import alive
from tests.planning.live import Live


class Behind(nn.Module):
    """The op on values that have a gradient."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module, self.scale = module, nn.Parameter(torch.ones(()))

    def forward(self, *x: torch.Tensor) -> Any:
        return self.module(*(t * self.scale for t in x))


def real(model: nn.Module, inputs: list[torch.Tensor]) -> int:
    """The most bytes alive in a real step, gradients of the step before given up."""
    model.zero_grad()
    gc.collect()
    with Live((*model.parameters(), *model.buffers(), *inputs)) as mode:
        made = [t for t in tree_leaves(model(*inputs)) if isinstance(t, torch.Tensor) and t.requires_grad]
        loss: Any = sum(t.float().sum() for t in made)
        loss.backward()
    return mode.most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ops", nargs="*")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    tried = apart = 0
    for name, op in all_ops().items():
        for one, *types in op.examples() if not given.ops or name in given.ops else ():
            if not types or any(t.dtype != "float32" or t.size > 1 << 16 for t in types):
                continue
            inputs = [torch.rand(tuple(t.shape)) + 0.1 for t in types]
            try:
                model = Behind(one.to_torch(*types)).train()
                ours = step(costcalc.trace(model, *(tuple(t.shape) for t in types)))
                theirs = real(model, inputs)
            except (CostcalcError, NotImplementedError, RuntimeError, TypeError):
                continue  # it has no module, or no derivative
            if ours.unknown:
                continue
            peak = max(alive(ours.run.stored, len(ours.run.steps)))
            tried += 1
            if abs(peak / theirs - 1) > 0.01:
                apart += 1
                print(f"{one!s:60.60} {theirs:8,} ours {peak:8,} {peak / theirs:6.3f}", flush=True)
    print(f"{tried} tried, {apart} more than 1 % apart")


if __name__ == "__main__":
    main()
