"""Ours against theirs: shapes, weights and MACs, layer by layer.

A layer is compared with the submodule of its name. Counts of layers that are mere calls inside a
submodule are compared together, at that submodule.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, combinations
from typing import TYPE_CHECKING, Any

from costcalc.analysis.records import Report
from costcalc.ir.graph import Graph
from costcalc.ir.tensor import TensorType
from costcalc.verification.faults import (
    FVCORE_EXTRAS,
    FVCORE_OMISSIONS,
    TORCH_OMISSIONS,
    Extra,
    Omission,
    WitnessedLayer,
)
from costcalc.verification.result import Check, Difference, Disagreement, Tally
from costcalc.verification.run import Counts, Shape, WitnessRun, calls_by_number

if TYPE_CHECKING:
    from torch import nn

BY_FVCORE = "MACs by fvcore"
BY_TORCH = "MACs by torch's FlopCounterMode"
MOST_FAULTS, MOST_KNOWN = 3, 40
"""In one submodule, of different kinds together; of so many that are looked through."""
Found = tuple[Check, list[Disagreement]]


def shapes(graph: Graph, ran: WitnessRun) -> Found:
    """Output shapes of the layers, and of the model."""
    check, disagreements, compared = "output shapes", [], 0
    read = {*graph.outputs, *(v for node in graph.nodes for v in node.reads)}
    numbered = calls_by_number(graph, ran)
    for node in graph.nodes:
        call = numbered.get(node.name)
        calls = [ran.shapes[call.path][call.number]] if call else ran.shapes.get(node.name)
        if calls is not None:
            compared += 1
            ours = _shapes(graph.output_types(node))
            while len(ours) > 1 and node.outputs[len(ours) - 1] not in read and any(len(c) < len(ours) for c in calls):
                ours = ours[:-1]  # an operator's second result, which its module does not return
            if all(ours != theirs[: len(ours)] for theirs in calls):
                disagreements.append(Disagreement(check, node.name, _say(ours), _say(calls[0]), "PyTorch"))
    if ran.refused:
        layer, reason = ran.refused
        inputs = [_shapes(graph.input_types(n)) for n in graph.nodes if n.name == layer]
        said = f"it takes {_say(inputs[0])}" if inputs else "it can be run"
        disagreements.append(Disagreement(check, layer, said, reason, "PyTorch"))
        return Check(check, compared, len(graph.nodes), note="the run broke off"), disagreements
    outputs = _shapes(tuple(graph.types[v] for v in graph.outputs))
    if outputs != ran.outputs:
        disagreements.append(Disagreement(check, "", _say(outputs), _say(ran.outputs), "PyTorch"))
    note = "" if compared == len(graph.nodes) else "the rest are calls inside modules"
    return Check(check, compared, len(graph.nodes), note=note), disagreements


def weights(figures: Report, graph: Graph, module: nn.Module, ran: WitnessRun) -> Found:
    """Names, shapes and element types of parameters and buffers, which of them are shared, and totals."""
    check = "parameters and buffers"
    theirs = _weights(module)
    disagreements: list[Disagreement] = []
    met: dict[str, Any] = {}  # our name of a distinct weight → their tensor
    found: set[int] = set()

    def differ(name: str, ours: str, other: str) -> None:
        disagreements.append(Disagreement(check, name.rpartition(".")[0], ours, other, "PyTorch"))

    for node in graph.nodes:
        for local, weight in node.stored(node.op.weights(*graph.input_types(node))).items():
            own, name = f"{node.name}.{local}", node.weight(local)
            mine = f"{'parameter' if weight.trained else 'buffer'} {weight.type} {weight.type.dtype}"
            kind, tensor = theirs.get(own) or theirs.get(name) or ("", None)
            other = f"{kind} {_shape(tuple(tensor.shape))} {_dtype(tensor)}" if tensor is not None else "nothing"
            if mine != other:
                differ(own, f"{own}: {mine}", f"{own}: {other}")
            if met.setdefault(name, tensor) is not tensor:
                differ(own, f"{own} is {name}", "they are two tensors")
            found.add(id(tensor))
    # What else the module has counts only if this run called what holds it.
    unsaved = _unsaved(module)
    used = {
        name: known
        for name, known in theirs.items()
        if id(known[1]) in found or (name not in unsaved and _is_called(name, ran))
    }
    for name, (kind, tensor) in used.items():
        if id(tensor) not in found:
            differ(name, f"no {name}", f"{name}: {kind} {_shape(tuple(tensor.shape))} {_dtype(tensor)}")
    for kind, total in (("parameter", figures.total.params), ("buffer", figures.total.buffers)):
        count = sum({id(t): t.numel() for k, t in used.values() if k == kind}.values())
        if total != count:
            differ("", f"{total:,} elements of {kind}s", f"{count:,}")
    return Check(check, len(met), len(met), "tensors"), disagreements


def macs_by_fvcore(
    figures: Report, graph: Graph, module: nn.Module, ran: WitnessRun, counts: Counts
) -> tuple[Check, list[Disagreement], Tally]:
    """MACs against fvcore's count."""
    # A program is one scope to it.
    ran = ran._replace(scopes=frozenset(), shapes={p: s for p, s in ran.shapes.items() if p not in ran.scopes})
    return _macs(BY_FVCORE, figures, graph, module, ran, counts, FVCORE_EXTRAS, FVCORE_OMISSIONS)


def macs_by_torch(
    figures: Report, graph: Graph, module: nn.Module, ran: WitnessRun
) -> tuple[Check, list[Disagreement], Tally]:
    """MACs against torch's FlopCounterMode."""
    return _macs(BY_TORCH, figures, graph, module, ran, ran.macs, {}, TORCH_OMISSIONS)


def _macs(
    check: str,
    figures: Report,
    graph: Graph,
    module: nn.Module,
    ran: WitnessRun,
    counts: Counts,
    extras: Mapping[str, Extra],
    omissions: Iterable[Omission],
) -> tuple[Check, list[Disagreement], Tally]:
    witness = check.removeprefix("MACs by ")
    # Of a submodule that is not called others use the weights: what they do counts where they do it.
    modules: dict[str, nn.Module | None] = dict.fromkeys(ran.scopes - {""})
    modules |= {name: part for name, part in module.named_modules() if name in ran.shapes and name not in ran.scopes}
    uses: dict[str, list[WitnessedLayer]] = {}
    for use in _uses(figures, graph, modules):
        uses.setdefault(_scope(use.node.name, modules), []).append(use)
    at: dict[str, Counter[str]] = {}  # what each of those scopes counted
    for scope, count in counts.items():
        at.setdefault(_nearest(scope, uses), Counter()).update(count)

    disagreements: list[Disagreement] = []
    known: dict[tuple[str, int], list[tuple[str, int]]] = {}  # reason, factor → layer, amount
    compared = 0
    for scope in {**uses, **at}:
        here, count = uses.get(scope, []), at.get(scope, Counter())
        for operator in extras.keys() & count.keys():
            reason, per, _, of, _ = extras[operator]
            amount = count.pop(operator)
            factor = _factor(amount, [use for use in here if extras[operator].counts(use)], of)
            if factor is None or factor in per:
                known.setdefault((reason, factor or 1), []).append((scope, amount))
            else:
                said = f"{reason}, {' or '.join(map(str, per))} per element", f"{amount:,}"
                disagreements.append(Disagreement(check, scope, *said, witness))
        ours, theirs = sum(use.macs for use in here), sum(count.values())
        compared += sum(1 for use in here if use.macs)
        if ours != theirs:
            explained = _explained(theirs - ours, here, omissions)
            for layer, reason, amount in explained:
                known.setdefault((reason, 1), []).append((layer, amount))
            if not explained:
                disagreements.append(Disagreement(check, scope, f"{ours:,}", f"{theirs:,}", witness))
    total = sum(sum(count.values()) for count in counts.values())
    differences = [
        Difference(reason, sum(amount for _, amount in of), factor, tuple(layer for layer, _ in of))
        for (reason, factor), of in known.items()
    ]
    differences.sort(key=lambda difference: difference.amount < 0)
    once: Any = figures.total.prepared.macs if figures.total.prepared else 0
    if once:
        layers = tuple(layer.name for layer in figures.layers if layer.prepared and layer.prepared.macs)
        differences.insert(0, Difference("work on weights alone, prepared once", once, 1, layers))
    tally = Tally(witness, total, figures.total.macs, tuple(differences))  # type: ignore[arg-type]
    return Check(check, compared, compared, "layers with MACs"), disagreements, tally


def _factor(amount: int, here: list[WitnessedLayer], of: str) -> int | None:
    """What is counted for one element of the layers that did it; None where the layers are not to be told."""
    size: Any = sum((use.inputs[0] if of == "input" else use.output).size for use in here)
    if not size:
        return None
    return int(amount // size) if amount % size == 0 else 0


def _explained(gap: int, here: list[WitnessedLayer], omissions: Iterable[Omission]) -> tuple[tuple[str, str, int], ...]:
    """The layer, reason and amount of the known faults that make up ``gap`` exactly; nothing if none do."""
    known = [(use.node.name, o.reason, amount) for o in omissions for use in here if (amount := o.amount(use))]
    of_one_kind = (
        tuple(fault for fault in known if fault[1] == reason) for reason in dict.fromkeys(f[1] for f in known)
    )
    first = tuple({layer: (layer, reason, amount) for layer, reason, amount in reversed(known)}.values())
    few = (some for n in range(1, MOST_FAULTS + 1) for some in combinations(known[:MOST_KNOWN], n))
    for some in chain(of_one_kind, [first], few):
        if sum(amount for _, _, amount in some) == gap and len({layer for layer, _, _ in some}) == len(some):
            return some
    return ()


def _uses(figures: Report, graph: Graph, modules: Mapping[str, nn.Module | None]) -> Iterator[WitnessedLayer]:
    used = set(graph.outputs)
    for node in reversed(graph.nodes):
        if used.intersection(node.outputs):
            used.update(node.reads)
    for node, layer in zip(graph.nodes, figures.layers, strict=True):
        macs: Any = layer.prepared.macs if layer.prepared else layer.macs  # a module does it each time
        reached = not used.isdisjoint(node.outputs)
        yield WitnessedLayer(
            node, graph.input_types(node), graph.types[node.outputs[0]], macs, modules.get(node.name), reached
        )  # fmt: skip


def _is_called(weight: str, ran: WitnessRun) -> bool:
    """Whether the run called the module that holds ``weight``, or one around it other than the whole."""
    owner = weight.rpartition(".")[0]
    return not owner or _nearest(owner, ran.shapes) != ""


def _scope(layer: str, modules: Mapping[str, nn.Module | None]) -> str:
    """The submodule that does what ``layer`` does. Called again, it is a second layer: ``conv_1``."""
    again = re.sub(r"_\d+$", "", layer)
    return again if layer not in modules and again in modules else _nearest(layer, modules)


def _nearest(name: str, scopes: Mapping[str, Any]) -> str:
    """The longest dotted prefix of ``name`` that is among ``scopes``; the whole if none is."""
    while name and name not in scopes:
        name = name.rpartition(".")[0]
    return name


def _weights(module: nn.Module) -> dict[str, tuple[str, Any]]:
    """Each parameter and buffer by name, also under second names."""
    import torch

    from costcalc.frontends.torch.quantised import PackedWeights
    from costcalc.frontends.torch.sparse import stored

    found: dict[str, tuple[str, Any]] = {}
    for whole, parameter in module.named_parameters(remove_duplicate=False):
        parts = stored(whole, parameter)
        largest = max(part.numel() for _, part in parts)
        found |= {name: ("parameter" if part.numel() == largest else "buffer", part) for name, part in parts}
    for traced in PackedWeights(module).weights:  # which no list of the module's names
        held = torch.empty(traced.shape, dtype=getattr(torch, traced.type.dtype), device="meta")
        found[traced.weight] = "parameter" if traced.trained else "buffer", held
    for whole, buffer in module.named_buffers(remove_duplicate=False):
        found |= {name: ("buffer", part) for name, part in stored(whole, buffer)}
    return found


def _unsaved(module: nn.Module) -> set[str]:
    """Buffers that are made anew with each module: a graph may have them as weights or not."""
    return {
        f"{prefix}.{name}" if prefix else name
        for prefix, part in module.named_modules()
        for name in part._non_persistent_buffers_set
    }


def _dtype(tensor: Any) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _shapes(types: tuple[TensorType, ...]) -> tuple[Shape, ...]:
    return tuple(tuple(d.__index__() for d in t.shape) for t in types)  # type: ignore[union-attr]


def _shape(shape: Shape) -> str:
    return "×".join(map(str, shape)) or "scalar"


def _say(shapes: tuple[Shape, ...]) -> str:
    return ", ".join(map(_shape, shapes)) or "nothing"
