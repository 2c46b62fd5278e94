"""``costcalc explain``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from costcalc.cli.options import Model, Setting, command
from costcalc.cli.output import colour, emit, width

EXAMPLES = {
    "costcalc explain mobilenet features.1.depthwise.conv": "a layer: each figure, formula and numbers",
    "costcalc explain mobilenet features.1": "a block: which tensors its storage consists of",
    "costcalc explain resnet50 fc --machine a100": "with its time, and what bounds it",
}


@command
def explain(
    model: Model,
    setting: Setting,
    name: Annotated[
        str,
        typer.Argument(metavar="[LAYER]", help="A layer or a block; the whole model if left out.", show_default=False),
    ] = "",
) -> None:
    """How each figure of a layer comes about: the formula, the numbers put in, and the result.

    Of a block, or of the whole model, it shows the tensors that the storage consists of.
    """
    from costcalc.analysis.explain import explain
    from costcalc.analysis.holdings import holdings
    from costcalc.api import analyze
    from costcalc.backends.explanation import explanation
    from costcalc.backends.inventory import inventory
    from costcalc.backends.paint import painted, plain
    from costcalc.models import load

    graph = load(model.model, **model.choices())
    report = analyze(graph, **setting._asdict())
    paint = painted if colour(sys.stdout) else plain
    held = holdings(graph, report, name)
    emit(inventory(held, width(), paint) if held else explanation(explain(graph, report, name), width(), paint))
