"""A step of training of one op, by its rules, against real ones on the CPU.

    python benchmarks/training_one_op.py [group_norm matmul …] [--stretched]

For each example of each op that has a module, on values that have a gradient: the most bytes alive in a real step, and
ours. A real step is looked at twice: by a dispatch mode, which sees tensors alone but keeps autograd from doing some
things in place, and by the profiler, which sees the allocator with what kernels take for themselves. Both can only say
too much, so the less of them counts. Told are those that are more than 1 % apart. The loss is the sum of the results,
each doubled, so that the op begins with a gradient in a row, as layers within a network do. With ``--stretched`` it is
the sum alone, whose gradient is one number that is stretched, and kernels that want it in a row copy it.
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
from torch.utils._pytree import tree_leaves, tree_map

sys.path.insert(0, str(Path(__file__).parents[1]))

from costcalc.errors import CostcalcError
from costcalc.frontends.torch.tracer import trace_in_training
from costcalc.ir.op import all_ops
from costcalc.planning.autograd import step
from costcalc.planning.jobs import alive
from tests.planning.live import Live, allocated


class Between(nn.Module):
    """The op on values that have a gradient, and its results doubled unless the loss's gradient is to be stretched."""

    def __init__(self, module: nn.Module, stretched: bool) -> None:
        super().__init__()
        self.module, self.stretched, self.scale = module, stretched, nn.Parameter(torch.ones(()))

    def forward(self, *x: torch.Tensor) -> Any:
        made = self.module(*(t * self.scale for t in x))
        return made if self.stretched else tree_map(doubled, made)


def doubled(made: Any) -> Any:
    """Twice what has a gradient."""
    return made * 2 if isinstance(made, torch.Tensor) and made.is_floating_point() else made


def taken(model: nn.Module, inputs: list[torch.Tensor]) -> bool:
    """Take a step, if a result has a gradient."""
    result = model(*inputs)
    made = [t for t in tree_leaves(result) if isinstance(t, torch.Tensor) and t.requires_grad]
    loss: Any = sum(t.float().sum() for t in made)
    if made:
        loss.backward()
    return bool(made)


def real(model: nn.Module, inputs: list[torch.Tensor]) -> int | None:
    """The most bytes alive in a real step, gradients of the step before given up; None where no result has one."""
    model.zero_grad()
    gc.collect()
    with Live((*model.parameters(), *model.buffers(), *inputs)) as mode:
        if not taken(model, inputs):
            return None
    model.zero_grad()
    return min(mode.most, allocated(lambda: taken(model, inputs)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ops", nargs="*")
    parser.add_argument("--stretched", action="store_true", help="the loss is the sum of the results alone")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    tried = apart = 0
    for name, op in all_ops().items():
        for one, *types in op.examples() if not given.ops or name in given.ops else ():
            if not types or any(t.dtype != "float32" or t.size > 1 << 16 for t in types):
                continue
            inputs = [torch.rand(tuple(t.shape)) + 0.1 for t in types]
            try:
                model = Between(one.to_torch(*types), given.stretched).train()
                ours = step(trace_in_training(model, tuple(tuple(t.shape) for t in types), {}))
                theirs = real(model, inputs)
            except (CostcalcError, NotImplementedError, RuntimeError, TypeError):
                continue  # it has no module, or no derivative
            if ours.unknown or theirs is None:
                continue
            peak = max(alive(ours.run.stored, len(ours.run.steps)))
            tried += 1
            if abs(peak / theirs - 1) > 0.01:
                apart += 1
                print(f"{one!s:60.60} {theirs:8,} ours {peak:8,} {peak / theirs:6.3f}", flush=True)
    print(f"{tried} tried, {apart} more than 1 % apart")


if __name__ == "__main__":
    main()
