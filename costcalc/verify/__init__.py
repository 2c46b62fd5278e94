"""Second opinions: a graph's figures against PyTorch, fvcore and autograd.

``verify(graph)`` builds the module, runs it and compares layer by layer.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any

from costcalc.errors import CostcalcError
from costcalc.ir.graph import Graph

if TYPE_CHECKING:
    from torch import nn

    from costcalc.verify.result import VerifyResult

MOST_BYTES = 6 * 2**30
"""Of weights and activations; what would need more is run on the meta device, which stores nothing."""


def verify(
    graph: Graph, module: nn.Module | None = None, *, progress: Callable[[str], None] = lambda _: None
) -> VerifyResult:
    """Compare the figures of ``graph`` with those of ``module``, by default the one that the graph builds.

    progress   is told what is being done

    The weights of ``module`` are overwritten. Raises ``CostcalcError`` if torch or fvcore is missing, or
    sizes are symbols.
    """
    need()
    import torch

    from costcalc.analysis.report import report
    from costcalc.backends.module import to_module
    from costcalc.verify import compare
    from costcalc.verify.receptive import NAME, receptive
    from costcalc.verify.result import Check, VerifyResult
    from costcalc.verify.run import fvcore_counts, input_for, level_weights, run

    if any(not isinstance(d, int) for t in graph.types.values() for d in t.shape):
        raise CostcalcError("verify runs the model, so all of its sizes must be numbers")
    seconds: dict[str, float] = {}

    def timed(part: str, work: Callable[[], Any]) -> Any:
        progress(part)
        start = perf_counter()
        result = work()
        seconds[part] = perf_counter() - start
        return result

    figures = timed("analyze", lambda: report(graph))
    total: Any = figures.total
    device = "cpu" if total.weight_bits + total.peak_bits <= 8 * MOST_BYTES else "meta"
    if module is None:
        module = timed("build", lambda: to_module(graph, device=device, initialise=False))
    module.eval()
    level_weights(module)
    inputs = tuple(input_for(graph.types[v], device) for v in graph.inputs)

    ran = timed("run", lambda: run(module, inputs))
    shapes, no_shapes = compare.shapes(graph, ran)
    weights, no_weights = compare.weights(figures, graph, module, ran)
    by_torch, no_torch, torch_tally = compare.macs_by_torch(figures, graph, module, ran)
    checks, disagreements, tallies = [shapes, weights], [*no_shapes, *no_weights], []
    if device == "cpu":
        try:
            counts = timed("fvcore", lambda: fvcore_counts(module, inputs))
        except Exception as error:  # of fvcore's, about an operator that it cannot take
            note = f"fvcore itself fails: {type(error).__name__} {error}".strip()
            checks.append(Check("MACs by fvcore", 0, by_torch.of, by_torch.unit, note))
        else:
            by_fvcore, no_fvcore, tally = compare.macs_by_fvcore(figures, graph, module, counts)
            checks.append(by_fvcore)
            disagreements += no_fvcore
            tallies.append(tally)
    else:
        checks.append(Check("MACs by fvcore", 0, by_torch.of, by_torch.unit, "fvcore needs the memory for a real run"))
    checks.append(by_torch)
    disagreements += no_torch
    tallies.append(torch_tally)
    if device == "cpu":
        field, no_field = timed("gradients", lambda: receptive(figures, graph, module, inputs))
        checks.append(field)
        disagreements += no_field
    else:
        checks.append(Check(NAME, 0, len(graph.nodes), note="gradients need the memory for a real run"))
    where = (
        "on the CPU" if device == "cpu" else "on the meta device, which stores nothing, since it needs too much memory"
    )
    said = ", ".join(f"{v} {graph.types[v]}" for v in graph.inputs)
    return VerifyResult(
        graph.name,
        f"{where} at {said}; torch {torch.__version__}",
        tuple(checks),
        tuple(disagreements),
        tuple(tallies),
        seconds,
    )


def need() -> None:
    """Raise ``CostcalcError`` if a package that ``verify`` needs is missing."""
    from importlib.util import find_spec

    missing = [package for package in ("torch", "fvcore") if find_spec(package) is None]
    if missing:
        raise CostcalcError(f"verify needs {' and '.join(missing)}: pip install 'costcalc[verify]'")
