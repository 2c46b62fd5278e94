"""``costcalc.export``: a model in a file for another program."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from costcalc.arguments import check_numbers, energy_of, graph_of, how_built, machine_of
from costcalc.backends.export import Exported, Written, find_format, render
from costcalc.ir.graph import Graph

if TYPE_CHECKING:
    from torch import nn

    from costcalc.analysis.energy import EnergyTable
    from costcalc.analysis.roofline import Machine


def export(
    format: str,
    model: Graph | str | os.PathLike[str] | nn.Module,
    *inputs: Any,
    batch: int | None = None,
    input: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    parameters: Mapping[str, Any] | None = None,
    bits: int | None = None,
    machine: Machine | str | None = None,
    energy: EnergyTable | str | None = None,
    layer: str | None = None,
    by: str | None = None,
    apply: str | Sequence[str] = (),
    fold_norm: bool = False,
    layout: str | Mapping[str, str] | None = None,
    **kwargs: Any,
) -> Written:
    """``model`` as another program reads it: ``text``, the file, and ``notes``, what that cannot hold.

    Parquet is no text: its file is ``data``.

    format   ``"loops"``, ``"scale-sim"`` and others: docs/viewers.md
    layer    of formats of loops, the one layer that is written
    by       of formats that colour a graph, the figure that does it; macs if not said

    The other arguments are those of ``analyze``. Raises a ``CostcalcError`` for anything that is wrong with them.

    >>> export("scale-sim", "lenet5").text.splitlines()[1]
    'c1,32,32,5,5,1,6,1,'
    """
    find_format(format)
    check_numbers(bits, None)
    how = how_built(batch, input, parameters, apply=apply, fold_norm=fold_norm, layout=layout)
    graph = graph_of(model, inputs, kwargs, how)
    asked = Exported(graph, bits=bits, machine=machine_of(machine), energy=energy_of(energy), layer=layer, by=by)
    return render(format, asked)
