"""Sizes that values decide: a run has values, so it is held against the graph with the sizes that they make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costcalc.errors import CostcalcError
from costcalc.ir.graph import Graph
from costcalc.verification.run import repeatable

if TYPE_CHECKING:
    from torch import Tensor, nn


def with_values(graph: Graph, module: nn.Module, inputs: tuple[Tensor, ...]) -> Graph:
    """``graph`` as a run of ``module`` on ``inputs`` makes it, where a trace had to assume what values decide.

    Where nothing was assumed, or such a run is refused, ``graph`` itself.
    """
    from costcalc.frontends.torch.tracer import REAL, trace_run
    from costcalc.frontends.torch.value_dependent import SPREAD

    if not graph.sizes and {SPREAD, REAL}.isdisjoint(graph.assumed):
        return graph
    try:
        with repeatable():
            return trace_run(module, inputs, graph)
    except CostcalcError:
        return graph
