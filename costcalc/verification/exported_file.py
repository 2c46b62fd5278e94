"""A file against the model that it was exported from: its MACs and elements, each difference with what made it.

The module is traced at the inputs of the file. Layers are found again by ``difference.export_matching``, tensors by
``difference.export_effects``; what neither has a rule for is a disagreement.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from costcalc.analysis.layout import axis_names
from costcalc.analysis.report import report
from costcalc.classes import NamedTuple
from costcalc.difference.export_effects import elements, held_by, is_exported, rewritings
from costcalc.difference.export_matching import Rewriting, rewritten
from costcalc.errors import CostcalcError, OptionError
from costcalc.ir.graph import Graph
from costcalc.models import load
from costcalc.verification.result import Check, Difference, Disagreement, Tally


class ExportOrigin(NamedTuple):
    """The model that a file was exported from.

    name         as on the command line: ``timm:resnet50``
    parameters   what it is built with
    """

    name: str
    parameters: Mapping[str, Any] = {}


Found = tuple[list[tuple[Check, list[Disagreement]]], list[Tally]]


def against(file: Graph, origin: ExportOrigin) -> Found:
    """What the model ``origin`` says of the graph of a file that was exported from it.

    Raises ``OptionError`` if ``file`` is of no file that another tool wrote, ``CostcalcError`` if the model does not
    take the inputs of the file.
    """
    refuse_unless_exported(file)
    model = at_inputs_of(file, origin)
    of_model, of_file = report(model), report(file)
    found = rewritten(model, file, of_model, of_file)
    macs: Any = of_model.total.macs, of_file.total.macs
    checks, tallies = [], []
    for check, differ, tally in (
        _macs(origin.name, found, *macs),
        _elements(origin.name, model, file, found),
    ):
        checks.append((check, differ))
        tallies.append(tally)
    return checks, tallies


def refuse_unless_exported(file: Graph) -> None:
    """Raise ``OptionError`` if ``file`` is the graph of no file that another tool wrote of a model."""
    if not is_exported(file):
        raise OptionError(
            f"--against is for a file that was exported from a model: FILE.onnx, say; {file.name} is none"
        )


def at_inputs_of(file: Graph, origin: ExportOrigin) -> Graph:
    """The graph of ``origin`` at the inputs of the graph ``file``: of images with the channels before their places.

    Inputs go by their names; where the model has other names for them, it is taken at its own with the file's batch.
    """
    shapes = {value: _channels_first(file, value) for value in file.inputs}
    batch = next((shape[0] for shape in shapes.values() if shape), 1)
    named = {value: shape[1:] for value, shape in shapes.items() if len(shape) > 1}
    given: dict[str, Any] = {"batch": batch, "parameters": dict(origin.parameters)}
    only = next(iter(named.values())) if len(shapes) == len(named) == 1 else None
    try:
        return load(origin.name, **given, input=only or named or None)
    except CostcalcError:
        if only is not None:
            raise
        try:
            return load(origin.name, **given)
        except CostcalcError:
            pass
        raise


def _channels_first(graph: Graph, value: str) -> tuple[int, ...]:
    shape: tuple[Any, ...] = graph.types[value].shape
    names = axis_names(graph, value)
    if {"batch", "channels"} <= {*names}:
        first = [names.index("batch"), names.index("channels")]
        shape = tuple(shape[i] for i in (*first, *(i for i in range(len(shape)) if i not in first)))
    return shape


def _macs(name: str, found: Rewriting, model: int, file: int) -> tuple[Check, list[Disagreement], Tally]:
    heading = f"MACs by {name}"
    amounts: dict[str, list[tuple[str, int]]] = {}
    unexplained: dict[str, tuple[int, int]] = {}  # layer → MACs in the file, in the model
    for sign, side in ((1, found.lost), (-1, found.new)):
        for work, reason in side:
            layer = work.node.name
            if reason:
                amounts.setdefault(reason, []).append((layer, sign * work.macs))
            else:
                there, here = unexplained.get(layer, (0, 0))
                unexplained[layer] = (there, work.macs) if sign > 0 else (work.macs, here)
    differ = []
    for layer, of in unexplained.items():
        ours, theirs = (f"{macs:,}" if macs else "that it has no such layer" for macs in of)
        differ.append(Disagreement(heading, layer, ours, theirs, name))
    differences = [
        Difference(reason, sum(amount for _, amount in of), 1, tuple(layer for layer, _ in of))
        for reason, of in amounts.items()
    ]
    layers = sum(len(match.model) for match in found.matches)
    rewritten_so = [rule for rule in rewritings(found) if not rule.endswith("MACs")]
    check = Check(heading, layers, layers + len(found.lost), "layers with MACs", "; ".join(rewritten_so))
    return check, differ, Tally(name, model, file, tuple(differences))


def _elements(name: str, model: Graph, file: Graph, found: Rewriting) -> tuple[Check, list[Disagreement], Tally]:
    heading = f"elements by {name}"
    changes = [Difference(change.rule, -change.elements, 1, ()) for change in elements(model, file, found)]
    tally = Tally(name, held_by(model), held_by(file), tuple(changes), "elements")
    tensors = sum(len(node.op.weights(*model.input_types(node))) for node in model.nodes)
    differ = []
    if tally.remainder:
        named = sum(change.amount for change in changes)
        ours = f"{tally.ours:,}" + (f" and {named:+,} that export explains" if named else "")
        differ.append(Disagreement(heading, "", ours, f"{tally.total:,}", name))
    return Check(heading, tensors, tensors, "tensors"), differ, tally
