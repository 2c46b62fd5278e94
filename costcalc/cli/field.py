"""``costcalc field``."""

from __future__ import annotations

from typing import Annotated

from costcalc.backends.terminal import coloured, lines_of_screen, width
from costcalc.cli.options import Format, Model, Output
from costcalc.cli.output import emit
from costcalc.cli.parameters import command, option
from costcalc.errors import CostcalcError
from costcalc.progress import doing

EXAMPLES = {
    "costcalc field resnet18": "which layers widen it, and where it is larger than the image",
    "costcalc field vgg16 --input 3x64x64 --all": "every layer, on smaller images",
    "costcalc field kws --format csv": "for programs",
}


@command
def field(
    model: Model,
    all: Annotated[
        bool, option("--all", help="Show every layer; by default those that change it, as many as fit.")
    ] = False,
    format: Annotated[Format, option("--format", "-f", help="What to write.", shows_default=True)] = Format.table,
    output: Output = None,
) -> None:
    """How the receptive field grows from layer to layer, and where it exceeds the image.

    RF is the window that one place of a layer's output depends on, in pixels; step is the distance of two of them.
    """
    from costcalc.api import analyze
    from costcalc.backends import growth as renderer
    from costcalc.pictures.growth import growth

    doing(f"analyzing {model.model}")
    report = analyze(model.model, **model.choices())
    found = growth(report)
    if not found.layers:
        raise CostcalcError(f"{report.name[:60]} has no layer whose receptive field in an image is known")
    if format is Format.table:
        text = renderer.table(found, report.name, width(), coloured(output), lines=lines_of_screen(output), all=all)
    else:
        text = getattr(renderer, format.value)(found, report.name)
    emit(text, output)
