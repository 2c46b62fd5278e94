"""``costcalc analyze``."""

from __future__ import annotations

from typing import Annotated

from costcalc.cli.options import Model, Setting, Shown
from costcalc.cli.output import emit
from costcalc.cli.parameters import command, option
from costcalc.progress import doing

EXAMPLES = {
    "costcalc analyze resnet50 --depth 2": "its blocks, not what is in them",
    "costcalc analyze mobilenet --set width=0.5 --input 3x160x160": "a smaller one",
    "costcalc analyze convnext_t --machine a100 --bits 16 --fps 60": "what is slow, and why",
    "costcalc analyze mobilenet --sort traffic --top 10": "what moves most",
    "costcalc analyze resnet50 --bits 8 --energy horowitz_45nm": "with the energy of each layer, by a table",
    "costcalc analyze mobilenet --by-kind --fold-norm": "as it is deployed, by kind of layer",
    "costcalc analyze my/net.yaml --format json --output cost.json": "all of it, for programs",
}


@command
def analyze(
    model: Model,
    setting: Setting,
    shown: Shown,
    fps: Annotated[
        float | None, option("--fps", min=0.001, help="Show the bandwidth needed for this many inferences per second.")
    ] = None,
    grid: Annotated[
        float | None,
        option(
            "--grid",
            min=0.001,
            max=1e6,
            help="Grams of CO2 per kilowatt hour; with --energy, show the grams per inference.",
        ),
    ] = None,
    strict: Annotated[
        bool,
        option("--strict", help="Exit with code 4 if a layer has no rule, or a size that values decide is not set."),
    ] = False,
) -> int:
    """What each layer of a model costs, and the model in total.

    MACs are multiply-accumulates of convolution, linear, matmul and attention; ops is other arithmetic. All
    figures are exact until the table rounds them, and columns add up to their totals.
    """
    from costcalc.api import analyze
    from costcalc.backends.report import render

    options = shown.table_options()
    doing(f"analyzing {model.model}")
    report = analyze(model.model, **model.choices(), **setting._asdict(), fps=fps, grid=grid)
    text = render(shown.format.value, report, options)
    emit(text, shown.output)
    return 4 if strict and not report.is_complete else 0
