"""``analyze``: from a model, in whatever form, to its report."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from costcalc.analysis.report import Report, report
from costcalc.errors import OptionError
from costcalc.ir.graph import Graph

if TYPE_CHECKING:
    from costcalc.analysis.roofline import Machine


def analyze(
    model: Graph | str | os.PathLike[str],
    *,
    batch: int | None = None,
    input: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    parameters: Mapping[str, Any] | None = None,
    bits: int | None = None,
    machine: Machine | str | None = None,
    fps: float | None = None,
) -> Report:
    """Every figure of ``model``: a graph, the name of a shipped model, or the path of a YAML file.

    batch, input, parameters   how to build a model that is named, as ``load`` has them
    bits                       width of floating-point elements, in place of 32
    machine                    also the time on it: a shipped machine's name or a YAML file's path
    fps                        passes a second that are wanted, for the bandwidth that they need

    Raises a ``CostcalcError`` for anything that is wrong with what was given.

    >>> analyze("resnet50").total.macs
    4089184256
    """
    if isinstance(model, Graph):
        if batch is not None or input is not None or parameters is not None:
            raise OptionError("a graph is built already: batch, input and parameters are given to load()")
        graph = model
    else:
        from costcalc.models import load

        graph = load(model, batch=1 if batch is None else batch, input=input, parameters=parameters)
    if isinstance(machine, (str, os.PathLike)):
        from costcalc.machines import load_machine

        machine = load_machine(os.fspath(machine))
    return report(graph, bits=bits, machine=machine, fps=fps)
