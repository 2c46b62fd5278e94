"""Ours against theirs: shapes, weights and MACs, layer by layer.

A layer is compared with the submodule of its name. Counts of layers that are mere calls inside a
submodule are compared together, at that submodule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from costcalc.analysis.report import Report
from costcalc.ir.graph import Graph
from costcalc.ir.tensor import TensorType, Weight
from costcalc.verify.faults import FVCORE_EXTRAS, FVCORE_OMISSIONS, TORCH_OMISSIONS, Extra, Omission, Use
from costcalc.verify.result import Check, Difference, Disagreement, Tally
from costcalc.verify.run import Counts, Run, Shape

if TYPE_CHECKING:
    from torch import nn

Found = tuple[Check, list[Disagreement]]


def shapes(graph: Graph, ran: Run) -> Found:
    """Output shapes of the layers, and of the model."""
    check, disagreements, compared = "output shapes", [], 0
    for node in graph.nodes:
        theirs = ran.shapes.get(node.name)
        if theirs is not None:
            compared += 1
            ours = _shapes(graph.output_types(node))
            if ours != theirs[: len(ours)]:
                disagreements.append(Disagreement(check, node.name, _say(ours), _say(theirs), "PyTorch"))
    outputs = _shapes(tuple(graph.types[v] for v in graph.outputs))
    if outputs != ran.outputs:
        disagreements.append(Disagreement(check, "", _say(outputs), _say(ran.outputs), "PyTorch"))
    note = "" if compared == len(graph.nodes) else "the rest are calls inside modules"
    return Check(check, compared, len(graph.nodes), note=note), disagreements


def weights(figures: Report, graph: Graph, module: nn.Module, ran: Run) -> Found:
    """Names, shapes and element types of parameters and buffers, which of them are shared, and totals."""
    check, disagreements = "parameters and buffers", []
    ours, shared = _our_weights(graph)
    theirs, tensors = _their_weights(module)
    for name in theirs.keys() - ours.keys():
        if not any(owner in ran.shapes for owner in _owners(name)):
            del theirs[name]  # of a submodule that this run did not call: no layer of the graph
    for name in [*ours, *(n for n in theirs if n not in ours)]:
        mine, other = ours.get(name), theirs.get(name)
        if mine != other:
            layer = name.rpartition(".")[0]
            said = (f"{name}: {t}" if (t := mine) else f"no {name}"), (f"{name}: {t}" if (t := other) else f"no {name}")
            disagreements.append(Disagreement(check, layer, *said, "PyTorch"))
    for name, target in shared.items():
        if tensors.get(name) is not tensors.get(target):
            said = f"{name} is {target}", "they are two tensors"
            disagreements.append(Disagreement(check, name.rpartition(".")[0], *said, "PyTorch"))
    for kind, total in (("parameters", figures.total.params), ("buffers", figures.total.buffers)):
        distinct = {id(tensors[n]): tensors[n].numel() for n, said in theirs.items() if said.startswith(kind[:-1])}
        if total != sum(distinct.values()):
            disagreements.append(
                Disagreement(check, "", f"{total:,} {kind} in all", f"{sum(distinct.values()):,}", "PyTorch")
            )
    return Check(check, len(ours.keys() & theirs.keys()), len(ours), "tensors"), disagreements


def macs_by_fvcore(
    figures: Report, graph: Graph, module: nn.Module, counts: Counts
) -> tuple[Check, list[Disagreement], Tally]:
    """MACs against fvcore's count."""
    return _macs(figures, graph, module, counts, "fvcore", FVCORE_EXTRAS, FVCORE_OMISSIONS)


def macs_by_torch(
    figures: Report, graph: Graph, module: nn.Module, ran: Run
) -> tuple[Check, list[Disagreement], Tally]:
    """MACs against torch's FlopCounterMode."""
    return _macs(figures, graph, module, ran.macs, "torch's FlopCounterMode", {}, TORCH_OMISSIONS)


def _macs(
    figures: Report,
    graph: Graph,
    module: nn.Module,
    counts: Counts,
    witness: str,
    extras: Mapping[str, Extra],
    omissions: Iterable[Omission],
) -> tuple[Check, list[Disagreement], Tally]:
    check = f"MACs by {witness}"
    modules = dict(module.named_modules())
    uses: dict[str, list[Use]] = {}
    for use in _uses(figures, graph, modules):
        uses.setdefault(_nearest(use.node.name, modules), []).append(use)
    at: dict[str, Counter[str]] = {}
    for scope, count in counts.items():
        at.setdefault(_nearest(scope, uses), Counter()).update(count)

    disagreements: list[Disagreement] = []
    known: dict[str, tuple[int, int, list[str]]] = {}  # reason → factor, amount, layers

    def note(reason: str, factor: int, amount: int, layer: str) -> None:
        _, before, layers = known.get(reason, (0, 0, []))
        known[reason] = factor, before + amount, [*layers, layer]

    compared = 0
    for scope in {**uses, **at}:
        here, count = uses.get(scope, []), at.get(scope, Counter())
        for operator, extra in extras.items():
            if amount := count.pop(operator, 0):
                note(extra.reason, extra.factor, amount, scope)
        ours, theirs = sum(use.macs for use in here), sum(count.values())
        compared += sum(1 for use in here if use.macs)
        if ours != theirs:
            explained = [(use, fault) for use in here if (fault := _explanation(use, omissions))]
            if ours + sum(amount for _, (_, amount) in explained) == theirs:
                for use, (reason, amount) in explained:
                    note(reason, 0, amount, use.node.name)
            else:
                disagreements.append(Disagreement(check, scope, f"{ours:,}", f"{theirs:,}", witness))
    total = sum(sum(count.values()) for count in counts.values())
    differences = tuple(Difference(r, amount, factor, tuple(layers)) for r, (factor, amount, layers) in known.items())
    tally = Tally(witness, total, figures.total.macs, differences)  # type: ignore[arg-type]
    return Check(check, compared, compared, "layers with MACs"), disagreements, tally


def _explanation(use: Use, omissions: Iterable[Omission]) -> tuple[str, int] | None:
    for omission in omissions:
        if amount := omission.amount(use):
            return omission.reason, amount
    return None


def _uses(figures: Report, graph: Graph, modules: Mapping[str, nn.Module]) -> Iterator[Use]:
    used = set(graph.outputs)
    for node in reversed(graph.nodes):
        if used.intersection(node.outputs):
            used.update(node.inputs)
    for node, layer in zip(graph.nodes, figures.layers, strict=True):
        macs: Any = layer.macs
        yield Use(node, graph.input_types(node), macs, modules.get(node.name), not used.isdisjoint(node.outputs))


def _owners(name: str) -> Iterator[str]:
    """The submodules that ``name`` is in, innermost first."""
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _nearest(name: str, scopes: Mapping[str, Any]) -> str:
    """The longest dotted prefix of ``name`` that is among ``scopes``; the whole if none is."""
    while name and name not in scopes:
        name = name.rpartition(".")[0]
    return name


def _our_weights(graph: Graph) -> tuple[dict[str, str], dict[str, str]]:
    """Each distinct weight, by full name, as a sentence has it; and which names stand for another."""
    ours: dict[str, str] = {}
    shared: dict[str, str] = {}
    for node in graph.nodes:
        for name, weight in node.op.weights(*graph.input_types(node)).items():
            full = f"{node.name}.{name}"
            if name in node.shares:
                shared[full] = node.shares[name]
            ours[full] = _weight(weight)
    return ours, shared


def _their_weights(module: nn.Module) -> tuple[dict[str, str], dict[str, Any]]:
    unsaved = {
        f"{prefix}.{name}" if prefix else name
        for prefix, part in module.named_modules()
        for name in part._non_persistent_buffers_set
    }
    parameters: dict[str, Any] = dict(module.named_parameters(remove_duplicate=False))
    buffers = {n: b for n, b in module.named_buffers(remove_duplicate=False) if n not in unsaved}
    said = {name: _tensor("parameter", p) for name, p in parameters.items()}
    said |= {name: _tensor("buffer", b) for name, b in buffers.items()}
    return said, parameters | buffers


def _weight(weight: Weight) -> str:
    return f"{'parameter' if weight.trained else 'buffer'} {weight.type} {weight.type.dtype}"


def _tensor(kind: str, tensor: Any) -> str:
    return f"{kind} {'×'.join(map(str, tensor.shape)) or 'scalar'} {str(tensor.dtype).removeprefix('torch.')}"


def _shapes(types: tuple[TensorType, ...]) -> tuple[Shape, ...]:
    return tuple(tuple(d.__index__() for d in t.shape) for t in types)  # type: ignore[union-attr]


def _say(shapes: tuple[Shape, ...]) -> str:
    return ", ".join("×".join(map(str, s)) or "scalar" for s in shapes) or "nothing"
