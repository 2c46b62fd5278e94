"""Second opinions: a graph's figures against PyTorch, fvcore and autograd.

``verify(graph)`` builds the module, runs it and compares layer by layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

from costcalc.errors import CostcalcError
from costcalc.ir.graph import Graph

if TYPE_CHECKING:
    from torch import nn

    from costcalc.verification.exported_file import ExportOrigin
    from costcalc.verification.result import Check, Disagreement, VerifyResult

MOST_BYTES = 6 * 2**30
"""Of weights and activations; what would need more is run on the meta device, which stores nothing."""


def verify(
    graph: Graph,
    module: nn.Module | None = None,
    *,
    progress: Callable[[str], None] = lambda _: None,
    beside: Sequence[tuple[Check, Sequence[Disagreement]]] = (),
    origin: ExportOrigin | None = None,
) -> VerifyResult:
    """Compare the figures of ``graph`` with those of ``module``, by default the one that the graph builds.

    module     one of your own whose submodules have the names of the graph's layers and which takes the
               graph's inputs in order; its weights are overwritten
    progress   is told what is being done
    beside     what other witnesses have found, as a run of the file that the graph is of
    origin     the model that the file was exported from, whose MACs and elements are compared too

    Raises ``CostcalcError`` if torch or fvcore is missing, sizes are symbols, or ``origin`` is no model of the file's
    inputs.
    """
    need()
    import torch

    from costcalc.analysis.report import report
    from costcalc.analysis.sizes import ran_with
    from costcalc.backends.module import to_module
    from costcalc.frontends.torch.quantised import PackedWeights
    from costcalc.verification import compare
    from costcalc.verification.receptive_fields import receptive
    from costcalc.verification.result import Check, Tally, VerifyResult
    from costcalc.verification.run import fvcore_counts, input_for, level_weights, run
    from costcalc.verification.value_sizes import with_values

    if any(not isinstance(d, int) for t in graph.types.values() for d in t.shape):
        raise CostcalcError("verify runs the model, so all of its sizes must be numbers")
    seconds: dict[str, float] = {}
    checks: list[Check] = []
    disagreements: list[Disagreement] = []
    tallies: list[Tally] = []

    def timed(part: str, work: Callable[[], Any]) -> Any:
        progress(part)
        start = perf_counter()
        result = work()
        seconds[part] = perf_counter() - start
        return result

    def found(check: Check, by_layer: list[Disagreement], tally: Tally | None = None) -> None:
        checks.append(check)
        disagreements.extend(by_layer)
        if tally is not None:
            tallies.append(tally)

    if origin is not None:
        from costcalc.verification.exported_file import against

        wanted = origin
        by_origin, tallies = timed(f"trace {origin.name}", lambda: against(graph, wanted))
        beside = [*beside, *by_origin]
    figures = timed("analyze", lambda: report(graph))
    total: Any = figures.total
    if total.weight_bits + total.peak_bits >= 2**63:
        raise CostcalcError(f"{graph.name} has tensors larger than PyTorch's can be, so that it cannot be run")
    device = "cpu" if total.weight_bits + total.peak_bits <= 8 * MOST_BYTES else "meta"
    given, as_assumed = module is not None, graph
    if module is None:
        try:
            if beside:
                _in_floats(graph)
            module = timed("build", lambda: to_module(graph, device=device, initialise=False))
        except CostcalcError as error:
            if not beside:
                raise
            for check, by_layer in beside:
                found(check, list(by_layer))
            found(Check("PyTorch", 0, len(graph.nodes), note=error.message[:200]), [])
            return VerifyResult(
                graph.name, "run as a file", tuple(checks), tuple(disagreements), tuple(tallies), seconds
            )
    else:
        device = next((p.device.type for p in module.parameters()), device)
    module.eval()
    trained = [weight for weight in module.parameters() if weight.requires_grad]
    level_weights(module)
    inputs = tuple(input_for(graph.types[v], device) for v in graph.inputs)

    ran = timed("run", lambda: run(module, inputs, trained))
    weights = compare.weights(figures, graph, module, ran)
    if given and device != "meta" and not ran.refused and not ran.differentiates:
        graph = timed("values", lambda: with_values(as_assumed, module, inputs))
        figures = figures if graph is as_assumed else report(graph)
    for check, by_layer in beside:
        found(check, list(by_layer))
    found(*compare.shapes(graph, ran))
    found(*weights)
    without = "its run broke off" if ran.refused else "that takes the memory of a real run" if device == "meta" else ""
    if ran.differentiates:
        without = without or "the forward differentiates"
    if without:
        found(Check(compare.BY_FVCORE, 0, len(graph.nodes), note=without), [])
    else:
        try:
            counts = timed("fvcore", lambda: fvcore_counts(module, inputs))
        except Exception as error:  # about an operator that it cannot take
            note = f"fvcore itself fails: {type(error).__name__}: {error}"
            found(Check(compare.BY_FVCORE, 0, len(graph.nodes), note=note), [])
        else:
            found(*compare.macs_by_fvcore(figures, graph, module, ran, counts))
    if not ran.refused:
        found(*compare.macs_by_torch(figures, graph, module, ran))
    if not without and PackedWeights(module).weights:
        without = "layers of whole numbers have no gradients"
    found(*timed("gradients", lambda: receptive(figures, graph, module, ran, inputs, without)))
    how = f"on {'the CPU' if device == 'cpu' else 'the meta device, since it needs too much memory'}"
    said = ", ".join(f"{v} {graph.types[v]}" for v in graph.inputs)
    applied = f", after {', '.join(graph.applied)}" if graph.applied else ""
    ran_at = f"run {how} at {said}{applied}, torch {torch.__version__}"
    met = [size for size in graph.sizes if size.met]
    if graph is not as_assumed:
        ran_at += "; figures are those with the values of this run" + (f", run with: {ran_with(met)}" if met else "")
    sizes = {size.name: size.size for size in met}
    return VerifyResult(graph.name, ran_at, tuple(checks), tuple(disagreements), tuple(tallies), seconds, sizes)


def _in_floats(graph: Graph) -> None:
    """Raise ``CostcalcError`` where a layer computes in whole numbers, which PyTorch's modules do not."""
    from costcalc.ir.tensor import FLOATING_BITS

    for node in graph.nodes:
        weights = node.op.weights(*graph.input_types(node))
        if any(w.type.dtype not in FLOATING_BITS for w in weights.values() if w.trained):
            raise CostcalcError(f"{node.name} computes in whole numbers, which PyTorch's modules do not")


def need() -> None:
    """Raise ``CostcalcError`` if a package that ``verify`` needs is missing."""
    from importlib.util import find_spec

    missing = [package for package in ("torch", "fvcore") if find_spec(package) is None]
    if missing:
        raise CostcalcError(f"verify needs {' and '.join(missing)}: pip install 'costcalc[verify]'")
